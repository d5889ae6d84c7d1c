"""How long every query of the page and of the dashboards takes on the store of a 24-hour soak at 10,000 requests/s.

    python -m benchmarks.reading [--store DIR] [--rounds 20] [--hours 24]

Makes the store first (see `benchmarks.soaked`) unless the folder holds one, its minutes by the worker's own code. Each
query is asked over the whole run and over 15 minutes near its end, by the tier that the page would choose, warm, the
queries in random order, and all rows come back as Arrow. Those of the dashboards are asked as Grafana would send them,
with all endpoints and functions and, where it makes a difference, with one of each, beside a run as long
(`benchmarks.others`); alert rules look back from the end of the run. On the embedded engine with two threads; `cpu ms`
is what all threads took (the median), which a busy machine hardly changes.
"""

import argparse
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from clickhouse_connect.driver.client import Client

from benchmarks.others import SHORT_RUNS, TWIN, write_others
from benchmarks.soaked import FUNCTIONS, HZ, RUN, STACKS_SEEN, TPS, Soak
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.support.grafana_macros import Value, expanded
from tests.support.grafana_sql import CHOICES, every_sql
from views.grafana.alert_rules import RULES
from views.web import queries
from views.web.heads import MOST_RUNS
from views.web.more_queries import KNOWN, RUN_FIGURES
from views.web.queries import Shown, Span
from views.web.shown import Summed
from views.web.summed import WHOLE, inside, summed

STRETCHES = {"whole": None, "15 min": 900}
_RAGGED = 17
"""Windows that a short stretch ends before the run does: nobody points at whole minutes."""
TARGETS_MS = {"whole": 300, "15 min": 100}
RULE_IDS = {rule.uid for rule in RULES}
_QUIET_S = 2.0
_MORE = {"function": "handle_0", "file": "module_0.py", "most": 12, "endpoint": "", "least_us": 0}
_POINTS = 1_500
"""Of a graph in Grafana on a wide screen."""
_CHOSEN: dict[str, Value] = {**CHOICES, "run": RUN, "baseline": TWIN, "later": "0"}
_ONE: dict[str, Value] = {"endpoint": ["search"], "function": ["handle_0 (module_0.py)"]}


class Asked(NamedTuple):
    """A query over a stretch."""

    name: str
    stretch: str
    sql: str
    parameters: dict[str, Any]


def make_store(client: Client, hours: float = 24.0) -> None:
    """Make the store, unless it is there. Blocks for minutes."""
    migrate(client)
    if not client.query("SELECT count() FROM windows_stored").result_rows[0][0]:
        began_s = time.monotonic()
        Soak(client, hours).write()
        print(f"the store took {time.monotonic() - began_s:.0f} s to make")
    store = ClickHouseStore(client)
    keys = store.unmade_minutes(RUN)
    began_s = time.monotonic()
    store.write_minutes(keys)
    if keys:
        print(f"its {len(keys)} minutes took {time.monotonic() - began_s:.0f} s")
    if not client.query("SELECT count() FROM runs WHERE run = {run:String}", {"run": TWIN}).result_rows[0][0]:
        write_others(client)
    while client.query("SELECT count() FROM system.merges").result_rows[0][0]:
        time.sleep(_QUIET_S)


def _sizes(client: Client) -> None:
    rows = client.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) / 1e6 FROM system.parts WHERE active AND database = {name:String} "
        "GROUP BY table HAVING sum(rows) > 1000 ORDER BY 3 DESC",
        {"name": client.database},
    ).result_rows
    print("\n".join(f"  {table:26} {count:>12,} rows {size:8.1f} MB" for table, count, size in rows))


