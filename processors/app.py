"""The thin Faust app: subscription, group membership and streams; everything that decides is in `processors.pipeline`.

Faust's own acknowledgements are off (`acks=False`): they can skip offsets that finish out of order (faust-streaming
issue 606) and are thrown away on a revoke (issue 502). The ledger commits through `Consumer._commit`, a private
method; the version is pinned and a contract test holds it to its behaviour.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from faust.tables import TableManager
from faust.types import TP

from processors.records import Place, Record
from schemas.batches import Headers
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Kind, Topics

CONSUMED: tuple[Kind, ...] = ("requests", "stacks", "runs")
SESSION_TIMEOUT_S = 6.0
LONE_SESSION_TIMEOUT_S = 2.0
"""Of a worker that has the embedded broker's group for itself. That broker (Tansu 0.6) waits for half the timeout, in
whole seconds, whether others join, and takes no partition from a lone member, however late its heartbeat is.
"""
_STOP_S = 10.0
_AGAIN_S = 0.2
_SEND_BYTES = 2 << 20
_FETCH_BYTES = 256 << 10
"""Of each partition at once; a message that is larger comes all the same (KIP-74)."""


class _App(faust.App):  # type: ignore[misc]  # Faust is untyped
    async def on_first_start(self) -> None:
        """Make no folders: Faust would make them for tables, which are not used, in the working directory."""


class _NoTables(TableManager):  # type: ignore[misc]
    async def on_start(self) -> None:
        """As Faust's own, which first waits a second for tables to be registered."""
        await self._update_channels()
        await self.recovery.start()


