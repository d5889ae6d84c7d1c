"""Dashboards and rules are as Grafana reads them, and their panels lie on its grid as they should."""

from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.support.grafana_grid import sketch
from tests.support.grafana_models import AlertingFile, DashboardModel, DataSource
from views.grafana.alert_rules import RULES
from views.grafana.datasource import ClickHouseAccess
from views.grafana.diff import differences
from views.grafana.export import DASHBOARDS, export, files
from views.grafana.model import Dashboard

Grid = set[tuple[int, int]]
by_uid = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def cells(place: tuple[int, int, int, int]) -> Grid:
    x, y, width, height = place
    return {(column, row) for column in range(x, x + width) for row in range(y, y + height)}


@by_uid
def test_no_two_panels_overlap_and_rows_are_full(dashboard: Dashboard) -> None:
    taken = [cells(panel.place) for panel in dashboard.panels]
    for one, other in combinations(taken, 2):
        assert not one & other
    everywhere: Grid = set().union(*taken)
    height = max(row for _, row in everywhere) + 1
    assert everywhere == {(column, row) for column in range(24) for row in range(height)}
    assert [panel.place[1::-1] for panel in dashboard.panels] == sorted(
        panel.place[1::-1] for panel in dashboard.panels
    )


@by_uid
def test_a_dashboard_is_of_grafanas_kind(dashboard: Dashboard) -> None:
    document = dashboard.as_json()
    DashboardModel.model_validate(document)
    for ids in ([panel["id"] for panel in document["panels"]], [panel["title"] for panel in document["panels"]]):
        assert len(set(ids)) == len(ids)


@by_uid
def test_every_panel_says_what_it_shows_and_stands_in_the_sketch(dashboard: Dashboard) -> None:
    drawn = sketch(dashboard)
    for number, panel in enumerate(dashboard.panels, 1):
        assert panel.description.endswith(".")
        assert f" {number} {panel.title}"[:24] in drawn


@by_uid
def test_links_lead_to_dashboards_that_there_are_with_variables_that_they_have(dashboard: Dashboard) -> None:
    names = {one.as_json()["name"] for one in dashboard.variables}
    known = {other.uid: {one.as_json()["name"] for one in other.variables} for other in DASHBOARDS}
    text = [link for panel in dashboard.as_json()["panels"] for link in _links(panel["fieldConfig"])]
    assert text
    for link in text:
        address, _, query = link.partition("?")
        if not address.startswith("/d/"):
            assert link.startswith("${page:raw}/runs/${run:percentencode}?from=${__from}&to=${__to}")
            continue
        for part in query.split("&"):
            name = part.removeprefix("var-").split("=")[0] if part.startswith("var-") else ""
            if part.endswith(":queryparam}"):
                name = part.removeprefix("${").removesuffix(":queryparam}")
                assert name in names
            assert not name or name in known[address.removeprefix("/d/")]


def _links(config: dict[str, object]) -> list[str]:
    found: list[str] = []
    match config:
        case {"defaults": {**defaults}, "overrides": [*overrides]}:
            found += [link["url"] for link in defaults.get("links", [])]
            for override in overrides:
                for one in override["properties"]:
                    found += [link["url"] for link in one["value"]] if one["id"] == "links" else []
    return found


def test_rules_are_of_grafanas_form_and_each_says_a_sentence_and_where_to_look() -> None:
    document = yaml.safe_load(files()["alerting/loadflame.yaml"])
    (group,) = AlertingFile.model_validate(document).groups
    assert [rule.uid for rule in group.rules] == [rule.uid for rule in RULES]
    for rule in group.rules:
        assert rule.annotations["summary"].endswith(".")
        assert "{{ $labels.run }}" in rule.annotations["summary"]
        assert rule.annotations["link"].startswith("{{ externalURL }}d/")
        assert not any("$" in value for value in rule.labels.values())  # Grafana would look in its environment
        assert "${" not in "".join(rule.annotations.values())
        assert (rule.annotations["__dashboardUid__"], rule.annotations["__panelId__"]) == (
            rule.dashboardUid,
            str(rule.panelId),
        )


def test_sql_in_the_file_of_rules_is_what_the_rules_ask() -> None:
    document = yaml.safe_load(files()["alerting/loadflame.yaml"])
    for rule, written in zip(RULES, document["groups"][0]["rules"], strict=True):
        assert written["data"][0]["model"]["rawSql"] == rule.sql


def test_the_folder_has_what_grafana_looks_for_and_no_secret(tmp_path: Path) -> None:
    store = ClickHouseAccess(
        host="ch",
        port=8443,
        user="reader",
        password="t0p secret",
        secure=True,
        ca_cert="-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        client_cert="-----BEGIN CERTIFICATE-----\nB\n-----END CERTIFICATE-----\n",
        client_key="-----BEGIN PRIVATE KEY-----\nC\n-----END PRIVATE KEY-----\n",
    )
    written = export(tmp_path / "new", store, "https://pages.example")
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == set(files())
    text = "".join(path.read_text() for path in written)
    assert "t0p secret" not in text
    assert "PRIVATE KEY" not in text
    assert "https://pages.example" in text
    (source,) = yaml.safe_load((tmp_path / "new/datasources/loadflame.yaml").read_text())["datasources"]
    assert source.pop("isDefault") is True
    assert source["secureJsonData"]["tlsCACert"] == store.ca_cert
    assert source["secureJsonData"]["tlsClientKey"] == "$READER_KEY"
    source["secureJsonData"]["tlsClientKey"] = "the PRIVATE KEY that Grafana puts in"
    DataSource.model_validate(source)


DIFFERENCES = [
    ("what Grafana adds is no difference", {"a": 1, "id": 7}, {"a": 1}, []),
    ("nor is what it leaves out because it is nothing", {}, {"a": None, "b": [], "c": {}, "d": "", "e": False}, []),
    ("a value", {"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 2 instead of 1"]),
    ("a value that is new", {"a": {}}, {"a": {"b": 2}}, ["a.b: 2 is new"]),
    ("false is not nothing where it was true", {"a": True}, {"a": False}, ["a: False instead of True"]),
    ("one of a list", {"l": [{"name": "x", "v": 1}]}, {"l": [{"name": "x", "v": 2}]}, ["l 'x'.v: 2 instead of 1"]),
    ("one more", {"l": [{"name": "x"}]}, {"l": [{"name": "x"}, {"name": "y"}]}, ["l 'y' is new"]),
    ("one less", {"l": [{"name": "x"}, {"name": "y"}]}, {"l": [{"name": "x"}]}, ["l 'y' is taken away"]),
    (
        "another order",
        {"l": [{"name": "x"}, {"name": "y"}]},
        {"l": [{"name": "y"}, {"name": "x"}]},
        ["l: in another order"],
    ),
    ("a list of values", {"l": [1, 2]}, {"l": [1, 3]}, ["l[1]: 3 instead of 2"]),
    ("a longer list of values", {"l": [1]}, {"l": [1, 2]}, ["l: 2 instead of 1"]),
    ("lines of a text", {"q": "a\nb\nc"}, {"q": "a\nB\nc"}, ["q: 1 of 3 lines are new"]),
    ("lines that are gone", {"q": "a\nb\nc"}, {"q": "a\nc"}, ["q: 1 of 3 lines are taken away"]),
]


@pytest.mark.parametrize(("what", "theirs", "ours", "told"), DIFFERENCES, ids=[one[0] for one in DIFFERENCES])
def test_differences_are_told_in_words(what: str, theirs: object, ours: object, told: list[str]) -> None:
    assert list(differences(theirs, ours)) == told, what
