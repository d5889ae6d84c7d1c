"""The load of `find-limit`: one rate after the other, each judged before the next is chosen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from analysis.judging.limit_search import LimitSearch
from loadflame.children import ChildError
from loadflame.limit_steps import LONGEST, Step, StepWatch, Window
from loadflame.settings import Settings
from loadflame.starting import ACKNOWLEDGE_S
from producers.load.guard import highest_tps
from producers.load.plan import Plan
from producers.load.rates import HIGHEST_TPS
from producers.load.runner import run_load
from producers.load.stages import Hold
from producers.publisher import KafkaPublisher, say_last_words
from schemas.events import LoadTotals, ProducerEnded, counted_by_target
from schemas.kafka_security import KafkaSecurity
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import Bulk


class _Recording(KafkaPublisher):
    """Keeps what it publishes of one step, to be judged."""

    batches: list[Window]

    def publish(
        self,
        topic: Bulk,
        window: int,
        rows: pa.RecordBatch,
        facts: RequestFacts | StackFacts,
        *,
        final: bool,
        goodbye: bool = False,
    ) -> None:
        """See Publisher."""
        assert isinstance(facts, RequestFacts)
        self.batches.append((window, rows, facts))
        super().publish(topic, window, rows, facts, final=final, goodbye=goodbye)


@dataclass(slots=True)
class LimitLoad:
    """Begins when it is made, on the running loop; waited for and ended as a load in a process of its own is."""

    plan: Plan
    settings: Settings
    broker: str
    security: KafkaSecurity
    run_id: str
    start_at_us: int
    search: LimitSearch
    each_s: float
    on_step: Callable[[Step], None]
    note: str = ""
    producers: int = 1
    steps: list[Step] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None]" = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Wait until the search is over."""
        await asyncio.shield(self._task)

    async def finish(self, timeout_s: float) -> None:
        """End it early, and keep what was measured. Raises ChildError when it does not end in time."""
        self._stop.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self.wait()
        except TimeoutError:
            self._task.cancel()
            raise ChildError(f"the load did not end within {timeout_s:.0f} s") from None

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        """Nothing: it is no process of its own."""
        del until_us
        return ()

    async def _run(self) -> None:
        publisher = _Recording(
            self.broker,
            self.settings.topics,
            self.run_id,
            source="loadflame/find-limit",
            security=self.security,
            spool=self.settings.spool,
        )
        publisher.batches = []
        async with publisher:
            parts: list[LoadTotals] = []
            bound_tps = await highest_tps(self.plan.target, self.settings.max_tps)
            self.search.highest_tps = min(bound_tps, HIGHEST_TPS)
            while not self._stop.is_set() and (tps := self.search.next_tps()) is not None:
                part, step = await self._held(publisher, tps)
                parts.append(part)
                if step is None:
                    break
                self.steps.append(step)
                self.on_step(step)
                if step.late:
                    self.note = f"the generator could not keep up at {tps:.4g} TPS ({step.late})"
                    break
                self.search.told(tps, held=step.broken is None)
            await say_last_words(publisher, self.run_id, "load", totals=_sum(parts), timeout_s=ACKNOWLEDGE_S)

    async def _held(self, publisher: _Recording, tps: float) -> tuple[LoadTotals, Step | None]:
        """Hold a rate until it can be judged, and judge it; None when it was stopped before."""
        publisher.batches.clear()
        again = " again" if tps in self.search.steps else ""
        stage = Hold.model_validate({"name": f"find {tps:.6g}{again}", "hold": tps, "for": LONGEST * self.each_s})
        watch = StepWatch(self.plan.parsed_thresholds(), self.each_s, self.settings.window_us)
        over = asyncio.Event()
        stopping = asyncio.create_task(self._stop.wait())
        stopping.add_done_callback(lambda _: over.set())

        def look(_: object) -> None:
            if watch.is_over(publisher.batches):
                over.set()

        try:
            totals = await run_load(
                self.plan.model_copy(update={"stages": (stage,)}),
                publisher=publisher,
                run_id=self.run_id,
                start_at_us=self.start_at_us,
                window_us=self.settings.window_us,
                stop=over,
                on_progress=look,
                allow_hosts=self.settings.allow_hosts,
            )
        finally:
            stopping.cancel()
        if self._stop.is_set():
            return totals, None
        return totals, watch.judged(publisher.batches, [request.name for request in self.plan.requests], tps)


def _sum(parts: Sequence[LoadTotals]) -> LoadTotals:
    summed = LoadTotals.model_fields.keys() - {"target_counted"}
    figures = {name: sum(getattr(part, name) for part in parts) for name in summed}
    return LoadTotals(**figures, target_counted=counted_by_target(part.target_counted for part in parts))