class StreamApp:
    """A Faust app run inside our own event loop: `start`, then records come, then `stop`.

    `on_record` is awaited for each message, and may wait: Faust then stops fetching. `on_revoked` is called before
    partitions go to another worker, and no record of them comes after it. `assigned` is set while this worker knows
    its partitions, which may be none.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Topics,
        group: str,
        *,
        security: KafkaSecurity = PLAINTEXT,
        session_timeout_s: float = SESSION_TIMEOUT_S,
        on_record: Callable[[Record], Awaitable[None]],
        on_revoked: Callable[[Iterable[Place]], None],
    ) -> None:
        self.assigned = asyncio.Event()
        self._on_record = on_record
        self._on_revoked = on_revoked
        self._failure: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._app = _App(
            group,
            broker=f"kafka://{bootstrap}",
            broker_credentials=_credentials(security),
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=session_timeout_s,
            broker_heartbeat_interval=1.0,
            stream_wait_empty=False,
            stream_buffer_maxsize=16,
            consumer_max_fetch_size=_FETCH_BYTES,
            producer_acks=-1,
            producer_max_request_size=_SEND_BYTES,
            loghandlers=[],
            TableManager=_NoTables,
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
        self._app.on_partitions_revoked.connect(self._revoked, weak=False)
        self._app.on_partitions_assigned.connect(self._assigned, weak=False)

    async def _revoked(self, _: Any, places: Iterable[TP], **__: Any) -> None:
        self.assigned.clear()
        self._on_revoked([Place(place.topic, place.partition) for place in places])

    async def _assigned(self, *_: Any, **__: Any) -> None:
        self.assigned.set()

    async def _consume(self, stream: Any) -> None:
        async for event in stream.events():
            # What Faust had in hand as the partitions were revoked is read again by whoever owns them next.
            if not self.assigned.is_set() or self._app.rebalancing:
                continue
            try:
                await self._on_record(_record(event.message))
            except Exception as error:  # noqa: BLE001  any: Faust would restart the agent behind this very record
                if not self._failure.done():
                    self._failure.set_result(error)
                await asyncio.Event().wait()

    async def start(self) -> None:
        """Join the group and begin to consume."""
        self._app.finalize()
        await self._app.start()

    async def stop(self) -> None:
        """Leave the group; the agents end. In bounded time, also when Kafka is away."""
        stopping = asyncio.create_task(self._app.stop())
        await asyncio.wait({stopping}, timeout=_STOP_S)
        stopping.cancel()

    async def failed(self) -> BaseException | None:
        """Wait until Faust gives up or `on_record` fails, and say why; for ever as long as all is well."""
        stopped = asyncio.create_task(self._app.wait_until_stopped())
        try:
            await asyncio.wait({stopped, self._failure}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        reason: BaseException | None = self._failure.result() if self._failure.done() else self._app.crash_reason
        return reason

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Commit offsets (the next to read); False when partitions are just changing hands.

        Best effort: what is not assigned any more is left out, and whoever has it reads again.
        """
        owned = self.places()
        mine = {TP(*place): offset for place, offset in offsets.items() if place in owned}
        if not mine or self._app.rebalancing:
            return False
        done: bool = await self._app.consumer._commit(mine)  # noqa: SLF001  see the head of this file
        return done

    async def send(self, topic: str, partition: int | None, key: bytes | None, value: bytes, headers: Headers) -> None:
        """Append a message and wait for its acknowledgement."""
        await self._app.producer.send_and_wait(topic, key, value, partition, None, headers)

    async def start_of(self, place: Place) -> int | None:
        """Where the group goes on in a partition: at what it has committed, else at the first record that there is.

        It is Kafka that is asked: what came first need not be it, for after a rebalance the client may still hand over
        what it had fetched before. None of a partition that went to somebody else meanwhile.
        """
        partition, consumer = TP(*place), self._app.consumer
        thread = consumer._thread  # noqa: SLF001  pinned, as `_commit`
        while place in self.places():
            try:
                asked = thread._ensure_consumer()  # noqa: SLF001
                committed: int | None = await thread.call_thread(asked.committed, partition)
                if committed is not None:
                    return committed
                earliest: int = (await consumer.earliest_offsets(partition))[partition]
            except KafkaError:  # it is away, or the partition is just changing hands
                await asyncio.sleep(_AGAIN_S)
            else:
                return earliest
        return None

    async def read_again(self, place: Place, offset: int) -> None:
        """Go back to an offset."""
        await self._app.consumer.seek_wait({TP(*place): offset})

    async def ends(self) -> dict[Place, int]:
        """Where each of this worker's partitions ends now: the offset after the last record."""
        places = self.places()
        ends = await self._app.consumer.highwaters(*(TP(*place) for place in places)) if places else {}
        return {Place(place.topic, place.partition): offset for place, offset in ends.items()}

    def known_end(self, place: Place) -> int | None:
        """Where a partition ended when the client last fetched from it; None of one that is new, or somebody else's."""
        try:
            end: int | None = self._app.consumer.highwater(TP(*place))
        except (AssertionError, IllegalStateError):
            return None
        return end

    async def position(self, place: Place) -> int | None:
        """The offset that the client will hand over next; None of a partition that went to somebody else meanwhile."""
        try:
            position: int = await self._app.consumer.position(TP(*place))
        except IllegalStateError:
            return None
        return position

    def places(self) -> set[Place]:
        """This worker's partitions."""
        return {Place(place.topic, place.partition) for place in self._app.consumer.assignment()}


def _credentials(security: KafkaSecurity) -> Any:
    """For Faust's consumer and producer; its transport hands SCRAM on to aiokafka as it does PLAIN."""
    if security.protocol == "SASL_SSL":
        return faust.SASLCredentials(
            username=security.sasl_username,
            password=security.sasl_password.get_secret_value(),
            ssl_context=security.context,
            mechanism=security.sasl_mechanism,
        )
    return faust.SSLCredentials(security.context) if security.protocol == "SSL" else None


def _record(message: Any) -> Record:
    headers = message.headers or []
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Record(
        place=Place(message.topic, message.partition),
        offset=message.offset,
        timestamp_us=round(message.timestamp * 1e6),
        headers=[(name, value or b"") for name, value in pairs],
        value=message.value or b"",
    )
