"""A run whose truth is known, written through the store as the pipeline writes it.

The service is a single process. Each second of it spends CPU by `COST_US`, microseconds per request as a function of
the rate, plus a fixed part; a sampler of known recall sees it at 400 Hz. Nothing is random but counts, from a seed.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import JsonValue

from schemas.censoring import unanswered
from schemas.events import LoadTotals, ProducerEnded, RunEnded, RunStarted, StageEntered
from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.precision import UNKNOWN_US
from schemas.rows import ENDPOINT, REQUESTS, STACKS, STACKS_JOINED, RequestFacts, StackFacts
from schemas.sketch import Sketch
from schemas.stacks import split_frame, unfold
from sinks.store import Store, StoredBatch
from tests.support.batches import WINDOW, WINDOW_US, request_batch, stack_batch

HZ = 400
RECALL = 0.9
LATE_US = 40_000
FIXED_US_PER_S = 12_000.0
USUAL_CHECKOUT = 0.3

PLUMBING = ("main (shop.py)", "run_forever (asyncio/base_events.py)", "_run_once (asyncio/base_events.py)")
FIXED_STACK = ";".join(PLUMBING)
SWEEP, RANK, SIGN = "sweep (shop.py)", "rank (shop.py)", "sign (shop.py)"
SEARCH, CHECKOUT = "search (shop.py)", "checkout (shop.py)"


def _stack(*labels: str) -> str:
    return ";".join((*PLUMBING, "start (aiohttp/web_protocol.py)", *labels))


Costs = dict[str, Callable[[float], float]]


def shop_costs(*, planted: bool = True, sweep_us: float = 4.0) -> Costs:
    """CPU microseconds per request by stack, at a rate; `planted` makes the sweep grow with it."""

    def sweep(tps: float) -> float:
        return sweep_us * tps if planted else 400.0

    return {
        _stack("write (aiohttp/http_writer.py)"): lambda _: 150.0,
        _stack(SEARCH): lambda _: 40.0,
        _stack(SEARCH, RANK): lambda _: 350.0,
        _stack(SEARCH, SWEEP): lambda tps: sweep(tps) * 0.7,
        _stack(CHECKOUT): lambda _: 20.0,
        _stack(CHECKOUT, SIGN): lambda _: 120.0,
        _stack(CHECKOUT, SWEEP): lambda tps: sweep(tps) * 0.3,
    }


@dataclass(frozen=True, slots=True)
class Stage:
    """One segment to be run; `to_tps` makes it a ramp. `checkout` is the part of the requests that are checkouts."""

    label: str
    stage: str
    form: str
    seconds: int
    tps: float
    to_tps: float | None = None
    visit: int = 0
    role: Literal["measure", "warm-up", "cool-down"] = "measure"
    checkout: float = USUAL_CHECKOUT
    modulate: float = 0.0


def levels(
    rates: Sequence[float] = (40, 80, 160, 320), *, visits: int = 4, seconds: int = 5, seed: int = 3
) -> list[Stage]:
    """Visits of some rates in random order."""
    order = [(rate, visit) for rate in rates for visit in range(visits)]
    np.random.default_rng(seed).shuffle(order)
    return [
        Stage(f"map[{place}]", "map", "level", seconds, float(rate), visit=int(visit))
        for place, (rate, visit) in enumerate(order)
    ]


def mixes(tps: float = 160, *, visits: int = 8, seconds: int = 4) -> list[Stage]:
    """Visits of one rate with as many checkouts as searches, and with next to none, in turns."""
    return [
        Stage(f"mix[{at}]", "mix", "level", seconds, tps, visit=at, checkout=(0.03, 0.57)[at % 2], modulate=0.9)
        for at in range(visits)
    ]


def _asked(stack: str, checkout: float) -> float:
    """How often a stack's endpoint is asked for, over how often it usually is."""
    if CHECKOUT in stack:
        return checkout / USUAL_CHECKOUT
    return (1 - checkout) / (1 - USUAL_CHECKOUT) if SEARCH in stack else 1.0


