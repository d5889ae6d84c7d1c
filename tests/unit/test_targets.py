"""What is to be watched, found by number, name or command; what cannot be, refused with the remedy."""

import os
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from producers.profiler.errors import ProfilerError, TargetError
from producers.profiler.launcher import end, launch
from producers.profiler.targets import Instance, Target, instances_of, target_of
from tests.support.targets import SLEEP, TWO_WORKERS, target


@pytest.fixture
def not_python() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_a_pid_is_one_instance() -> None:
    with target(SLEEP) as process:
        (instance,) = instances_of(target_of(pid=process.pid))
        assert instance.pid == process.pid
        assert instance.runs()
    assert not instance.runs()


def test_workers_of_a_service_are_instances_of_it() -> None:
    with target(TWO_WORKERS) as process:
        assert len(instances_of(target_of(pid=process.pid))) == 3


def test_a_name_finds_every_process_that_has_it_but_not_ourselves() -> None:
    marker = f"# marker-{os.getpid()}"
    with target(SLEEP + marker) as one, target(SLEEP + marker) as other:
        found = {instance.pid for instance in instances_of(target_of(name=marker))}
    assert found == {one.pid, other.pid}


def test_a_pid_used_again_is_somebody_else() -> None:
    with target(SLEEP) as process:
        assert not Instance(process.pid, started_at=1.0).runs()


def test_refusals_name_the_pid_and_what_to_do(not_python: int) -> None:
    with pytest.raises(TargetError, match=r"no process 4194000.*pgrep"):
        target_of(pid=4_194_000)
    with pytest.raises(TargetError, match=f"process {not_python} is not a Python process"):
        target_of(pid=not_python)
    with pytest.raises(TargetError, match="no Python process has 'no such thing'"):
        target_of(name="no such thing")
    with pytest.raises(ProfilerError, match="one of --pid, --name"):
        target_of()
    with pytest.raises(ProfilerError, match="one of --pid, --name"):
        target_of(pid=1, name="x")


def test_a_command_becomes_the_process_that_was_launched() -> None:
    process = launch(["sleep", "60"])
    try:
        assert psutil.pid_exists(process.pid)
        assert target_of(command=["sleep", "60"]) == Target(command=("sleep", "60"))
    finally:
        end(process)
    assert process.returncode is not None


def test_a_command_that_does_not_exist_ends_with_the_shells_code() -> None:
    assert launch(["no-such-program-here"]).wait(10) == 127
