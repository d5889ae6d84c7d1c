"""What stands where a load stands in a run that nobody loads: requests are told of as they end, none is sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from loadflame.children import ChildError
from loadflame.parts import Parts
from loadflame.starting import ACKNOWLEDGE_S
from producers.natural import Source, observe
from producers.publisher import KafkaPublisher, Publisher, say_last_words
from schemas.events import ProducerEnded

OpenSource = Callable[[Publisher], Source]
"""Opened when everything else is up; by the publisher's clock. Raises UserError when it cannot be."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: by what requests are told of (`engine`), and where that is found."""

    service: str
    engine: str
    where: str
    open_source: OpenSource
    wait_us: int


@dataclass(slots=True)
class NaturalLoad:
    """Stands where a load stands (see `loadflame.runs.Load`): it tells of requests instead of sending them."""

    watched: Watched
    parts: Parts
    run_id: str
    over: asyncio.Event
    """Set when enough was seen; that is how such a run ends well."""
    publisher: Publisher
    source: Source
    held: AsyncExitStack
    """What closes the two, once."""
    note: str = ""
    producers: int = 1
    _task: "asyncio.Task[None]" = field(init=False)

    def begin(self, start_us: int) -> None:
        """Publish what ends from then on, which is yet to come. Once, before anything below."""
        self._task = asyncio.create_task(self._run(start_us))

    async def wait(self) -> None:
        """See Load."""
        await asyncio.shield(self._task)

    async def finish(self, timeout_s: float) -> None:
        """See Load. What has ended by now is waited for as long as it may take to be told of; that comes on top."""
        timeout_s += max(self.watched.wait_us, self.source.settle_us) / 1e6
        self.over.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self.wait()
        except TimeoutError:
            self._task.cancel()
            raise ChildError(f"the requests seen were not brought home within {timeout_s:.0f} s") from None

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        """Nothing: it is no process of its own."""
        del until_us
        return ()

    async def _run(self, start_us: int) -> None:
        async with self.held:
            observed = await observe(
                self.source,
                publisher=self.publisher,
                run_id=self.run_id,
                start_us=start_us,
                window_us=self.parts.settings.window_us,
                stop=self.over,
                wait_us=self.watched.wait_us,
            )
            self.note = self.source.note
            await say_last_words(
                self.publisher,
                self.run_id,
                "load",
                totals=observed.totals,
                timeout_s=ACKNOWLEDGE_S,
                note=self.note[:1024],
            )


@contextlib.asynccontextmanager
async def opened(watched: Watched, parts: Parts, run_id: str, over: asyncio.Event) -> AsyncIterator[NaturalLoad]:
    """Connected to Kafka and listening already, and not begun: whoever says when it begins misses nothing since.

    Raises PublisherError, or what `watched.open_source` raises.
    """
    settings = parts.settings
    async with AsyncExitStack() as held:
        publisher = await held.enter_async_context(
            KafkaPublisher(
                parts.broker,
                settings.topics,
                run_id,
                source="loadflame/observe",
                security=parts.security,
                spool=settings.spool,
            )
        )
        source = held.enter_context(contextlib.closing(watched.open_source(publisher)))
        yield NaturalLoad(watched, parts, run_id, over, publisher, source, held)
