"""The sequence of `loadflame compare`, with a stand-in for what a run does."""

import os
import signal
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from loadflame import comparing
from loadflame.children import ChildError
from loadflame.comparing import again, command_of, compare_and_report, turns
from loadflame.demo import demo_plan
from loadflame.runs import RunOutcome
from loadflame.settings import SettingsError, read_settings
from loadflame.stopping import StoppedError

COMMANDS = ("python old.py --port 8080", "python 'new shop.py'")


def test_runs_are_taken_in_turns() -> None:
    letters = {number: "".join("A" if side == "base" else "B" for side in turns(number)) for number in (1, 2, 4, 5)}
    assert letters == {1: "AB", 2: "ABBA", 4: "ABBAABBA", 5: "ABBAABBAAB"}


@pytest.mark.parametrize("restarts", range(1, 12))
def test_both_sides_are_started_equally_often(restarts: int) -> None:
    assert turns(restarts).count("base") == turns(restarts).count("new") == restarts


def test_a_command_is_split_as_a_shell_would_and_no_shell_is_asked() -> None:
    found = command_of("python3 shop.py --name 'green tea' $HOME; ls", "--a")
    assert found.arguments == ("--", "python3", "shop.py", "--name", "green tea", "$HOME;", "ls")
    assert found.starts_service


@pytest.mark.parametrize(("text", "sentence"), [("", "--b is empty"), ("python 'shop.py", "No closing quotation")])
def test_what_is_no_command_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        command_of(text, "--b")


class Runs:
    """Stands in for the processes of a run, the store and the comparison; `act` is called in each run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Any] = lambda _: None) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.compared: list[tuple[list[str], list[str]]] = []
        self._act = act
        monkeypatch.setattr(comparing, "run_here", self._run)
        monkeypatch.setattr(comparing, "preflight", self._fine)
        monkeypatch.setattr(comparing, "judge", self._judge)
        monkeypatch.setattr(comparing, "open_for_reading", lambda _: SimpleNamespace(close=lambda: None))
        monkeypatch.setattr(comparing, "build_difference", self._compare)

    async def _fine(self, *_: Any, **__: Any) -> None:
        pass

    async def _run(self, plan: Any, settings: Any, *, profile: Any, run_id: str, stop: Any, **_: Any) -> RunOutcome:
        self.commands.append(profile[profile.index("--") + 1 :])
        failure = self._act(len(self.commands))
        if isinstance(failure, StoppedError):
            raise failure
        if failure == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
            await stop.wait()
            failure = None
        return RunOutcome(run_id, 1, [], failure)

    def _judge(self, outcome: RunOutcome, *_: Any) -> Any:
        profile, accounting = SimpleNamespace(service_cpu_cores=0.5), SimpleNamespace(completed=1_000)
        return SimpleNamespace(run=SimpleNamespace(verdict="passed"), profile=profile, accounting=accounting, load=())

    def _compare(self, _: Any, base: list[str], new: list[str]) -> str:
        self.compared.append((list(base), list(new)))
        return "a difference"

    def start(self, tmp_path: Path, restarts: int = 2) -> tuple[comparing.Sequel, Any, str]:
        said = StringIO()
        sequel, difference = compare_and_report(
            demo_plan("http://127.0.0.1:1"),
            read_settings(data_dir=tmp_path),
            COMMANDS,
            "auto",
            Console(file=said, width=200),
            restarts=restarts,
        )
        return sequel, difference, said.getvalue()


OLD, NEW = ("python", "old.py", "--port", "8080"), ("python", "new shop.py")


def test_every_run_starts_its_sides_command_anew_and_the_whole_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(monkeypatch)
    sequel, difference, said = runs.start(tmp_path)
    assert runs.commands == [OLD, NEW, NEW, OLD]
    assert difference == "a difference"
    assert runs.compared == [(sequel.base, sequel.new)]
    assert len({*sequel.base, *sequel.new}) == 4
    assert (sequel.stopped, sequel.failure) == (False, None)
    lines = said.splitlines()
    assert lines[0] == "4 runs of shop in turns, ABBA: 64 s of load each"
    assert lines[1].startswith("run 1 of 4, A (base): ")
    assert any(line.startswith("run 4 of 4, A (base): ") and line.endswith("about 1 minute left") for line in lines)
    assert again(sequel) == f"loadflame diff --base {','.join(sequel.base)} --new {','.join(sequel.new)}"


def test_ctrl_c_ends_the_run_that_is_on_and_what_was_measured_is_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(monkeypatch, lambda number: "Ctrl-C" if number == 3 else None)
    sequel, difference, said = runs.start(tmp_path, restarts=5)
    assert runs.commands == [OLD, NEW, NEW]
    assert (sequel.stopped, difference) == (True, "a difference")
    assert (len(sequel.base), len(sequel.new)) == (1, 2)
    assert "broken off: 1 and 2 runs are compared" in said


def test_ctrl_c_before_a_load_began_leaves_nothing_of_that_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs(monkeypatch, lambda number: StoppedError("aborted") if number == 4 else None)
    sequel, *_ = runs.start(tmp_path)
    assert (sequel.stopped, len(sequel.base), len(sequel.new)) == (True, 1, 2)


def test_ctrl_c_before_both_sides_were_measured_compares_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(monkeypatch, lambda _: "Ctrl-C")
    with pytest.raises(StoppedError, match="before both sides had been measured"):
        runs.start(tmp_path)
    assert runs.compared == []


def test_a_part_that_fails_ends_the_sequence_and_what_was_measured_is_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = ChildError("the agent ended")
    runs = Runs(monkeypatch, lambda number: error if number == 2 else None)
    sequel, difference, _ = runs.start(tmp_path)
    assert (sequel.failure, difference) == (error, "a difference")
    assert runs.commands == [OLD, NEW]


def test_what_fails_before_both_sides_were_measured_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs(monkeypatch, lambda _: ChildError("the command ended before it listened"))
    with pytest.raises(ChildError, match="before it listened"):
        runs.start(tmp_path)
