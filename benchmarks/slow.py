"""How long the findings of an hour take: 1,000 requests/s, 700,000 rows of looks, 360,000 samples.

    python -m benchmarks.slow [--store DIR] [--hours 1]

Writes two runs into an embedded store (or takes those that the folder holds), all that a worker would write of them:
3.6 million requests to six endpoints, all with a tail; looks at all threads 39 times a second, five rows each; samples
of 300 stacks; windows as the join makes them, and minutes. One run holds its rate, which is what slow requests are best
compared in; the other visits four rates in random order, and one function gets dearer as they rise. Then slow requests
are compared, and the whole report is built, each in a process that has done nothing before. The aims are 10 s and 5 s.
"""

import argparse
import contextlib
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from benchmarks.drawn import ENDPOINTS, WINDOW_US, request_rows, sample_rows
from processors.join import join_window
from schemas.batches import Batch
from schemas.events import EventData, StageEntered
from schemas.minutes import MinuteKey, minute_of
from schemas.precision import latencies_us
from schemas.rows import STACKS, StackFacts
from schemas.stacks import WAITING, fold, frame, unfold
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from sinks.store import StoredBatch
from tests.support.batches import request_batch, stack_batch
from tests.support.stored_tails import STAGE, hold_events

HOLD, LEVELS = "hold-1h", "levels-1h"
TPS, LOOKS_HZ, STOOD = 1_000, 39, 5
RATES, VISITS = (267, 533, 1_067, 2_133), 4
REQUESTS_A_SAMPLE, US_A_SAMPLE = 10, 5_000
SWEPT_TPS = 200.0
"""The dear function has as many samples a second as the square of the rate over this has units."""
TAIL_SHARE, TAIL_US = 0.015, 200_000
FIRST = 1_790_000_000 // 60 * 60
_STEP = 60


@dataclass(frozen=True, slots=True)
class Visit:
    """So many seconds of one rate; its requests carry the label."""

    label: str
    seconds: int
    tps: int


