"""Reading minutes back as the records that went in."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.joined import JoinedEndpoint, JoinedFunction
from schemas.minutes import JoinedMinute, StackCpu
from schemas.sketch import Sketch
from sinks.errors import store_errors
from sinks.minutes import ENDPOINT_SUMS, FUNCTION_SUMS

_BETWEEN = "run = {run:String} AND minute BETWEEN {first:UInt64} AND {last:UInt64}"
_PARTS = ("endpoints", "functions", "stacks")
_SCALARS = tuple(one.name for one in fields(JoinedMinute) if one.name not in ("run_id", *_PARTS))
_WITH_TEXTS = (
    "(SELECT * FROM minute_stacks_stored LEFT ANY JOIN "
    "(SELECT run, stack_id, stack FROM stacks_stored) AS texts USING (run, stack_id)) AS seen"
)


def read_minutes(client: Client, run_id: str, first: int, last: int) -> dict[int, JoinedMinute]:
    """See `Store.read_minutes`."""
    some: dict[str, Any] = {"run": run_id, "first": first, "last": last}
    with store_errors("read minutes"):
        records = list(client.query(f"SELECT * FROM minutes_stored FINAL WHERE {_BETWEEN}", some).named_results())
        # Rows are asked for by the flushes of the records, so that both are of one state.
        some["flushes"] = [row["flush"] for row in records]
        endpoints = _rows(client, some, "minute_endpoints_stored", "stage, endpoint", ENDPOINT_SUMS, sketch=True)
        functions = _rows(client, some, "minute_functions_stored", "service, function, file", FUNCTION_SUMS)
        stacks = _rows(client, some, _WITH_TEXTS, "service, stack", ("samples", "cpu_us"))
    return {
        row["minute"]: JoinedMinute(
            run_id,
            **{name: row[name] for name in _SCALARS},
            endpoints=tuple(map(_endpoint, endpoints[row["flush"]])),
            functions=tuple(JoinedFunction(*one) for one in functions[row["flush"]]),
            stacks=tuple(StackCpu(*one) for one in stacks[row["flush"]]),
        )
        for row in records
    }


def _rows(
    client: Client, some: dict[str, Any], table: str, names: str, sums: Sequence[str], *, sketch: bool = False
) -> defaultdict[int, list[Sequence[Any]]]:
    """Rows by flush, ordered by their names."""
    columns = [names, *sums, *(["latency_buckets", "latency_counts"] if sketch else [])]
    where = f"{_BETWEEN} AND flush IN {{flushes:Array(UInt64)}} ORDER BY {names}"
    found: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for flush, *row in client.query(f"SELECT flush, {', '.join(columns)} FROM {table} WHERE {where}", some).result_rows:
        found[flush].append(row)
    return found


def _endpoint(row: Sequence[Any]) -> JoinedEndpoint:
    stage, endpoint, completed, failed, unanswered, sent, received, buckets, counts = row
    latency = Sketch(tuple(buckets), tuple(counts))
    return JoinedEndpoint(stage, endpoint, completed, failed, unanswered, sent, received, latency)
