"""`dashboards push` against a strict stand-in for Grafana (see there). Nothing was pushed to a real one."""

import json
import threading
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from loadflame.cli import app
from sinks.errors import StoreError
from tests.support.grafana_stand_in import PASSWORD, TOKEN, USER, GrafanaStandIn
from views.grafana.alert_rules import RULES
from views.grafana.datasource import ClickHouseAccess, GrafanaError
from views.grafana.export import DASHBOARDS
from views.grafana.push import push

STORE = ClickHouseAccess.of_url("http://reader@clickhouse:8123/loadflame", "hidden")
HOT = "loadflame-hot-functions"


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[GrafanaStandIn]:
    monkeypatch.setattr("views.grafana.push._TIMEOUT_S", 60.0)
    with GrafanaStandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_everything_is_made_in_our_folder_and_a_second_push_writes_nothing_but_secrets(grafana: GrafanaStandIn) -> None:
    first = push(grafana.url, TOKEN, store=STORE)
    assert {change.state for change in first} == {"new"}
    assert set(grafana.dashboards) == {dashboard.uid for dashboard in DASHBOARDS}
    assert set(grafana.folder_of.values()) == set(grafana.folders) == {"loadflame"}
    assert set(grafana.rules) == {rule.uid for rule in RULES}
    assert len(grafana.calls) == 1 + 1 + len(DASHBOARDS) + len(RULES)
    grafana.calls.clear()
    second = push(grafana.url, TOKEN, store=STORE)
    assert {change.state for change in second} == {"unchanged"}
    assert grafana.calls == ["PUT /api/datasources/uid/loadflame-clickhouse"]  # whose secrets cannot be compared
    assert [change.details for change in second if change.details] == [
        ("password: set anew, for Grafana does not show them",)
    ]


def test_a_dry_run_says_the_same_and_writes_nothing(grafana: GrafanaStandIn) -> None:
    told = push(grafana.url, TOKEN, store=STORE, dry_run=True)
    assert grafana.calls == []
    assert told == push(grafana.url, TOKEN, store=STORE)
    grafana.dashboards[HOT]["panels"].pop()
    grafana.calls.clear()
    told = push(grafana.url, TOKEN, store=STORE, dry_run=True)
    assert grafana.calls == []
    assert [change.state for change in told].count("changed") == 1


def test_what_is_changed_is_told_by_panel_and_field_and_put_right(grafana: GrafanaStandIn) -> None:
    push(grafana.url, TOKEN, store=STORE)
    kept = deepcopy(grafana.dashboards[HOT])
    grafana.dashboards[HOT]["panels"][0]["title"] = "Mine"
    grafana.dashboards[HOT]["panels"][1]["targets"][0]["rawSql"] = "SELECT 1"
    grafana.dashboards[HOT]["panels"][2]["gridPos"]["w"] = 6
    grafana.datasources["loadflame-clickhouse"]["jsonData"]["host"] = "elsewhere"
    grafana.rules["loadflame-p99"]["data"][1]["model"]["conditions"][0]["evaluator"]["params"] = [900]
    changes = {change.what: change for change in push(grafana.url, TOKEN, store=STORE) if change.state == "changed"}
    assert changes.keys() == {
        "dashboard 'loadflame: TPS versus hot function'",
        "data source 'loadflame'",
        "alert rule 'loadflame: p99 is high'",
    }
    assert changes["dashboard 'loadflame: TPS versus hot function'"].details[:3] == (
        "panels 'Rate' is new",
        "panels 'Mine' is taken away",
        "panels 'Errors'.targets 'A'.rawSql: 6 of 6 lines are new",
    )
    assert "panels 'Duration'.gridPos.w: 8 instead of 6" in str(
        changes["dashboard 'loadflame: TPS versus hot function'"]
    )
    assert changes["data source 'loadflame'"].details == ("jsonData.host: 'clickhouse' instead of 'elsewhere'",)
    assert changes["alert rule 'loadflame: p99 is high'"].details == (
        "data 'B'.model.conditions[0].evaluator.params[0]: 500 instead of 900",
    )
    assert grafana.dashboards[HOT] == kept
    assert {change.state for change in push(grafana.url, TOKEN, store=STORE)} == {"unchanged"}