def visits_of(run: str, seconds: int) -> list[Visit]:
    """One rate all the time, or four of them in random order, several times each."""
    if run == HOLD:
        return [Visit(STAGE, seconds, TPS)]
    rates = np.random.default_rng(3).permutation(np.repeat(RATES, VISITS)).tolist()
    return [Visit(f"map[{place}]", seconds // len(rates), rate) for place, rate in enumerate(rates)]


def requests_of(random: np.random.Generator, window: int, visit: Visit) -> pa.RecordBatch:
    """A second of requests, some of which took a fifth of a second longer."""
    rows = request_rows(random, window, visit.tps, visit.label)
    more_us = np.where(random.random(visit.tps) < TAIL_SHARE, TAIL_US + random.integers(0, TAIL_US, visit.tps), 0)
    at_us = rows["scheduled_at"].cast(pa.int64()).to_numpy() - more_us
    took_us = rows["latency_us"].to_numpy() + more_us
    changed = {
        "scheduled_at": pa.array(at_us).cast(pa.timestamp("us", tz="UTC")),
        "latency_us": pa.array(latencies_us(took_us)),
    }
    columns = [changed.get(name, rows[name]) for name in rows.schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def stacks_of(random: np.random.Generator, window: int, visit: Visit, texts: pa.Array) -> pa.RecordBatch:
    """A second of samples, and of looks: at each one stack runs, of the first half of `texts`, and the others wait.

    The last of the texts is the one that gets dearer.
    """
    looks, half = LOOKS_HZ * STOOD, len(texts) // 2
    at_us = window * WINDOW_US + np.repeat(np.arange(LOOKS_HZ) * (WINDOW_US // LOOKS_HZ) // 1000 * 1000, STOOD)
    waits = np.arange(looks) % STOOD != 0
    seen = random.integers(0, half, looks) + half * waits
    parts = [
        sample_rows(random, window, visit.tps // REQUESTS_A_SAMPLE),
        _rows(at_us, seen, texts, WINDOW_US // LOOKS_HZ, "wall"),
    ]
    if visit.label != STAGE:
        swept = random.poisson((visit.tps / SWEPT_TPS) ** 2)
        at_us = window * WINDOW_US + np.sort(random.integers(0, WINDOW_US, swept)) // 1000 * 1000
        parts.append(_rows(at_us, np.full(swept, len(texts) - 1), texts, US_A_SAMPLE, "cpu"))
    table = pa.Table.from_batches(parts).unify_dictionaries().combine_chunks()
    return table.to_batches()[0]


def _rows(at_us: np.ndarray, stack: np.ndarray, texts: pa.Array, weight_us: int, mode: str) -> pa.RecordBatch:
    columns = [
        pa.array(at_us).cast(pa.timestamp("us", tz="UTC")),
        pa.array(np.full(len(at_us), weight_us, np.uint32)),
        pa.array(np.full(len(at_us), 7001, np.uint64)),
        pa.DictionaryArray.from_arrays(pa.array(stack.astype(np.int32)), texts),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(at_us), np.int8)), pa.array([mode])),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=STACKS)


def events_of(run: str, visits: list[Visit], began_us: int) -> list[EventData]:
    """What is told of a run."""
    ends_us = began_us + sum(visit.seconds for visit in visits) * WINDOW_US
    started, held, ended = hold_events(run, began_us, ends_us, TPS)
    if run == HOLD:
        return [started, held, ended]
    begins_us = began_us + np.cumsum([0, *(visit.seconds * WINDOW_US for visit in visits)])
    stages = [
        StageEntered(
            run_id=run,
            label=visit.label,
            stage="map",
            form="level",
            visit=place,
            starts_at_us=int(begins_us[place]),
            ends_at_us=int(begins_us[place + 1]),
            rate_from_tps=visit.tps,
            rate_to_tps=visit.tps,
            settle_us=2_000_000,
        )
        for place, visit in enumerate(visits)
    ]
    return [started, *stages, ended]


def make_run(store: ClickHouseStore, run: str, first: int, seconds: int) -> int:
    """Write a run that begins with a window; the window behind its last one. Blocks for minutes."""
    random, visits = np.random.default_rng(5), visits_of(run, seconds)
    store.write_events(events := events_of(run, visits, first * WINDOW_US), [first * WINDOW_US] * len(events))
    running = sample_rows(random, first, 2_000)["stack"].dictionary.to_pylist()
    sweep = fold([*unfold(running[0]), frame("sweep", "shop.py")])
    texts = pa.array([*running, *(fold([*unfold(text), WAITING]) for text in running), sweep])
    of_window = [visit for visit in visits for _ in range(visit.seconds)]
    last = first + len(of_window)
    for start in range(first, last, _STEP):
        windows = range(start, min(start + _STEP, last))
        batches = [_batches(random, run, window, of_window[window - first], texts) for window in windows]
        store.write_batches([StoredBatch(one, 0, one.header.key.window) for pair in batches for one in pair])
        store.write_windows(
            [
                join_window(run, window, WINDOW_US, [requests], [stacks], closed_by="producers")
                for window, (requests, stacks) in zip(windows, batches, strict=True)
            ]
        )
        store.write_minutes([MinuteKey(run, minute_of(start, WINDOW_US), WINDOW_US)])
    return last


def _batches(random: np.random.Generator, run: str, window: int, visit: Visit, texts: pa.Array) -> tuple[Batch, Batch]:
    stacks = stacks_of(random, window, visit, texts)
    facts = StackFacts(
        service="shop",
        instance="pid-100",
        pid=100,
        backend="austin",
        timing="exact",
        cpu_us=US_A_SAMPLE * (stacks.num_rows - LOOKS_HZ * STOOD),
        covered_us=WINDOW_US,
        rss_bytes=80 << 20,
        threads=STOOD,
    )
    return (
        request_batch(requests_of(random, window, visit), run=run, window=window, final=True),
        stack_batch(stacks, run=run, window=window, facts=facts, final=True),
    )


def make_store(client: Client, hours: float) -> None:
    """Make the store, unless it is there. Blocks for minutes."""
    migrate(client)
    if client.query("SELECT count() FROM windows_stored").result_rows[0][0]:
        return
    store, first = ClickHouseStore(client), FIRST
    for run in (HOLD, LEVELS):
        first = -(-make_run(store, run, first, round(hours * 3600)) // _STEP) * _STEP


def compare(client: Client, run: str) -> str:
    """What is said of slow requests."""
    from views.facts import read_run  # noqa: PLC0415  what is imported is not what is timed
    from views.slow import findings_of  # noqa: PLC0415

    return findings_of(client, read_run(client, run))[0].summary


def report(client: Client, run: str) -> str:
    """All of the report."""
    from views.report import build_report  # noqa: PLC0415

    found = build_report(client, run).findings
    return f"{len(found)} findings: {', '.join(one.kind for one in found)}"


def timed(url: str, step: Callable[[Client, str], str], run: str) -> None:
    """Do it and print what it took. In a process of its own."""
    import views.report  # noqa: F401, PLC0415

    with contextlib.closing(open_client(url)) as client:
        client.query("SELECT count() FROM windows")
        before_mb, before_s, before_cpu_s = _most_mb(), time.perf_counter(), time.process_time()
        said = step(client, run)
        took_s, cpu_s = time.perf_counter() - before_s, time.process_time() - before_cpu_s
    memory = f"memory {before_mb:,.0f} -> {_most_mb():,.0f} MB"
    print(f"{run}, {step.__name__}: {took_s:.1f} s, {cpu_s:.1f} s of CPU, {memory}; {said}")


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(step: Callable[..., object], *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=step, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def made(url: str, hours: float) -> None:
    """Make the store and say what it holds. In a process of its own: the embedded engine has one place."""
    with contextlib.closing(open_client(url)) as client:
        make_store(client, hours)
        for run in (HOLD, LEVELS):
            requests, samples, functions, looks = (
                int(client.query(f"SELECT count() FROM {some} AND run = '{run}'").result_rows[0][0])
                for some in (
                    "requests WHERE true",
                    "samples WHERE true",
                    "functions WHERE true",
                    "samples WHERE mode = 'wall'",
                )
            )
            print(
                f"{run}: {requests:,} requests to {len(ENDPOINTS)} endpoints, {samples:,} samples, {looks:,} of them "
                f"rows of looks, {functions:,} rows of functions by window"
            )


def main() -> None:
    """Print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a folder to keep the store in, for another time")
    parser.add_argument("--hours", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadflame-slow-") as folder:
        url = f"chdb://{(given.store or Path(folder) / 'store').absolute()}"
        _apart(made, url, given.hours)
        for run in (HOLD, LEVELS):
            for step in (compare, report):
                _apart(timed, url, step, run)


if __name__ == "__main__":
    main()
