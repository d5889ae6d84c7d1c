"""What is to be watched, found by number, name or command; what cannot be, refused with the remedy."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from producers.profiler import targets
from producers.profiler.errors import NoPermissionError, ProfilerError, TargetError
from producers.profiler.launcher import end, launch
from producers.profiler.targets import Instance, Target, instances_of, target_of
from tests.support.polling import wait_until
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


def test_workers_are_found_too_where_the_kernel_keeps_no_list_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with target(TWO_WORKERS) as process:
        listed = instances_of(target_of(pid=process.pid))
        monkeypatch.setattr(targets, "_descendants", unlisted)
        assert instances_of(target_of(pid=process.pid)) == listed


def unlisted(pid: int) -> Iterator[int]:
    raise FileNotFoundError(f"/proc/{pid}/task/{pid}/children")


def test_a_name_finds_every_process_that_has_it_but_not_ourselves() -> None:
    marker = f"# marker-{os.getpid()}"
    with target(SLEEP + marker) as one, target(SLEEP + marker) as other:
        found = {instance.pid for instance in instances_of(target_of(name=marker))}
    assert found == {one.pid, other.pid}


def test_a_pid_used_again_is_somebody_else() -> None:
    with target(SLEEP) as process:
        assert not Instance(process.pid, started_at=1.0).runs()


def test_a_pid_that_another_process_got_meanwhile_is_no_longer_the_target() -> None:
    with target(SLEEP) as process:
        mine = target_of(pid=process.pid)
        assert instances_of(mine)
        with pytest.raises(TargetError, match="has ended, and another one has its number"):
            instances_of(dataclasses.replace(mine, started_at=1.0))


def test_setting_the_clock_makes_no_new_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with target(SLEEP) as process:
        before = instances_of(target_of(pid=process.pid))
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 1.0)
        assert instances_of(target_of(pid=process.pid)) == before
        assert before[0].runs()


def _denied(process: psutil.Process) -> str:
    raise psutil.AccessDenied(process.pid)


def test_a_process_that_is_hidden_from_us_is_a_matter_of_permission_not_of_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marker = f"# hidden-{os.getpid()}"
    with target(SLEEP + marker) as process:
        monkeypatch.setattr("psutil.Process.exe", _denied)
        with pytest.raises(NoPermissionError, match=f"no permission to profile process {process.pid}: "):
            target_of(pid=process.pid)
        with pytest.raises(NoPermissionError, match=f"no permission to profile process {process.pid}: "):
            target_of(name=marker)


def test_a_command_is_launched_past_a_folder_that_is_named_like_ours(tmp_path: Path) -> None:
    (tmp_path / "producers").mkdir()
    (tmp_path / "producers" / "__init__.py").write_text("raise SystemExit(9)")
    with contextlib.chdir(tmp_path):
        assert launch(["true"]).wait(60) == 0


def test_a_command_gets_our_environment_without_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADFLAME_KAFKA_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("ITS_OWN", "value")
    program = f"import os; open('{tmp_path}/environment', 'w').write(str(dict(os.environ)))"
    assert launch([sys.executable, "-c", program]).wait(60) == 0
    seen = (tmp_path / "environment").read_text()
    assert "'ITS_OWN': 'value'" in seen
    assert "LOADFLAME_" not in seen


def test_refusals_name_the_pid_and_what_to_do(not_python: int) -> None:
    with pytest.raises(TargetError, match=r"no process 4194000.*pgrep"):
        target_of(pid=4_194_000)
    with pytest.raises(TargetError, match=f"process {not_python} is not a Python process"):
        target_of(pid=not_python)
    with pytest.raises(TargetError, match="no Python process has 'no such thing'"):
        target_of(name="no such thing")
    with pytest.raises(TargetError, match="no program 'no-such-program-here' to start"):
        target_of(command=["no-such-program-here", "--port", "1"])
    with pytest.raises(TargetError, match="no process 0"):
        target_of(pid=0)
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


LAUNCHED = """
import time
from producers.profiler.launcher import launch
print(launch(["sleep", "60"]).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there the kernel has no such signal")
def test_a_command_does_not_outlive_an_agent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", LAUNCHED], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        launched = psutil.Process(int(agent.stdout.readline()))
        wait_until(lambda: launched.name() == "sleep", 60, "the command")
        agent.kill()

    def is_over() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may go between two looks
            return not launched.is_running() or launched.status() == psutil.STATUS_ZOMBIE
        return True

    wait_until(is_over, 60, "the end of the command")


def test_a_command_that_does_not_exist_ends_with_the_shells_code() -> None:
    assert launch(["no-such-program-here"]).wait(60) == 127
