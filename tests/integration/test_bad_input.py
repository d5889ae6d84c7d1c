"""Bad input gets one clear sentence on standard error and exit code 2, with nothing half-done."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadflame.demo import sample_shop
from tests.support.commands import loadflame

GOOD_PLAN = """
target: http://127.0.0.1:{port}
service: shop
profile: {{pid: {pid}}}
stages: [{{name: hold, hold: 5, for: 1s}}]
requests: [{{name: health, path: /health}}]
"""


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, held so that nobody else takes it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process that is not Python."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


PLANS = [
    ("a wrong key", "hold: 5, for: 1s, fro: 2s", "fro"),
    ("an unknown stage form", "hodl: 5, for: 1s", "hodl"),
    ("a duration without a unit", "hold: 5, for: 1x", "1x"),
    ("no stage form at all", "for: 1s", "hold, ramp"),
]


@pytest.mark.parametrize(("what", "stage", "named"), PLANS, ids=[plan[0] for plan in PLANS])
def test_a_plan_that_does_not_fit_names_the_key(tmp_path: Path, what: str, stage: str, named: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=1, pid=1).replace("hold: 5, for: 1s", stage))
    refused(loadflame("run", str(plan), data_dir=tmp_path / "data"), "plan.yaml", named)


def test_a_threshold_that_does_not_parse(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=1, pid=1) + "thresholds: ['p99 is small']\n")
    refused(loadflame("run", str(plan), data_dir=tmp_path / "data"), "p99 is small")


def test_a_scenario_that_does_not_import(tmp_path: Path, closed_port: int) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        GOOD_PLAN.format(port=closed_port, pid=os.getpid()).replace("path: /health", "scenario: 'flow.py:f'")
    )
    (tmp_path / "flow.py").write_text("\nimport no_such_thing\n")
    refused(loadflame("run", str(plan), data_dir=tmp_path / "data"), "flow.py:2", "no_such_thing")


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    refused(loadflame("run", "nowhere.yaml", data_dir=tmp_path), "nowhere.yaml")


def test_a_target_that_refuses_connections(tmp_path: Path, closed_port: int) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=closed_port, pid=os.getpid()))
    refused(loadflame("run", str(plan), data_dir=tmp_path / "data"), str(closed_port), "refuse")


def test_a_target_that_is_not_allowed(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=80, pid=os.getpid()).replace("127.0.0.1", "192.0.2.1"))
    refused(loadflame("run", str(plan), data_dir=tmp_path / "data"), "192.0.2.1", "--allow-host")


def test_a_rate_that_is_too_high_for_another_machine(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    text = GOOD_PLAN.format(port=80, pid=os.getpid()).replace("127.0.0.1", "192.0.2.1")
    plan.write_text(text.replace("hold: 5,", "hold: 1000000,"))
    done = loadflame("run", str(plan), "--allow-host", "192.0.2.1", data_dir=tmp_path / "data")
    refused(done, "at most 1000 requests per second", "LOADFLAME_MAX_TPS=1000000")


def test_a_start_that_is_no_moment(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=1, pid=1))
    refused(
        loadflame("load", str(plan), "--start-at", "18:30", data_dir=tmp_path / "data"),
        "--start-at: '18:30' is no moment; write date, time and offset, like 2026-05-01T18:30:00Z",
    )


def test_a_pid_that_does_not_exist(tmp_path: Path, closed_port: int) -> None:
    refused(
        loadflame(
            "profile", "--run", "r", "--pid", "4194000", "--broker", f"127.0.0.1:{closed_port}", data_dir=tmp_path
        ),
        "4194000",
    )


def test_a_process_that_is_not_python(tmp_path: Path, closed_port: int, sleeper: int) -> None:
    refused(
        loadflame(
            "profile", "--run", "r", "--pid", str(sleeper), "--broker", f"127.0.0.1:{closed_port}", data_dir=tmp_path
        ),
        str(sleeper),
        "Python",
    )


@pytest.mark.parametrize("role", ["load", "profile", "process"])
def test_a_broker_that_is_not_there(tmp_path: Path, closed_port: int, role: str) -> None:
    broker = f"127.0.0.1:{closed_port}"
    with sample_shop() as (url, pid):
        plan = tmp_path / "plan.yaml"
        plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=pid))
        arguments = {"load": [str(plan)], "profile": ["--run", "r", "--pid", str(pid)], "process": []}[role]
        refused(loadflame(role, *arguments, "--broker", broker, data_dir=tmp_path / "data"), broker)


def test_a_role_without_a_broker(tmp_path: Path) -> None:
    refused(loadflame("process", data_dir=tmp_path), "--broker")


def test_a_store_that_is_not_there(tmp_path: Path, closed_port: int) -> None:
    store = f"http://reader:secret@127.0.0.1:{closed_port}/loadflame"
    done = loadflame("runs", "--store", store, data_dir=tmp_path)
    refused(done, str(closed_port))
    assert "secret" not in done.stderr


def test_a_store_that_another_process_uses(tmp_path: Path) -> None:
    holder = (
        "import sys; from sinks.clickhouse import open_store; s = open_store(sys.argv[1]); print('open', flush=True);"
        "sys.stdin.read()"
    )
    url = f"chdb://{tmp_path}/store"
    with subprocess.Popen(
        [sys.executable, "-c", holder, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        refused(loadflame("runs", "--store", url, data_dir=tmp_path), f"{tmp_path}/store", f"process {process.pid}")
        process.communicate("")


def test_a_run_that_is_not_in_the_store(tmp_path: Path) -> None:
    refused(loadflame("report", "no-such-run", data_dir=tmp_path), "no-such-run")


def test_a_setting_that_does_not_fit(tmp_path: Path) -> None:
    refused(loadflame("runs", data_dir=tmp_path, LOADFLAME_PARTITIONS="0"), "LOADFLAME_PARTITIONS")


def test_what_is_to_be_profiled_is_looked_for_before_anything_starts(tmp_path: Path) -> None:
    with sample_shop() as (url, _):
        refused(loadflame("run", url, "--pid", "4194000", data_dir=tmp_path / "data"), "4194000")
        refused(loadflame("run", url, "--name", "no-such-service", data_dir=tmp_path / "data"), "no-such-service")
        plan = tmp_path / "plan.yaml"
        plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=os.getpid()))
        refused(loadflame("run", str(plan), "--backend", "perf", data_dir=tmp_path / "data"), "perf")
    assert not (tmp_path / "data").exists()


def test_a_plan_cannot_be_kept_where_no_folder_is(tmp_path: Path, closed_port: int) -> None:
    url, keep = f"http://127.0.0.1:{closed_port}", tmp_path / "no" / "plan.yaml"
    done = loadflame("run", url, "--pid", str(os.getpid()), "--save-plan", str(keep), data_dir=tmp_path / "data")
    refused(done, "--save-plan", str(keep.parent))


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with sample_shop() as (url, pid):
        plan = tmp_path / "plan.yaml"
        plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=pid))
        refused(loadflame("run", str(plan), data_dir=tmp_path / "file" / "data"), str(tmp_path / "file"))


def test_a_port_that_is_taken() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        command = [sys.executable, "-m", "loadflame.sample.shop", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_to_profile(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=1, pid=1).replace("profile: {pid: 1}\n", ""))
    refused(loadflame("run", str(plan), data_dir=tmp_path), "--pid")


def refused(done: subprocess.CompletedProcess[str], *named: str) -> None:
    """One sentence that names what is wrong, no traceback, exit code 2."""
    assert done.returncode == 2, done.stderr or done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("loadflame: "), done.stderr
    assert "Traceback" not in done.stderr
    for part in named:
        assert part in lines[-1], done.stderr