@dataclass(slots=True)
class Synthetic:
    """What to write. `dropped_per_s` and `timeouts_per_s` happen at the highest rate only, on top of the rest;
    the answers that time out had a head of `head_status`, or none.

    In `late_windows` (by number, from 0) the generator dispatches 40 ms late. `observed`: the requests came by
    themselves; `untimed`: nobody took their latency. `joined`: of what handlers do it is known whose requests it was.
    """

    stages: Sequence[Stage] = field(default_factory=levels)
    costs: Costs = field(default_factory=shop_costs)
    run: str = "run-1"
    thresholds: Sequence[str] = ("p99 < 500ms", "errors < 1%")
    reason: str | None = "finished"
    note: str = ""
    died: bool = False
    seed: int = 1
    dropped_per_s: int = 0
    timeouts_per_s: int = 0
    head_status: int = 0
    in_flight_at_end: int = 0
    rows_lost: int = 0
    clock_correction_us: int = 0
    clock_residual_us: int | None = None
    unprofiled_windows: int = 0
    backend: str = "austin"
    threads: int = 1
    busiest_share: float = 1.0
    dispatch_lag_us: int = 120
    latency_us: int = 9_000
    late_windows: Collection[int] = ()
    planned: Sequence[dict[str, JsonValue]] = ()
    first_window: int = WINDOW
    observed: bool = False
    untimed: bool = False
    joined: bool = False
    totals: LoadTotals = field(default_factory=LoadTotals, init=False)

    def write(self, store: Store) -> None:
        """Write the run; `totals` then holds what the load did."""
        random = np.random.default_rng(self.seed)
        batches, joined = [], []
        count = dict.fromkeys(("scheduled", "sent", "completed", "failed", "dropped"), 0)
        top = max(max(stage.tps, stage.to_tps or 0) for stage in self.stages)
        for number, (stage, tps) in enumerate(self._seconds()):
            window = self.first_window + number
            extra = tps == top
            completed = round(tps)
            failed = self.timeouts_per_s if extra else 0
            dropped = self.dropped_per_s if extra else 0
            lag_us = LATE_US if number in self.late_windows else self.dispatch_lag_us
            rows = self._requests(random, window, stage, completed=completed, failed=failed, lag_us=lag_us)
            requests = RequestFacts(
                engine="aiohttp",
                scheduled=completed + failed + dropped,
                sent=completed + failed,
                dropped=dropped,
                in_flight=3,
                generator_cpu_us=90_000,
            )
            stacks, facts = self._samples(
                random, window, tps, stage.checkout, profiled=number >= self.unprofiled_windows
            )
            mine = [request_batch(rows, run=self.run, window=window, facts=requests, final=True)]
            if facts:
                mine.append(stack_batch(stacks, run=self.run, window=window, facts=facts, final=True))
            batches += [StoredBatch(batch, 0, len(batches) + place) for place, batch in enumerate(mine)]
            joined.append(
                _joined(
                    run=self.run,
                    window=window,
                    label=stage.label,
                    requests=rows,
                    facts=requests,
                    stacks=stacks,
                    profile=facts,
                    failed=failed,
                )
            )
            for name, value in zip(
                count, (completed + failed + dropped, completed + failed, completed, failed, dropped), strict=True
            ):
                count[name] += value
        count["scheduled"] += self.in_flight_at_end
        for name in ("scheduled", "sent", "completed"):
            count[name] += self.rows_lost
        self.totals = LoadTotals(**count, in_flight_at_end=self.in_flight_at_end, target_counted=count["sent"])
        store.write_batches(batches)
        store.write_windows(joined)
        events = list(self._events())
        store.write_events(events, [self.first_window * WINDOW_US] * len(events))

    def _seconds(self) -> Iterator[tuple[Stage, float]]:
        for stage in self.stages:
            for second in range(stage.seconds):
                share = (second + 0.5) / stage.seconds
                yield stage, stage.tps + ((stage.to_tps or stage.tps) - stage.tps) * share

    def _requests(
        self, random: np.random.Generator, window: int, stage: Stage, *, completed: int, failed: int, lag_us: int
    ) -> pa.RecordBatch:
        count = completed + failed
        latency = (self.latency_us * np.exp(random.normal(0, 0.3, count))).astype(np.uint32)
        latency[completed:] = 5_000_000
        taken = np.full(count, UNKNOWN_US, np.uint32) if self.untimed else latency
        latency *= not self.untimed
        ended = window * WINDOW_US + np.sort(random.integers(0, WINDOW_US, count))
        in_vain = np.arange(count) >= completed
        endpoint = (random.random(count) < stage.checkout).astype(np.int16)
        lag = np.full(count, lag_us, np.uint32)
        columns = [
            pa.array(ended - latency, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array(lag),
            pa.array(lag + np.uint32(50)),
            pa.array(taken),
            pa.array(np.where(in_vain, self.head_status, 200).astype(np.uint16)),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16), mask=~in_vain), ["timeout"]),
            pa.DictionaryArray.from_arrays(pa.array(endpoint), ["search", "checkout"]),
            pa.array(np.full(count, 200, np.uint64)),
            pa.array(np.where(in_vain, 0, 800).astype(np.uint64)),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16)), [stage.label]),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)

    def _samples(
        self, random: np.random.Generator, window: int, tps: float, checkout: float, *, profiled: bool
    ) -> tuple[pa.RecordBatch, StackFacts | None]:
        us = {stack: cost(tps) * round(tps) * _asked(stack, checkout) for stack, cost in self.costs.items()}
        us[FIXED_STACK] = FIXED_US_PER_S
        seen = {stack: random.poisson(value / 1e6 * HZ * RECALL) if profiled else 0 for stack, value in us.items()}
        stacks = [stack for stack, count in seen.items() for _ in range(count)]
        random.shuffle(stacks)
        at = window * WINDOW_US + np.sort(random.integers(0, WINDOW_US, len(stacks)))
        columns = [
            pa.array(at, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array(np.full(len(stacks), 1_000_000 // HZ, np.uint32)),
            pa.array(np.full(len(stacks), 7, np.uint64)),
            pa.array(stacks, pa.string()).dictionary_encode(),
            pa.array(["cpu"] * len(stacks), pa.string()).dictionary_encode().cast(STACKS.field("mode").type),
        ]
        rows = pa.RecordBatch.from_arrays(columns, schema=STACKS)
        if self.joined and stacks:
            whose = ["checkout" if CHECKOUT in one else "search" if SEARCH in one else None for one in stacks]
            endpoints = pa.array(whose, pa.string()).dictionary_encode().cast(ENDPOINT.type)
            rows = pa.RecordBatch.from_arrays([*columns, endpoints], schema=STACKS_JOINED)
        if not profiled:
            return rows, None
        cpu_us = round(sum(us.values()))
        return rows, StackFacts(
            service="shop",
            instance="pid-100",
            pid=100,
            backend=self.backend,
            cpu_us=cpu_us,
            busiest_thread_us=round(cpu_us * self.busiest_share),
            run_queue_us=2_000,
            rss_bytes=80 << 20,
            threads=self.threads,
            covered_us=995_000,
            period_us=1_000_000 // HZ,
            agent_cpu_us=20_000,
            own_cpu_us=180_000,
        )

    def _events(self) -> Iterator[RunStarted | StageEntered | ProducerEnded | RunEnded]:
        at_us = self.first_window * WINDOW_US
        yield RunStarted(
            run_id=self.run,
            service="shop",
            target="http://127.0.0.1:8080",
            started_at_us=at_us,
            window_us=WINDOW_US,
            partitions=4,
            engine="aiohttp",
            engine_reason="the plan has scenarios",
            plan={"observed": {"by": "access log", "from": "access.log"}}
            if self.observed
            else {"service": "shop", "thresholds": list(self.thresholds), "stages": list(self.planned)},
        )
        for stage in self.stages:
            yield StageEntered(
                run_id=self.run,
                label=stage.label,
                stage=stage.stage,
                form=stage.form,
                visit=stage.visit,
                starts_at_us=at_us,
                ends_at_us=at_us + stage.seconds * WINDOW_US,
                settle_us=min(2, stage.seconds - 1) * WINDOW_US if stage.form == "level" else 0,
                role=stage.role,
                modulate=stage.modulate,
                rate_from_tps=stage.tps,
                rate_to_tps=stage.tps if stage.to_tps is None else stage.to_tps,
            )
            at_us += stage.seconds * WINDOW_US
        rows = self.totals.completed + self.totals.failed
        yield ProducerEnded(
            run_id=self.run,
            producer_id="load-1",
            role="load",
            batches_acknowledged=len(self.stages),
            rows_acknowledged=rows,
            rows_lost=self.rows_lost,
            clock_correction_us=self.clock_correction_us,
            clock_residual_us=self.clock_residual_us,
            clock_error_us=None if self.clock_residual_us is None else 2_000,
            totals=self.totals,
            died=self.died,
            note="the load process of shard 1/1 died" if self.died else "",
        )
        if self.reason:
            yield RunEnded(run_id=self.run, ended_at_us=at_us, reason=self.reason, producers=2, note=self.note)


def _joined(
    *,
    run: str,
    window: int,
    label: str,
    requests: pa.RecordBatch,
    facts: RequestFacts,
    stacks: pa.RecordBatch,
    profile: StackFacts | None,
    failed: int,
) -> JoinedWindow:
    latencies, names = requests["latency_us"].to_numpy(), requests["endpoint"].to_pylist()
    in_vain = unanswered(requests)
    endpoints = []
    for name in sorted(set(names)):
        mine = np.array([one == name for one in names])
        endpoints.append(
            JoinedEndpoint(
                label,
                name,
                int((mine & ~in_vain).sum()),
                int((mine & in_vain).sum()),
                int((mine & in_vain).sum()),
                200 * int(mine.sum()),
                800 * int((mine & ~in_vain).sum()),
                Sketch.of(latencies[mine & (latencies != UNKNOWN_US)]),
            )
        )
    seen = stacks["stack"].to_pylist()
    self_seen: dict[str, int] = {}
    total_seen: dict[str, int] = {}
    for stack in seen:
        labels = unfold(stack)
        self_seen[labels[-1]] = self_seen.get(labels[-1], 0) + 1
        for frame in set(labels):
            total_seen[frame] = total_seen.get(frame, 0) + 1
    cpu_us = profile.cpu_us if profile else 0
    us_per_sample = cpu_us / max(len(seen), 1)
    functions = tuple(
        JoinedFunction(
            "shop",
            *split_frame(name),
            self_seen.get(name, 0),
            total,
            round(self_seen.get(name, 0) * us_per_sample),
            round(total * us_per_sample),
        )
        for name, total in sorted(total_seen.items())
    )
    return JoinedWindow(
        run_id=run,
        window=window,
        window_us=WINDOW_US,
        batches_covered=2,
        closed_by="producers",
        scheduled=facts.scheduled,
        sent=facts.sent,
        dropped=facts.dropped,
        in_flight=facts.in_flight,
        completed=int((~in_vain).sum()),
        failed=failed,
        generator_cpu_us=facts.generator_cpu_us,
        busiest_generator_us=facts.generator_cpu_us,
        dispatch_lag_p99_us=int(requests["dispatch_lag_us"][0].as_py()),
        instances=1 if profile else 0,
        covered_us=profile.covered_us if profile else 0,
        samples=len(seen),
        cpu_us=cpu_us,
        unattributed_us=0,
        busiest_thread_us=profile.busiest_thread_us if profile else 0,
        run_queue_us=profile.run_queue_us if profile else 0,
        agent_cpu_us=profile.agent_cpu_us if profile else 0,
        own_cpu_us=profile.own_cpu_us if profile else 0,
        host_cpu_us=0,
        endpoints=tuple(endpoints),
        functions=functions,
    )