def test_what_people_moved_or_paused_stays_so(grafana: GrafanaStandIn) -> None:
    push(grafana.url, TOKEN, store=STORE)
    grafana.folders["team"] = {"uid": "team", "title": "Team"}
    grafana.folders["loadflame"]["title"] = "Load tests"
    grafana.folder_of[HOT] = "team"
    grafana.dashboards[HOT]["description"] = "old"
    grafana.rules["loadflame-p99"] |= {"isPaused": True, "for": "9m"}
    changed = [change.what for change in push(grafana.url, TOKEN, store=STORE) if change.state == "changed"]
    assert changed == ["dashboard 'loadflame: TPS versus hot function'", "alert rule 'loadflame: p99 is high'"]
    assert grafana.folder_of[HOT] == "team"
    assert grafana.folders["loadflame"]["title"] == "Load tests"
    assert grafana.rules["loadflame-p99"]["isPaused"]
    assert grafana.rules["loadflame-p99"]["for"] == "2m"


def test_what_a_file_provisions_is_left_to_the_file(grafana: GrafanaStandIn) -> None:
    push(grafana.url, TOKEN, store=STORE)
    grafana.by_file = {HOT, "loadflame-clickhouse", "loadflame-p99"}
    assert {change.state for change in push(grafana.url, TOKEN, store=STORE)} == {"unchanged"}
    grafana.dashboards[HOT]["refresh"] = "1m"
    grafana.datasources["loadflame-clickhouse"]["jsonData"]["port"] = 1
    grafana.rules["loadflame-p99"]["for"] = "9m"
    left = [change for change in push(grafana.url, TOKEN, store=STORE) if change.state == "left out"]
    assert [change.details[1] for change in left] == [
        "jsonData.port: 8123 instead of 1",
        "refresh: '5s' instead of '1m'",
        "for: '2m' instead of '9m'",
    ]
    assert all("provisioned from a file" in change.details[0] for change in left)


def test_rules_wait_for_a_data_source_to_read(grafana: GrafanaStandIn) -> None:
    states = [change.state for change in push(grafana.url, TOKEN)]
    assert states.count("left out") == len(RULES)
    assert not grafana.rules
    assert not grafana.datasources
    push(grafana.url, TOKEN, store=STORE)
    grafana.rules.clear()
    assert [change.state for change in push(grafana.url, TOKEN)].count("new") == len(RULES)


def test_links_to_our_page_lead_where_it_is(grafana: GrafanaStandIn) -> None:
    for nowhere in ("javascript:alert(1)", "loadflame.example", "http://loadflame.example/?next="):
        with pytest.raises(GrafanaError, match="no address of a page"):
            push(grafana.url, TOKEN, page=nowhere)
    assert not grafana.dashboards
    push(grafana.url, TOKEN, page="https://loadflame.example:8790/")
    for dashboard in grafana.dashboards.values():
        (page,) = (one for one in dashboard["templating"]["list"] if one["name"] == "page")
        assert page["query"] == page["current"]["value"] == "https://loadflame.example:8790"