def _asked(client: Client) -> Iterator[Asked]:
    """All that is asked."""
    (head,) = queries.fetch(client, queries.RUN_HEAD, run=RUN).to_pylist()
    window_us = head["window_us"]
    listed = queries.fetch(client, queries.RUN_LIST, service="", most=MOST_RUNS, skip=0)["run"].to_pylist()
    for stretch, windows in STRETCHES.items():
        end_us = (head["last"] + 1 - (0 if windows is None else _RAGGED)) * window_us
        start_us = head["first"] * window_us if windows is None else end_us - windows * window_us
        yield from _of_page(client, stretch, start_us, end_us, window_us=window_us, listed=listed)
        yield from _of_dashboards(stretch, start_us // 1_000_000, end_us // 1_000_000 - 1)
    yield from _of_rules((head["last"] + 1) * window_us // 1_000_000 - 1)


def _of_page(
    client: Client, stretch: str, start_us: int, end_us: int, *, window_us: int, listed: list[str]
) -> Iterator[Asked]:
    span = Span.of(start_us, end_us, window_us)
    for over in queries.OVER:
        of_span = span
        if over is queries.HEAT:
            of_span = Span.of(start_us, end_us, window_us, points=300)
        text, given = over.at(span.tier), {**_MORE, **of_span.parameters, "run": RUN}
        if isinstance(over, Summed):
            sums = summed(client, RUN, span)
            text, given = over.at(sums.way), {**given, **sums.parameters}
        yield Asked(text.name, stretch, text.sql, {name: given[name] for name in text.parameters})
    if span.tier == "windows":
        asked = inside(RUN, span, span.whole_minutes)
        yield Asked(WHOLE.name, stretch, WHOLE.sql, asked)
    for text in (*queries.OF_RUN, KNOWN):
        yield Asked(text.name, stretch, text.sql, _of_run(text))
    yield Asked(RUN_FIGURES.name, stretch, RUN_FIGURES.sql, {"runs": listed})


def _of_dashboards(stretch: str, start_s: int, last_s: int) -> Iterator[Asked]:
    start, end = (datetime.fromtimestamp(one, UTC) for one in (start_s, last_s))
    interval_s = max(1, (last_s - start_s) // _POINTS)
    seen: set[str] = set()
    for place, text in every_sql().items():
        if text in seen or place in RULE_IDS:
            continue
        seen.add(text)
        name = place.removeprefix("loadflame-")
        plain = expanded(text, start=start, end=end, interval_s=interval_s, **_CHOSEN)
        yield Asked(name, stretch, plain, {})
        one = expanded(text, start=start, end=end, interval_s=interval_s, **{**_CHOSEN, **_ONE})
        if one != plain:
            yield Asked(f"{name}, one", stretch, one, {})


def _of_rules(last_s: int) -> Iterator[Asked]:
    """The alert rules, each as far back as it looks."""
    end = datetime.fromtimestamp(last_s, UTC)
    for rule in RULES:
        plain = expanded(rule.sql, start=end - timedelta(seconds=rule.looks_back_s), end=end)
        yield Asked(f"rule {rule.uid}", "15 min", plain, {})


def _of_run(text: Shown) -> dict[str, Any]:
    return {**text.parameters, "run": RUN} if "run" in text.parameters else text.parameters


def _measure(client: Client, rounds: int) -> None:
    asked = [*_asked(client)]
    took_ms: defaultdict[int, list[float]] = defaultdict(list)
    cpu_ms: defaultdict[int, list[float]] = defaultdict(list)
    rows: dict[int, int] = {}
    for turn in range(rounds + 1):
        for place in random.sample(range(len(asked)), len(asked)):
            *_, sql, parameters = asked[place]
            began_s, cpu_s = time.perf_counter(), time.process_time()
            rows[place] = client.query_arrow(sql, parameters, use_strings=True).num_rows
            if turn:  # the first round warms
                took_ms[place].append((time.perf_counter() - began_s) * 1e3)
                cpu_ms[place].append((time.process_time() - cpu_s) * 1e3)
    print(f"{'query':58} {'stretch':8} {'rows':>7} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8}")
    missed = 0
    for place in sorted(took_ms, key=lambda one: (asked[one][1] != "whole", -float(np.percentile(took_ms[one], 95)))):
        name, stretch, *_ = asked[place]
        p50, p95 = np.percentile(took_ms[place], [50, 95])
        missed += p95 > TARGETS_MS[stretch]
        mark = "" if p95 <= TARGETS_MS[stretch] else f"  over {TARGETS_MS[stretch]} ms"
        print(f"{name:58} {stretch:8} {rows[place]:7,} {p50:8.1f} {p95:8.1f} {np.median(cpu_ms[place]):8.1f}{mark}")
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
            make_store(client, given.hours)
            print(
                f"{given.hours:g} h at {TPS:,} requests/s, {FUNCTIONS} functions, {STACKS_SEEN:,} stacks at {HZ} Hz, "
                f"beside its twin and {SHORT_RUNS:,} short runs"
            )
            _sizes(client)
            _measure(client, given.rounds)
        finally:
            client.close()


if __name__ == "__main__":
    main()
