"""The load of `find-limit`: one rate after the other, each judged before the next is chosen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from analysis.limit_search import LimitSearch
from analysis.limits import LAG_LIMIT_US, LAG_SHARE_OF_P99
from analysis.percentiles import Latencies
from loadflame.children import ChildError
from loadflame.settings import Settings
from loadflame.starting import STOP_S
from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.load.stages import Hold
from producers.publisher import KafkaPublisher, say_last_words
from schemas.censoring import unanswered
from schemas.events import LoadTotals, ProducerEnded
from schemas.rows import RequestFacts, StackFacts
from schemas.thresholds import Threshold
from schemas.topics import Bulk
from views.facts import EndpointFacts
from views.load import broken_by
from views.outcome import Outcome

SETTLE_SHARE = 1 / 3
"""Of each step, at its beginning, that is for things to settle."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried. `broken` says what did not hold, None when all did; `late` that the generator was."""

    tps: float
    achieved_tps: float
    p99_ms: float | None
    broken: str | None
    late: bool = False


class _Recording(KafkaPublisher):
    """Keeps what it publishes of one step, to be judged."""

    batches: list[tuple[int, pa.RecordBatch, RequestFacts]]

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
        publisher = _Recording(self.broker, self.settings.topics, self.run_id, source="loadflame/find-limit")
        publisher.batches = []
        await publisher.start()
        totals = LoadTotals()
        while not self._stop.is_set() and (tps := self.search.next_tps()) is not None:
            publisher.batches.clear()
            stage = Hold.model_validate({"name": f"find {tps:.4g}", "hold": tps, "for": self.each_s})
            part = await run_load(
                self.plan.model_copy(update={"stages": (stage,)}),
                publisher=publisher,
                run_id=self.run_id,
                start_at_us=self.start_at_us,
                window_us=self.settings.window_us,
                stop=self._stop,
                allow_hosts=self.settings.allow_hosts,
            )
            totals = _sum(totals, part)
            if self._stop.is_set():
                break
            step = judged_step(
                publisher.batches,
                [request.name for request in self.plan.requests],
                self.plan.parsed_thresholds(),
                tps=tps,
                each_s=self.each_s,
                window_us=self.settings.window_us,
            )
            self.steps.append(step)
            self.on_step(step)
            if step.late:
                self.note = f"the generator could not keep up at {tps:.4g} TPS; the service was not at its limit"
                break
            self.search.told(tps, held=step.broken is None)
        await say_last_words(publisher, self.run_id, "load", totals=totals, timeout_s=STOP_S)


def _sum(one: LoadTotals, other: LoadTotals) -> LoadTotals:
    figures = {name: getattr(one, name) + getattr(other, name) for name in LoadTotals.model_fields if name != _COUNTED}
    counted = [total.target_counted for total in (one, other) if total.target_counted is not None]
    return LoadTotals(**figures, target_counted=sum(counted) if counted else None)


_COUNTED = "target_counted"


def judged_step(
    batches: Sequence[tuple[int, pa.RecordBatch, RequestFacts]],
    endpoints: Sequence[str],
    thresholds: Sequence[Threshold],
    *,
    tps: float,
    each_s: float,
    window_us: int,
) -> Step:
    """Judge a step by its windows (number, rows, facts) once it has settled; what was left unended counts too."""
    first = batches[0][0]
    from_window = first + round(SETTLE_SHARE * each_s * 1e6 / window_us)
    to_window = first + round(each_s * 1e6 / window_us)
    settled = [(rows, facts) for window, rows, facts in batches if from_window <= window < to_window]
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
    lag_us = np.percentile(rows["dispatch_lag_us"].to_numpy(), 99) if len(rows) else 0.0
    return Step(
        tps=tps,
        achieved_tps=float(outcome.tps),
        p99_ms=None if p99 is None else p99.us / 1000,
        broken=broken_by(thresholds, outcome, scheduled / seconds),
        late=bool(lag_us > max(LAG_LIMIT_US, LAG_SHARE_OF_P99 * (p99.us if p99 else 0.0))),
    )


def _counted(values: np.ndarray) -> list[tuple[float, int]]:
    distinct, counts = np.unique(values, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))
