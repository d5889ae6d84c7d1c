"""The load of `find-limit`: one rate after the other, each judged before the next is chosen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from analysis.blocks import ERROR_SHARE
from analysis.limit_search import LimitSearch
from analysis.limits import GENERATOR_CORE_SHARE, LAG_LIMIT_US, LAG_SHARE_OF_P99, LIMITED_SHARE
from analysis.percentiles import Latencies
from analysis.steadiness import PLAIN_S, halves_agree, lost_for_long, plain_share
from loadflame.children import ChildError
from loadflame.settings import Settings
from loadflame.starting import ACKNOWLEDGE_S
from producers.load.guard import highest_tps
from producers.load.plan import Plan
from producers.load.rates import HIGHEST_TPS
from producers.load.runner import run_load
from producers.load.stages import Hold
from producers.publisher import KafkaPublisher, say_last_words
from schemas.censoring import unanswered
from schemas.events import LoadTotals, ProducerEnded, counted_by_target
from schemas.rows import RequestFacts, StackFacts
from schemas.thresholds import Threshold
from schemas.topics import Bulk
from views.facts import EndpointFacts
from views.load import broken_by
from views.outcome import Outcome

SETTLE_SHARE = 1 / 3
"""Of each step, at its beginning, that is for things to settle."""
LONGEST = 3
"""How many times its length a step is held at most, where it does not become steady."""

Window = tuple[int, pa.RecordBatch, RequestFacts]
"""A window as the load published it: number, rows, facts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried. `broken` says what did not hold, None when all did; `late` how the generator was.

    `steady` is whether the two halves of what it is judged by were alike.
    """

    tps: float
    achieved_tps: float
    p99_ms: float | None
    broken: str | None
    late: str | None = None
    seconds: float = 0.0
    steady: bool = True


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
            self.broker, self.settings.topics, self.run_id, source="loadflame/find-limit", spool=self.settings.spool
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


@dataclass(slots=True)
class StepWatch:
    """Follows a step window by window: is it over, and what came of it?"""

    thresholds: Sequence[Threshold]
    each_s: float
    window_us: int
    _windows: int = field(default=0, init=False)
    _steady: bool = field(default=False, init=False)
    _lost: float | None = field(default=None, init=False)

    def is_over(self, batches: Sequence[Window]) -> bool:
        """Whether the step has been held for long enough, by all its windows until now. Called after each of them."""
        if self._windows:
            return True
        limits = [one.limit for one in self.thresholds if one.metric in ("errors", "dropped") and one.is_from_above]
        share = plain_share(max(limits, default=ERROR_SHARE))
        lost = [rows.num_rows - rows["error"].null_count + facts.dropped for _, rows, facts in batches]
        self._lost = lost_for_long(lost, [facts.scheduled for *_, facts in batches], self.window_us, share)
        count = len(batches)
        if self._lost is None and count * self.window_us < self.each_s * 1e6:
            return False
        self._steady = self._lost is None and _is_steady(batches[_first_settled(count) :])
        if self._steady or self._lost is not None or count * self.window_us >= LONGEST * self.each_s * 1e6:
            self._windows = count
        return self._windows > 0

    def judged(self, batches: Sequence[Window], endpoints: Sequence[str], tps: float) -> Step:
        """What came of the step, of which some windows were over its end."""
        count = self._windows or len(batches)
        step = judged_step(batches, endpoints, self.thresholds, tps=tps, count=count, window_us=self.window_us)
        broken = step.broken
        if self._lost is not None:
            broken = broken or f"{self._lost:.0%} failed or were dropped, for {PLAIN_S:.0f} s"
        return replace(step, broken=broken, seconds=count * self.window_us / 1e6, steady=self._steady)


def _first_settled(count: int) -> int:
    return round(SETTLE_SHARE * count)


def _is_steady(settled: Sequence[Window]) -> bool:
    half = len(settled) // 2
    halves = settled[len(settled) - 2 * half :][:half], settled[len(settled) - half :]
    first_us, second_us = (
        np.concatenate([np.empty(0), *(_answered_us(rows) for _, rows, _ in windows)]) for windows in halves
    )
    return halves_agree(first_us, second_us)


def _answered_us(rows: pa.RecordBatch) -> np.ndarray:
    latency_us: np.ndarray = rows["latency_us"].to_numpy()[~unanswered(rows)]
    return latency_us.astype(np.float64)


def _sum(parts: Sequence[LoadTotals]) -> LoadTotals:
    summed = LoadTotals.model_fields.keys() - {"target_counted"}
    figures = {name: sum(getattr(part, name) for part in parts) for name in summed}
    return LoadTotals(**figures, target_counted=counted_by_target(part.target_counted for part in parts))


def judged_step(
    batches: Sequence[Window],
    endpoints: Sequence[str],
    thresholds: Sequence[Threshold],
    *,
    tps: float,
    count: int,
    window_us: int,
) -> Step:
    """Judge a step by its first `count` windows once it has settled; what was left unended counts too."""
    settled = [(rows, facts) for _, rows, facts in batches[_first_settled(count) : count]]
    seconds = len(settled) * window_us / 1e6
    rows = pa.Table.from_batches([rows for rows, _ in settled])
    names, in_vain = rows["endpoint"].to_numpy(), np.concatenate([unanswered(part) for part, _ in settled])
    latency_us = rows["latency_us"].to_numpy().astype(np.float64)
    errors = rows["error"].cast(pa.string())
    failed = errors.is_valid().to_numpy()
    found = []
    for name in endpoints:
        mine = names == name
        counted = errors.filter(pa.array(mine & failed)).value_counts().to_pylist()
        found.append(
            EndpointFacts(
                label="",
                endpoint=name,
                completed=int((mine & ~failed).sum()),
                failed=int((mine & failed).sum()),
                sent_bytes=0,
                received_bytes=0,
                latencies=Latencies.of(_counted(latency_us[mine & ~in_vain]), _counted(latency_us[mine & in_vain])),
                errors={one["values"]: one["counts"] for one in counted},
            )
        )
    scheduled, dropped = (sum(getattr(facts, name) for _, facts in settled) for name in ("scheduled", "dropped"))
    left = batches[-1][2].in_flight
    outcome = Outcome(tuple(found), scheduled, dropped, dropped + left, (~failed).sum() / seconds)
    p99 = outcome.latencies().quantile(0.99)
    lag_us = _lasting_lag_us([part["dispatch_lag_us"].to_numpy() for part, _ in settled])
    return Step(
        tps=tps,
        achieved_tps=float(outcome.tps),
        p99_ms=None if p99 is None else p99.us / 1000,
        broken=broken_by(thresholds, outcome, scheduled / seconds),
        late=_late(lag_us, p99.us if p99 else 0.0, sum(facts.generator_cpu_us for _, facts in settled) / seconds / 1e6),
    )


def _lasting_lag_us(lags_us: Sequence[np.ndarray]) -> float:
    """What the p99 of a window's lag came to in more windows than are borne (see `analysis.overrun.mostly_fit`)."""
    by_window = sorted((float(np.percentile(one, 99)) for one in lags_us if len(one)), reverse=True)
    borne = max(1, int(LIMITED_SHARE * len(lags_us)))
    return by_window[borne] if len(by_window) > borne else 0.0


def _late(lag_us: float, p99_us: float, core_share: float) -> str | None:
    """How the generator itself was the limit, as in `analysis.limits`; None when it was not."""
    if lag_us > max(LAG_LIMIT_US, LAG_SHARE_OF_P99 * p99_us):
        return f"it sent {lag_us / 1000:.0f} ms late"
    if core_share > GENERATOR_CORE_SHARE:
        return f"its own core was {core_share:.0%} busy"
    return None


def _counted(values: np.ndarray) -> list[tuple[float, int]]:
    distinct, counts = np.unique(values, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))