def test_user_and_authority_of_the_stores_url_become_the_data_sources(grafana: GrafanaStandIn, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("reader")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "reader.pem")
    ours.private_key_pem.write_to_path(tmp_path / "reader.key")
    (tmp_path / "password").write_text("from a file\n")
    url = (
        f"https://us%40er@clickhouse:9443/other?ca_cert={tmp_path}/ca.pem&password_file={tmp_path}/password"
        f"&client_cert={tmp_path}/reader.pem&client_cert_key={tmp_path}/reader.key"
    )
    push(grafana.url, TOKEN, store=ClickHouseAccess.of_url(url, "unused"))
    (source,) = grafana.datasources.values()
    assert source["jsonData"] == {
        "host": "clickhouse",
        "port": 9443,
        "protocol": "http",
        "secure": True,
        "username": "us@er",
        "defaultDatabase": "other",
        "tlsAuthWithCACert": True,
        "tlsAuth": True,
    }
    assert source["secureJsonData"]["password"] == "from a file"
    assert source["secureJsonData"]["tlsCACert"] == (tmp_path / "ca.pem").read_text()
    assert source["secureJsonData"]["tlsClientKey"] == (tmp_path / "reader.key").read_text()
    assert "PRIVATE" not in repr(ClickHouseAccess.of_url(url, ""))
    assert "from a file" not in repr(ClickHouseAccess.of_url(url, ""))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://clickhouse/loadflame", "http://READER@HOST"),
        ("chdb:///var/lib/loadflame", "embedded store"),
        ("http://loadflame_writer@clickhouse/loadflame", "name loadflame_reader"),
        ("https://reader@clickhouse/loadflame?ca_cert=/nowhere/ca.pem", "ca_cert /nowhere/ca.pem cannot be read"),
        ("http://reader@clickhouse/loadflame?ca_cert=/nowhere/ca.pem", "write https://"),
        ("http://reader@clickhouse/loadflame?verify=false", "verify, which is not known"),
        ("clickhouse:8123", "no URL of a ClickHouse server"),
    ],
)
def test_a_store_that_grafana_cannot_or_should_not_read_is_refused(url: str, said: str) -> None:
    with pytest.raises((GrafanaError, StoreError), match=said):
        ClickHouseAccess.of_url(url, "x")


def test_a_user_with_a_password_may_push_as_well(grafana: GrafanaStandIn) -> None:
    assert push(grafana.url, (USER, PASSWORD), store=STORE)
    with pytest.raises(GrafanaError, match="does not know the user or the password") as wrong:
        push(grafana.url, (USER, "guessed"))
    assert "guessed" not in str(wrong.value)


def test_a_wrong_token_a_missing_right_and_a_broken_server_are_told_apart(grafana: GrafanaStandIn) -> None:
    with pytest.raises(GrafanaError, match="does not know the token") as wrong:
        push(grafana.url, "glsa_other")
    assert "glsa_other" not in str(wrong.value)
    grafana.forbids = True
    with pytest.raises(GrafanaError, match="role Admin"):
        push(grafana.url, TOKEN)
    grafana.forbids, grafana.fails = False, True
    with pytest.raises(GrafanaError, match="database is locked"):
        push(grafana.url, TOKEN)


def test_nobody_there_and_no_url_are_sentences(grafana: GrafanaStandIn) -> None:
    port = grafana.server_address[1]
    grafana.server_close()
    with pytest.raises(GrafanaError, match=f"no Grafana answers at http://127.0.0.1:{port}"):
        push(f"http://127.0.0.1:{port}", TOKEN)
    with pytest.raises(GrafanaError, match="http://HOST:3000"):
        push("grafana:3000", TOKEN)


def test_the_command_prints_a_line_for_each_and_how_it_differs(
    grafana: GrafanaStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOADFLAME_READER_PASSWORD", "hidden")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    command = ["dashboards", "push", grafana.url, "--token-file", f"{tmp_path}/token", "--store", "http://reader@ch/db"]
    said = CliRunner().invoke(app, [*command, "--dry-run"]).output.splitlines()
    assert grafana.calls == []
    assert said[0] == "new        folder 'loadflame'"
    assert f"new        dashboard 'loadflame: TPS versus hot function'  {grafana.url}/d/{HOT}" in said
    assert CliRunner().invoke(app, command).output.splitlines() == said
    grafana.dashboards[HOT]["refresh"] = "1m"
    said = CliRunner().invoke(app, command).output.splitlines()
    at = said.index(f"changed    dashboard 'loadflame: TPS versus hot function'  {grafana.url}/d/{HOT}")
    assert said[at + 1] == "             refresh: '5s' instead of '1m'"
    assert "hidden" not in json.dumps(said)
    monkeypatch.setenv("GRAFANA_PASSWORD", PASSWORD)
    assert "unchanged" in CliRunner().invoke(app, ["dashboards", "push", grafana.url, "--user", USER]).output
