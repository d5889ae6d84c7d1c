"""The list of runs, and a run without its figures."""

from clickhouse_connect.driver.client import Client

from views import queries
from views.queries import fetch
from views.ranges import Clock
from views.web import texts
from views.web.answers import Head, RunList, RunSummary, Stage

MOST_RUNS = 200


def run_list(client: Client, *, most: int = MOST_RUNS) -> RunList:
    """The newest runs with what they came to. Blocks; raises StoreError."""
    rows = fetch(client, texts.RUN_LIST, most=most + 1).to_pylist()
    runs = tuple(
        RunSummary(
            id=row["run"],
            service=row["service"],
            target=row["target"],
            started_ms=row["started_ms"],
            ended_ms=row["ended_ms"],
            verdict=row["verdict"] or None,
            seconds=row["seconds"] or None,
            requests=int(row["requests"] or 0),
            failed=int(row["failed"] or 0),
            tps=row["tps"] or None,
            p99_ms=row["p99_ms"],
            cores=row["cores"],
        )
        for row in rows[:most]
    )
    return RunList(runs=runs, more=len(rows) > most)


def head(client: Client, run: str) -> Head:
    """What a page needs to be laid out. Blocks; raises UnknownRunError or StoreError."""
    clock = Clock.of(client, run)
    (row,) = fetch(client, queries.RUN, run=run).to_pylist()
    ended_ms = row["ended_at"] and round(row["ended_at"].timestamp() * 1e3)
    stages = fetch(client, queries.STAGES, run=run).to_pylist()
    span = clock.span()
    return Head(
        id=row["run"],
        service=row["service"],
        target=row["target"],
        engine=row["engine"],
        started_ms=clock.started_us // 1000,
        ended_ms=ended_ms,
        is_live=ended_ms is None,
        verdict=row["verdict"] or None,
        note=row["note"],
        window_s=clock.window_us / 1e6,
        first_s=None if clock.is_empty else span.from_s,
        last_s=None if clock.is_empty else span.to_s,
        endpoints=tuple(fetch(client, texts.ENDPOINT_NAMES, run=run)["endpoint"].to_pylist()),
        stages=tuple(_stage(one, clock, ended_ms) for one in stages),
    )


def _stage(row: dict[str, object], clock: Clock, ended_ms: int | None) -> Stage:
    """A stage of an aborted run ends with the run."""
    ends_us = int(str(row["ends_us"]))
    if ended_ms is not None:
        ends_us = min(ends_us, ended_ms * 1000)
    return Stage(
        label=str(row["label"]),
        stage=str(row["stage"]),
        form=str(row["form"]),
        from_s=(int(str(row["starts_us"])) - clock.started_us) / 1e6,
        to_s=(ends_us - clock.started_us) / 1e6,
        from_tps=float(str(row["rate_from_tps"])),
        to_tps=float(str(row["rate_to_tps"])),
        role=str(row["role"]),
    )
