"""The list of runs, and a run without its figures."""

import json
from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from views.natural import PLAN_KEY
from views.queries import fetch
from views.ranges import Clock
from views.runs import unknown_run
from views.web import queries
from views.web.answers import Head, RunList, RunSummary, Stage
from views.web.more_queries import ENDPOINT_NAMES, RUN_FIGURES, RUN_P99

MOST_RUNS = 200


def run_list(client: Client, *, most: int = MOST_RUNS) -> RunList:
    """The newest runs with what they came to. Blocks; raises StoreError."""
    rows = fetch(client, queries.RUN_LIST, service="", most=most + 1, skip=0).to_pylist()
    listed = [row["run"] for row in rows[:most]]
    figures = {row["run"]: row for row in fetch(client, RUN_FIGURES, runs=listed).to_pylist()} if listed else {}
    if young := [run for run, row in figures.items() if row["is_young"]]:
        for row in fetch(client, RUN_P99, runs=young).to_pylist():
            figures[row["run"]] |= row
    return RunList(runs=tuple(_summary(row, figures.get(row["run"], {})) for row in rows[:most]), more=len(rows) > most)


def _summary(row: Mapping[str, Any], figures: Mapping[str, Any]) -> RunSummary:
    return RunSummary(
        id=row["run"],
        service=row["service"],
        target=row["target"],
        started_ms=row["started_us"] // 1000,
        ended_ms=None if row["ended_us"] is None else row["ended_us"] // 1000,
        verdict=row["verdict"] or None,
        state=row["state"],
        seconds=figures.get("seconds"),
        requests=figures.get("requests", 0),
        failed=figures.get("failed", 0),
        tps=figures.get("tps"),
        p99_ms=figures.get("p99_ms"),
        cores=figures.get("cores"),
    )


def head(client: Client, run: str) -> Head:
    """What a page needs to be laid out. Blocks; raises UnknownRunError or StoreError."""
    found = fetch(client, queries.RUN_HEAD, run=run).to_pylist()
    if not found:
        raise unknown_run(client, run)
    row = found[0]
    clock = Clock.of_head(row)
    over_us = None if row["state"] == "live" else row["heard_us"]
    part = clock.part()
    span = part.span(1)
    names = (
        () if clock.is_empty else fetch(client, ENDPOINT_NAMES.at(span.tier), run=run, **span.parameters)["endpoint"]
    )
    return Head(
        id=row["run"],
        service=row["service"],
        target=row["target"],
        engine=row["engine"],
        started_ms=clock.started_us // 1000,
        heard_ms=row["heard_us"] // 1000,
        state=row["state"],
        verdict=row["verdict"] or None,
        note=row["note"],
        window_s=clock.window_us / 1e6,
        first_s=None if clock.is_empty else part.from_s,
        last_s=None if clock.is_empty else part.to_s,
        endpoints=tuple(map(str, names)),
        stages=tuple(_stage(one, clock, over_us) for one in fetch(client, queries.STAGES, run=run).to_pylist()),
        observed=PLAN_KEY in json.loads(row["plan"] or "{}"),
    )


def _stage(row: Mapping[str, Any], clock: Clock, over_us: int | None) -> Stage:
    """A stage of a run that did not get through it ends with the run."""
    ends_us = row["ends_us"] if over_us is None else min(row["ends_us"], over_us)
    return Stage(
        label=row["label"],
        stage=row["stage"],
        form=row["form"],
        from_s=(row["starts_us"] - clock.started_us) / 1e6,
        to_s=(ends_us - clock.started_us) / 1e6,
        from_tps=row["rate_from_tps"],
        to_tps=row["rate_to_tps"],
        role=row["role"],
    )
