"""Minutes in ClickHouse, made from what is visible of their windows and batches.

All that goes into a minute is named by the flushes that were visible when the making began: what is stored meanwhile
has the minute made again. Rows go first, then the record that names them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import structlog
from clickhouse_connect.driver.client import Client

from schemas.minutes import GREATEST, MINUTE_US, SUMS, MinuteKey, shared_us
from sinks.flushes import STALE_US, FlushIds
from sinks.truth_tables import text_column, time_column

_AT_ONCE = 10
_log = structlog.get_logger()
_SOME = "run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}"
_NAMED = f"{_SOME} AND flush IN {{flushes:Array(UInt64)}}"
_MINUTE = f"intDiv(window * {{window_us:UInt64}}, {MINUTE_US})"
ENDPOINT_SUMS = ("completed", "failed", "unanswered", "bytes_sent", "bytes_received")
FUNCTION_SUMS = ("self_samples", "total_samples", "self_cpu_us", "total_cpu_us")
_SKETCH = (
    "sumMap(one.latency_buckets, one.latency_counts) AS sketch, tupleElement(sketch, 1) AS latency_buckets, "
    "tupleElement(sketch, 2) AS latency_counts"
)


def _sums(names: Sequence[str], function: str = "sum") -> str:
    return ", ".join(f"toUInt64({function}(one.{name})) AS {name}" for name in names)


_RECORDS = f"""
SELECT
    {_MINUTE} AS minute, groupArray(one.flush) AS flushes, count() AS windows, countIf(one.closed_by = 'late') AS late,
    countIf(one.closed_by = 'grace') AS incomplete, countIf(one.instances = 0) AS unwatched,
    sumIf(one.window_us, one.instances > 0) AS watched_us,
    sumIf(one.completed + one.failed, one.instances > 0) AS watched_requests, min(one.instances) AS instances,
    {_sums(SUMS)}, {_sums(GREATEST, "max")}, {_SKETCH}
FROM windows_stored AS one FINAL
WHERE {_SOME}
GROUP BY minute
ORDER BY minute
"""
_ENDPOINTS = f"""
SELECT {_MINUTE} AS minute, stage, endpoint, {_sums(ENDPOINT_SUMS)}, {_SKETCH}
FROM endpoints_stored AS one
WHERE {_NAMED}
GROUP BY minute, stage, endpoint
"""
_FUNCTIONS = f"""
SELECT {_MINUTE} AS minute, service, function, file, {_sums(FUNCTION_SUMS)}
FROM functions_stored AS one
WHERE {_NAMED}
GROUP BY minute, service, function, file
"""
# A process is an instance that an agent watched in a window; it is told apart by its first flush.
_BATCHES = f"""
SELECT
    flush, {_MINUTE} AS minute, rows, min(flush) OVER process AS process, max(one.service) OVER process AS service,
    sum(cpu_us) OVER process AS process_us
