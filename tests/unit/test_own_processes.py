"""What loadflame itself takes of the service's host."""

import os
import sys
from dataclasses import dataclass, field

import pytest

from producers.profiler.own_processes import OwnProcesses, is_ours, names_another, words_of
from tests.support.targets import SLEEP, target


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("python -m loadflame load plan.yaml", True),
        ("/venv/bin/python /venv/bin/loadflame process --drain run-1", True),
        ("/venv/bin/loadflame run plan.yaml", True),
        ("/x/tansu broker --listener-url tcp://127.0.0.1:1 --storage-engine memory://tansu/", True),
        ("/x/tansu broker --listener-url tcp://127.0.0.1:1 --storage-engine s3://bucket/", False),
        ("python -m loadflame.sample.shop", False),
        ("python shop.py --port 8080 --peer loadflame", False),
        ("", False),
    ],
)
def test_which_processes_are_ours(command: str, ours: bool) -> None:
    assert is_ours(command.split()) is ours


@pytest.mark.parametrize(
    ("command", "another"),
    [
        ("python -m loadflame load plan.yaml --run run-1 --shard 1/2", False),
        ("python -m loadflame load plan.yaml --run run-2 --shard 1/2", True),
        ("loadflame load plan.yaml --open-run=run-2", True),
        ("loadflame load plan.yaml --open-run=run-1", False),
        ("loadflame process --drain run-2", True),
        ("loadflame process", False),
        ("loadflame load plan.yaml", False),
        ("loadflame profile --run", True),
    ],
)
def test_which_of_ours_say_that_they_are_of_another_run(command: str, another: bool) -> None:
    assert names_another(command.split(), "run-1") is another


LOAD, SHOP = "python -m loadflame load", "python shop.py"


@dataclass
class Host:
    """Processes by pid: their command line and the CPU that they used until now."""

    commands: dict[int, str] = field(default_factory=dict)
    cpu_us: dict[int, int] = field(default_factory=dict)
    looked_at: list[int] = field(default_factory=list)

    def begin(self, pid: int, command: str, cpu_us: int = 0) -> None:
        self.commands[pid], self.cpu_us[pid] = command, cpu_us

    def end(self, pid: int) -> None:
        del self.commands[pid], self.cpu_us[pid]

    def watched(self) -> OwnProcesses:
        def words(pid: int) -> list[str]:
            self.looked_at.append(pid)
            return self.commands[pid].split()

        def cpu_us(pid: int) -> int:
            return self.cpu_us.get(pid, 0)

        return OwnProcesses("run-1", pids=lambda: list(self.commands), words=words, cpu_us=cpu_us)


def test_only_what_ours_used_since_the_last_time_counts() -> None:
    host = Host()
    host.begin(1, LOAD, 5_000)
    host.begin(2, SHOP, 5_000)
    ours = host.watched()
    host.cpu_us = {1: 5_700, 2: 9_000}
    assert (ours.used_us(), ours.used_us()) == (700, 0)


def test_those_of_another_run_are_a_neighbours() -> None:
    host = Host()
    host.begin(1, f"{LOAD} --run run-1")
    host.begin(2, f"{LOAD} --run run-2")
    ours = host.watched()
    host.cpu_us = {1: 10, 2: 500}
    assert ours.used_us() == 10


def test_this_process_is_one_of_them_whatever_it_is_called() -> None:
    host = Host()
    host.begin(os.getpid(), "python -m pytest")
    ours = host.watched()
    host.cpu_us[os.getpid()] = 40
    assert ours.used_us() == 40


def test_one_that_begins_later_counts_from_its_start() -> None:
    host = Host()
    ours = host.watched()
    host.begin(1, LOAD, 300)
    assert ours.used_us() == 300
    host.cpu_us[1] = 350
    assert ours.used_us() == 50


def test_one_that_was_about_to_become_another_program_is_found_at_the_second_look() -> None:
    host = Host()
    ours = host.watched()
    host.begin(1, "sh start.sh", 10)
    assert ours.used_us() == 0
    host.begin(1, LOAD, 60)
    assert ours.used_us() == 60


def test_a_process_is_looked_at_twice_and_no_more() -> None:
    host = Host()
    host.begin(1, SHOP)
    host.begin(2, LOAD)
    ours = host.watched()
    for _ in range(5):
        ours.used_us()
    assert sorted(host.looked_at) == [1, 1, 2]


@pytest.mark.parametrize("used_us", [0, 500])
def test_one_that_ended_is_forgotten_and_its_number_may_come_again(used_us: int) -> None:
    host = Host()
    host.begin(1, LOAD, used_us)
    ours = host.watched()
    host.end(1)
    assert ours.used_us() == 0
    host.begin(1, SHOP, 900)
    assert (ours.used_us(), ours.used_us()) == (0, 0)


def test_a_number_that_came_again_at_once_is_not_taken_for_the_one_before() -> None:
    host = Host()
    host.begin(1, LOAD, 500)
    ours = host.watched()
    host.begin(1, SHOP, 100)
    assert ours.used_us() == 0
    host.cpu_us[1] = 400
    assert ours.used_us() == 0


def test_the_service_is_never_ours_also_when_it_is_called_so() -> None:
    host = Host()
    host.begin(1, LOAD)
    host.begin(2, "python -m loadflame", 100)
    ours = host.watched()
    host.cpu_us = {1: 10, 2: 900}
    assert ours.used_us(but={2}) == 10
    host.cpu_us[1] = 15
    assert ours.used_us() == 5, "what the service used meanwhile is not made up for"


def test_the_command_line_of_a_real_process_is_read() -> None:
    with target(SLEEP, "two words") as process:
        assert words_of(process.pid) == [sys.executable, "-c", SLEEP, "two words"]
    assert words_of(process.pid) == []
