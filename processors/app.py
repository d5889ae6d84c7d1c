"""The thin Faust app: subscription, group membership and streams; everything that decides is in `processors.pipeline`.

Faust's own acknowledgements are off (`acks=False`): they can skip offsets that finish out of order (faust-streaming
issue 606) and are thrown away on a revoke (issue 502). The ledger commits through `Consumer._commit`, a private
method; the version is pinned and a contract test holds it to its behaviour.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust
from faust.types import TP

from processors.records import Place, Record
from schemas.batches import Headers
from schemas.topics import Kind, Topics

CONSUMED: tuple[Kind, ...] = ("requests", "stacks", "runs")
SESSION_TIMEOUT_S = 6.0


class StreamApp:
    """A Faust app run inside our own event loop: `start`, then records come, then `stop`.

    `on_record` is awaited for each message, and may wait: Faust then stops fetching. `on_revoked` is called before
    partitions go to another worker.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Topics,
        group: str,
        *,
        on_record: Callable[[Record], Awaitable[None]],
        on_revoked: Callable[[Iterable[Place]], None],
    ) -> None:
        self._on_record = on_record
        self._app = faust.App(
            group,
            broker=f"kafka://{bootstrap}",
            web_enabled=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=SESSION_TIMEOUT_S,
            broker_heartbeat_interval=1.0,
            stream_wait_empty=False,
            stream_buffer_maxsize=64,
            producer_acks=-1,
            loghandlers=[],
        )
        logging.getLogger("faust").setLevel(logging.WARNING)
        for kind in CONSUMED:
            topic = self._app.topic(
                topics.name(kind),
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                acks=False,
            )
            self._app.agent(topic, name=f"{group}.{kind}")(self._consume)

        async def revoked(_: Any, places: Iterable[TP], **__: Any) -> None:
            on_revoked([Place(place.topic, place.partition) for place in places])

        self._app.on_partitions_revoked.connect(revoked, weak=False)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.events():
            await self._on_record(_record(event.message))

    async def start(self) -> None:
        """Join the group and begin to consume."""
        self._app.finalize()
        await self._app.start()

    async def stop(self) -> None:
        """Leave the group; the agents end."""
        await self._app.stop()

    async def wait_crashed(self) -> BaseException | None:
        """Wait until Faust gives up, and say why; for ever as long as it is well."""
        await self._app.wait_until_stopped()
        reason: BaseException | None = self._app.crash_reason
        return reason

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Commit offsets (the next to read). Best effort: True also for partitions that were just lost."""
        done: bool = await self._app.consumer._commit(  # noqa: SLF001  see the head of this file
            {TP(place.topic, place.partition): offset for place, offset in offsets.items()}
        )
        return done

    async def send(self, topic: str, partition: int | None, key: bytes | None, value: bytes, headers: Headers) -> None:
        """Append a message and wait for its acknowledgement."""
        await self._app.producer.send_and_wait(topic, key, value, partition, None, headers)

    def assigned(self) -> bool:
        """Whether this worker owns partitions."""
        return bool(self._app.consumer.assignment())


def _record(message: Any) -> Record:
    headers = message.headers or []
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    return Record(
        place=Place(message.topic, message.partition),
        offset=message.offset,
        timestamp_us=round(message.timestamp * 1e6),
        headers=pairs,
        value=message.value or b"",
    )
