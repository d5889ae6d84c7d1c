"""What else there is in the store of `benchmarks.soaked`: a thousand short runs, and one beside the soak, as long.

The one beside it is its twin, told from it by name, and nobody said its end: the list of runs has to look how long ago
it was heard of. Of functions by window and of samples it has none, for nothing reads those of a run beside another. The
short runs are a minute long, each has the windows of another minute of the soak and that minute, and one in fifty was
broken off.
"""

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client

from benchmarks.soaked import RUN
from schemas.events import RunEnded, RunJudged, RunStarted
from sinks.clickhouse import ClickHouseStore

TWIN = "soak-24h-twin"
SHORT_RUNS = 1_000
_MINUTE_US = 60_000_000
_COPIED = (
    "windows_stored", "endpoints_stored", "minutes_stored", "minute_endpoints_stored", "minute_functions_stored",
    "minute_stacks_stored",
)  # fmt: skip
_OF_SOAK = "SELECT * FROM {} WHERE run = {{run:String}}"
_PLAN = {
    "service": "shop",
    "stages": [{"name": f"level-{n}", "levels": [25, 50, 100, 200], "visits": 4, "each": "8s"} for n in range(4)],
    "requests": [{"name": f"endpoint-{n}", "weight": n, "path": f"/path/{n}?q=" + 60 * "x"} for n in range(20)],
}


def write_others(client: Client) -> None:
    """Write them beside the soak, whose minutes are made. Blocks for seconds."""
    ((start_us,),) = client.query(
        "SELECT toUnixTimestamp64Micro(started_at) FROM runs WHERE run = {run:String}", {"run": RUN}
    ).result_rows
    for table in _COPIED:
        # A flush is of one run; so much later nothing else was written.
        some = "{twin:String} AS run, flush + bitShiftLeft(toUInt64(7), 22) AS flush"
        copied = f"INSERT INTO {table} SELECT * REPLACE ({some}) FROM ({_OF_SOAK.format(table)})"
        client.command(copied, {"run": RUN, "twin": TWIN})
    texts = "INSERT INTO stacks_stored SELECT * REPLACE ({twin:String} AS run)"
    client.command(f"{texts} FROM ({_OF_SOAK.format('stacks_stored')})", {"run": RUN, "twin": TWIN})
    for table, minute in (("windows_stored", "intDiv(window, 60)"), ("minutes_stored", "minute")):
        named = f"concat('short-', toString({minute})) AS run"
        client.command(
            f"INSERT INTO {table} SELECT * REPLACE ({named}) FROM ({_OF_SOAK.format(table)} "
            f"AND {minute} < {{first:UInt64}} + {{runs:UInt64}})",
            {"run": RUN, "first": start_us // _MINUTE_US, "runs": SHORT_RUNS},
        )
    events = [*_events(start_us)]
    ClickHouseStore(client).write_events(events, [start_us] * len(events))


def _events(start_us: int) -> Iterator[RunStarted | RunEnded | RunJudged]:
    yield _started(TWIN, start_us)
    for number in range(SHORT_RUNS):
        starts_us = start_us + number * _MINUTE_US
        run = f"short-{starts_us // _MINUTE_US}"
        yield _started(run, starts_us)
        if number % 50:
            yield RunEnded(run_id=run, ended_at_us=starts_us + _MINUTE_US, reason="finished", producers=1)
            yield RunJudged(run_id=run, verdict="passed")


def _started(run: str, at_us: int) -> RunStarted:
    return RunStarted(
        run_id=run, service="shop", target="http://127.0.0.1:8080", started_at_us=at_us, window_us=1_000_000,
        partitions=4, engine="wire", plan=_PLAN,
    )  # fmt: skip
