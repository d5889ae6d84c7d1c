"""How long every query of the page takes on the store of a 24-hour soak at 10,000 requests/s: p50 and p95.

    python -m benchmarks.reading [--store DIR] [--rounds 20] [--hours 24]

Makes the store first (see `benchmarks.soaked`) unless the folder holds one, its minutes by the worker's own code. Each
query is asked over the whole run and over its last 15 minutes, by the tier that the page would choose, warm, the
queries in random order, and all rows come back as Arrow. On the embedded engine with two threads; `cpu ms` is what all
threads took (the median), which a busy machine hardly changes.
"""

import argparse
import os
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from benchmarks.soaked import FUNCTIONS, HZ, RUN, STACKS_SEEN, TPS, Soak
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from views.web import queries
from views.web.queries import Shown, Span

STRETCHES = {"whole": None, "15 min": 900}
TARGETS_MS = {"whole": 300, "15 min": 100}
_QUIET_S = 2.0
_MORE = {"function": "handle_0", "file": "module_0.py", "most": 12, "endpoint": "", "least_us": 0}


def _store(client: Client, hours: float) -> None:
    """Make the store, unless it is there."""
    migrate(client)
    if not client.query("SELECT count() FROM windows_stored").result_rows[0][0]:
        began_s = time.monotonic()
        Soak(client, hours).write()
        print(f"the store took {time.monotonic() - began_s:.0f} s to make")
    store = ClickHouseStore(client)
    keys = store.unmade_minutes()
    began_s = time.monotonic()
    store.write_minutes(keys)
    if keys:
        print(f"its {len(keys)} minutes took {time.monotonic() - began_s:.0f} s")
    while client.query("SELECT count() FROM system.merges").result_rows[0][0]:
        time.sleep(_QUIET_S)


def _sizes(client: Client) -> None:
    rows = client.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) / 1e6 FROM system.parts WHERE active AND database = {name:String} "
        "GROUP BY table HAVING sum(rows) > 1000 ORDER BY 3 DESC",
        {"name": client.database},
    ).result_rows
    print("\n".join(f"  {table:26} {count:>12,} rows {size:8.1f} MB" for table, count, size in rows))


def _asked(client: Client) -> list[tuple[str, str, dict[str, Any], Shown]]:
    """Name, stretch, parameters and text of all that is asked."""
    (head,) = queries.fetch(client, queries.RUN_HEAD, run=RUN).to_pylist()
    window_us = head["window_us"]
    asked = []
    for stretch, windows in STRETCHES.items():
        end_us = (head["last"] + 1) * window_us
        start_us = (head["first"] if windows is None else head["last"] + 1 - windows) * window_us
        span = Span.of(start_us, end_us, window_us)
        for over in queries.OVER:
            text = over.at(span.tier)
            of_span = span
            if over is queries.HEAT:
                of_span = Span.of(start_us, end_us, window_us, points=300)
            given = {**_MORE, **of_span.parameters, "run": RUN}
            asked.append((text.name, stretch, {name: given[name] for name in text.parameters}, text))
        asked += [(one.name, stretch, _of_run(one), one) for one in queries.OF_RUN]
    return asked


def _of_run(text: Shown) -> dict[str, Any]:
    return {**text.parameters, "run": RUN} if "run" in text.parameters else text.parameters


def _measure(client: Client, rounds: int) -> None:
    asked = _asked(client)
    took_ms: defaultdict[int, list[float]] = defaultdict(list)
    cpu_ms: defaultdict[int, list[float]] = defaultdict(list)
    rows: dict[int, int] = {}
    for turn in range(rounds + 1):
        for place in random.sample(range(len(asked)), len(asked)):
            *_, parameters, text = asked[place]
            began_s, cpu_s = time.perf_counter(), time.process_time()
            rows[place] = queries.fetch(client, text, **parameters).num_rows
            if turn:  # the first round warms
                took_ms[place].append((time.perf_counter() - began_s) * 1e3)
                cpu_ms[place].append((time.process_time() - cpu_s) * 1e3)
    print(f"{'query':52} {'stretch':8} {'rows':>7} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8}")
    missed = 0
    for place in sorted(took_ms, key=lambda one: (asked[one][1] != "whole", -float(np.percentile(took_ms[one], 95)))):
        name, stretch, *_ = asked[place]
        p50, p95 = np.percentile(took_ms[place], [50, 95])
        missed += p95 > TARGETS_MS[stretch]
        mark = "" if p95 <= TARGETS_MS[stretch] else f"  over {TARGETS_MS[stretch]} ms"
        print(f"{name:52} {stretch:8} {rows[place]:7,} {p50:8.1f} {p95:8.1f} {np.median(cpu_ms[place]):8.1f}{mark}")
    print(
        f"{missed} of {len(asked)} over their target; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a folder to keep the store in, for another time")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--hours", type=float, default=24.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadflame-reading-") as folder:
        client = open_client(f"chdb://{(given.store or Path(folder) / 'store').absolute()}")
        client.set_client_setting("max_threads", 2)
        try:
            _store(client, given.hours)
            print(f"{given.hours:g} h at {TPS:,} requests/s, {FUNCTIONS} functions, {STACKS_SEEN:,} stacks at {HZ} Hz")
            _sizes(client)
            _measure(client, given.rounds)
        finally:
            client.close()


if __name__ == "__main__":
    main()