FROM batches_stored AS one FINAL
WHERE topic = 'stacks' AND instance != '' AND {_SOME}
WINDOW process AS (PARTITION BY window, producer, instance)
ORDER BY flush
"""
_WEIGHTS = f"""
SELECT flush, mode = 'cpu' AS on_cpu, stack_id, count() AS samples, toUInt64(sum(one.weight_us)) AS weight_us
FROM samples_stored AS one
WHERE {_NAMED}
GROUP BY flush, on_cpu, stack_id
"""
_BEFORE = (
    "SELECT minute, service, stack_id, samples, cpu_us FROM minute_stacks "
    "WHERE run = {run:String} AND minute IN {minutes:Array(UInt64)}"
)
_UNMADE = f"""
SELECT run, minute, window_us
FROM
(
    SELECT
        run, intDiv(toUnixTimestamp64Micro(starts_at), {MINUTE_US}) AS minute, any(one.window_us) AS window_us,
        sum(one.batches_covered) AS visible
    FROM windows_stored AS one FINAL
    WHERE {{run:String}} IN ('', run)
    GROUP BY run, minute
) AS joined
LEFT JOIN
(
    SELECT run, toInt64(minute) AS minute, batches_covered AS covered
    FROM minutes_stored FINAL
    WHERE {{run:String}} IN ('', run)
) AS made USING (run, minute)
WHERE visible > covered
ORDER BY run, minute
"""


def unmade_minutes(client: Client, run_id: str | None) -> list[MinuteKey]:
    """See `Store.unmade_minutes`."""
    rows = client.query(_UNMADE, {"run": run_id or ""}).result_rows
    return [MinuteKey(str(run), int(minute), int(window_us)) for run, minute, window_us in rows]


def neighbours(keys: Sequence[MinuteKey]) -> Iterator[list[MinuteKey]]:
    """Minutes in order, a few of one run at a time, each right after the one before it."""
    some: list[MinuteKey] = []
    for key in sorted(keys):
        before = some and (some[-1].run_id, some[-1].minute + 1, some[-1].window_us)
        if some and (tuple(key) != before or len(some) == _AT_ONCE):
            yield some
            some = []
        some.append(key)
    if some:
        yield some


Insert = Callable[[str, pa.Table], None]


def make_minutes(
    client: Client, keys: Sequence[MinuteKey], flush_ids: FlushIds, insert: Insert, now_us: Callable[[], int]
) -> bool:
    """Make minutes of one run, whose windows are of one length, and store them by `insert`.

    What lies between the first and the last of them is made as well, so take neighbours. False when it took so long
    that it must be done again.
    """
    started_us = now_us()
    first, last = min(keys).windows[0], max(keys).windows[1]
    some = {"run": keys[0].run_id, "first": first, "last": last, "window_us": keys[0].window_us}

    def ask(sql: str, **more: Any) -> pa.Table:
        return client.query_arrow(sql, {**some, **more}, use_strings=True).combine_chunks()

    records = ask(_RECORDS)
    if not records.num_rows:
        return True
    minutes = records["minute"].to_numpy()
    flushes = np.array(flush_ids.take(len(minutes)), np.uint64)

    def named(rows: pa.Table, *, dated: bool = True) -> pa.Table:
        """With their run and the flush of their minute; rows of a minute that has no record are left out."""
        place = np.searchsorted(minutes, rows["minute"].to_numpy()).clip(max=len(minutes) - 1)
        there = minutes[place] == rows["minute"].to_numpy()
        rows, place = rows.filter(pa.array(there)), place[there]
        rows = rows.append_column("flush", pa.array(flushes[place]))
        rows = rows.append_column("run", text_column([keys[0].run_id] * rows.num_rows))
        starts = time_column((minutes[place].astype(np.int64) * MINUTE_US).tolist())
        return rows.append_column("starts_at", starts) if dated else rows

    visible = [flush for some_of in records["flushes"].to_pylist() for flush in some_of]
    insert("minute_endpoints_stored", named(ask(_ENDPOINTS, flushes=visible).drop_columns("sketch")))
    insert("minute_functions_stored", named(ask(_FUNCTIONS, flushes=visible)))
    insert("minute_stacks_stored", named(_stacks(ask), dated=False))
    if now_us() - started_us > STALE_US:
        return False
    records = named(records.drop_columns(["flushes", "sketch"]))
    insert("minutes_stored", records.append_column("made_at", time_column([now_us()] * records.num_rows)))
    return True


def _stacks(ask: Callable[..., pa.Table]) -> pa.Table:
    """CPU by minute and stack; of a minute whose samples have outlived their time, what was made of them before."""
    batches = ask(_BATCHES)
    flushes = batches["flush"].to_numpy()
    rows = ask(_WEIGHTS, flushes=flushes.tolist())
    of_batch = np.searchsorted(flushes, rows["flush"].to_numpy())
    found = np.bincount(of_batch, rows["samples"].to_numpy(), minlength=len(flushes))
    gone = np.unique(batches["minute"].to_numpy()[found < batches["rows"].to_numpy()]).tolist()
    on_cpu = rows["on_cpu"].to_numpy().astype(np.bool_)
    rows, of_batch = rows.filter(pa.array(on_cpu)), of_batch[on_cpu]
    weights_us = rows["weight_us"].to_numpy()
    processes, process = np.unique(batches["process"].to_numpy(), return_inverse=True)
    all_us = np.zeros(len(processes), np.uint64)
    np.add.at(all_us, process[of_batch], weights_us)
    cpu_us = shared_us(batches["process_us"].to_numpy()[of_batch], weights_us, all_us[process[of_batch]])
    shared = pa.table(
        {
            "minute": batches["minute"].take(pa.array(of_batch)),
            "service": batches["service"].take(pa.array(of_batch)),
            "stack_id": rows["stack_id"],
            "samples": rows["samples"],
            "cpu_us": pa.array(cpu_us),
        }
    )
    made = _added_up(shared)
    if not gone:
        return made
    before = ask(_BEFORE, minutes=gone)
    kept = np.unique(before["minute"].to_numpy())
    _log.warning("samples have outlived their time: stacks of minutes stay as they were", minutes=gone)
    return pa.concat_tables(
        [made.filter(pa.array(~np.isin(made["minute"].to_numpy(), kept))), before.cast(made.schema)]
    )


def _added_up(rows: pa.Table) -> pa.Table:
    """One row for each minute, service and stack."""
    keys, values = ["minute", "service", "stack_id"], ["samples", "cpu_us"]
    added = rows.group_by(keys).aggregate([(name, "sum") for name in values])
    return added.rename_columns([name.removesuffix("_sum") for name in added.column_names])
