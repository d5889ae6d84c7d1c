from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

import sinks.clickhouse
import views.runs
from loadflame.commands import runs as runs_command
from sinks.clickhouse import ClickHouseStore
from sinks.store import DeadLetter
from tests.support.batches import WINDOW, WINDOW_US
from tests.support.synthetic import Synthetic, levels, shop_costs
from views.report import Report, build_report
from views.runs import RunRow, State, UnknownRunError, list_runs, resolve_run


def report_of(store: ClickHouseStore, client: Client, synthetic: Synthetic) -> Report:
    synthetic.write(store)
    return build_report(client, synthetic.run)


def test_an_unknown_run_is_told_with_the_newest_ones(clickhouse_store: ClickHouseStore, store_client: Client) -> None:
    Synthetic(run="monday", stages=levels(visits=1, seconds=1)).write(clickhouse_store)
    with pytest.raises(UnknownRunError, match=r"no run 'to\{run\}day' in the store; the newest are monday"):
        build_report(store_client, "to{run}day")
    with pytest.raises(UnknownRunError, match="no run 'tuesday' in the store; the newest are monday"):
        resolve_run(store_client, "tuesday")
    assert resolve_run(store_client, "last") == resolve_run(store_client, "monday") == "monday"


def test_an_empty_store_says_how_to_begin(store_client: Client) -> None:
    assert list_runs(store_client) == []
    with pytest.raises(UnknownRunError, match="holds no runs yet; `loadflame demo` makes one"):
        resolve_run(store_client, "last")


def test_runs_are_listed_with_the_names_of_the_contract(
    clickhouse_store: ClickHouseStore, store_client: Client
) -> None:
    Synthetic(run="monday", stages=levels(visits=1, seconds=1)).write(clickhouse_store)
    Synthetic(run="tuesday", stages=levels(visits=1, seconds=1), reason=None).write(clickhouse_store)
    listed = {row.id: row.model_dump(mode="json") for row in list_runs(store_client)}
    started = datetime.fromtimestamp(WINDOW * WINDOW_US / 1e6, UTC)
    assert listed["monday"] == {
        "id": "monday",
        "service": "shop",
        "started_at": started.isoformat().replace("+00:00", "Z"),
        "ended_at": datetime.fromtimestamp(WINDOW + 4, UTC).isoformat().replace("+00:00", "Z"),
        "verdict": None,
        "state": "ended",
    }
    assert (listed["tuesday"]["ended_at"], listed["tuesday"]["state"]) == (None, "live")


def test_a_run_that_nothing_is_heard_of_any_more_is_broken_off(
    clickhouse_store: ClickHouseStore, store_client: Client
) -> None:
    Synthetic(run="killed", stages=levels(visits=1, seconds=4), reason=None).write(clickhouse_store)
    assert build_report(store_client, "killed").run.why == "the run has not ended"
    store_client.command(
        "ALTER TABLE heard_stored UPDATE heard_at = subtractMinutes(heard_at, 3) WHERE true SETTINGS mutations_sync = 2"
    )
    (run,) = list_runs(store_client)
    assert (run.state, run.ended_at, run.verdict) == ("broken off", None, None)
    why = build_report(store_client, "killed").run.why
    assert why == "the run was broken off: nobody said its end, and nothing more was heard of it"


def test_a_run_without_a_verdict_is_listed_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    at = datetime.now(UTC)
    states: tuple[State, ...] = ("live", "broken off", "ended")
    rows = [RunRow(id=f"r{n}", service="s", started_at=at, ended_at=None, verdict=None, state=state)
            for n, state in enumerate(states)]  # fmt: skip
    monkeypatch.setattr(sinks.clickhouse, "open_for_reading", lambda _: None)
    monkeypatch.setattr(views.runs, "list_runs", lambda _: rows)
    runs_command.runs(data_dir=tmp_path)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split("–", 1)[1].strip() for line in lines] == ["live", "broken off", "–"]


def test_runs_in_one_store_do_not_mix(clickhouse_store: ClickHouseStore, store_client: Client) -> None:
    Synthetic(run="other", costs=shop_costs(planted=False), seed=5).write(clickhouse_store)
    at_us = WINDOW * WINDOW_US + 1
    letters = [DeadLetter("loadflame.requests", 0, at, "torn", at_us, 9, run) for at, run in enumerate(("other", ""))]
    clickhouse_store.write_dead_letters(letters)
    report = report_of(clickhouse_store, store_client, Synthetic(run="mine"))
    assert report.accounting.stored == 12_000
    assert report.accounting.dead_letters == 1  # the one that says of no run that it is its own
    assert report.profile.samples < 10_000
    assert report.findings[0].kind == "superlinear"


def test_a_report_over_http_is_the_same(server_client: Client) -> None:
    report = report_of(ClickHouseStore(server_client), server_client, Synthetic(stages=levels(visits=2, seconds=4)))
    assert report.findings[0].function == "sweep (shop.py)"
    assert report.accounting.stored == report.accounting.completed
