"""Names come from plans, from other people's runs and from this machine: brackets in them are text, not markup."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

import sinks.clickhouse
import views.runs
from loadflame.checks import checks_table
from loadflame.commands import doctor, runs
from loadflame.live import PlainLines
from processors.verify import Check
from views.runs import RunRow

HOSTILE = ["mine[/b]", "[red]mine", "loadflame[profiler]", "[/]"]


def check(name: str) -> None:
    table = checks_table([Check("I1", ok=True, sentence=name)])
    Console().print(table)


def phase(name: str) -> None:
    PlainLines(Console(), 10.0).phase(name)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("shown", [check, phase], ids=["a check", "a phase"])
def test_a_name_is_shown_as_it_is(shown: Callable[[str], None], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown(name)
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", HOSTILE)
def test_the_doctor_says_remedies_as_they_are_to_be_typed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "_LOOKS", [lambda _: [doctor.Diagnosis("packages", "ok", f"has {name}", f"do {name}")]])
    doctor.doctor(data_dir=tmp_path)
    said = capsys.readouterr().out
    assert f"has {name}" in said
    assert f"do {name}" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_runs_of_any_service_are_listed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = RunRow(id="one", service=name, started_at=datetime.now(UTC), ended_at=None, verdict=None, state="live")
    monkeypatch.setattr(sinks.clickhouse, "open_for_reading", lambda _: None)
    monkeypatch.setattr(views.runs, "list_runs", lambda _: [row])
    runs.runs(data_dir=tmp_path)
    assert name in capsys.readouterr().out
