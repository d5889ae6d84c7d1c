"""Bad input gets one clear sentence on standard error and exit code 2, with nothing half-done."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from loadflame.broker import LocalBroker
from loadflame.demo import sample_shop
from tests.support.commands import environment_of, loadflame

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


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[str, int]]:
    """The sample shop, which nobody here gets as far as to load: its URL, and its process."""
    with sample_shop() as found:
        yield found


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
def test_a_broker_that_is_not_there(tmp_path: Path, shop: tuple[str, int], closed_port: int, role: str) -> None:
    broker, (url, pid) = f"127.0.0.1:{closed_port}", shop
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=pid))
    arguments = {"load": [str(plan)], "profile": ["--run", "r", "--pid", str(pid)], "process": []}[role]
    refused(loadflame(role, *arguments, "--broker", broker, data_dir=tmp_path / "data"), broker)


def test_a_role_without_a_broker(tmp_path: Path) -> None:
    refused(loadflame("process", data_dir=tmp_path), "--broker")


def test_a_store_that_is_not_there(tmp_path: Path, closed_port: int) -> None:
    store = f"http://reader:secret@127.0.0.1:{closed_port}/loadflame"
    done = loadflame("runs", data_dir=tmp_path, LOADFLAME_STORE=store)
    refused(done, str(closed_port))
    assert "secret" not in done.stderr
    done = loadflame("runs", "--store", store, data_dir=tmp_path)
    refused(done, "--store holds a password", "LOADFLAME_STORE")
    assert "secret" not in done.stderr


@contextmanager
def store_in_use(folder: Path) -> Iterator[tuple[str, int]]:
    """A store that another process has open: its URL, and that process."""
    holder = (
        "import sys; from sinks.clickhouse import open_store; s = open_store(sys.argv[1]); print('open', flush=True);"
        "sys.stdin.read()"
    )
    url = f"chdb://{folder}/store"
    with subprocess.Popen(
        [sys.executable, "-c", holder, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield url, process.pid
        process.communicate("")


def test_a_store_that_another_process_uses(tmp_path: Path) -> None:
    with store_in_use(tmp_path) as (url, pid):
        refused(loadflame("runs", "--store", url, data_dir=tmp_path), f"{tmp_path}/store", f"process {pid}")


def test_a_run_that_is_not_in_the_store(tmp_path: Path) -> None:
    refused(loadflame("report", "no-such-run", data_dir=tmp_path), "no-such-run")


def test_a_setting_that_does_not_fit(tmp_path: Path) -> None:
    refused(loadflame("runs", data_dir=tmp_path, LOADFLAME_PARTITIONS="0"), "LOADFLAME_PARTITIONS")


def test_what_is_to_be_profiled_is_looked_for_before_anything_starts(tmp_path: Path, shop: tuple[str, int]) -> None:
    url, _ = shop
    refused(loadflame("run", url, "--pid", "4194000", data_dir=tmp_path / "data"), "4194000")
    refused(loadflame("run", url, "--name", "no-such-service", data_dir=tmp_path / "data"), "no-such-service")
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=os.getpid()))
    refused(loadflame("run", str(plan), "--backend", "perf", data_dir=tmp_path / "data"), "perf")
    assert not (tmp_path / "data").exists()


SERVICE = ("--pid", "{pid}")
COMMAND = ("--", sys.executable, "-c", "open('{tmp}/started', 'w')")
RUNS = {
    "a wrong plan": ({"stages": [{"name": "s", "hodl": 1}]}, SERVICE, ("hodl",)),
    "a target that refuses": ({"target": "http://127.0.0.1:{closed}"}, SERVICE, ("refuses connections",)),
    "a target that is not ours": ({"target": "http://192.0.2.1"}, SERVICE, ("--allow-host",)),
    "a process that is not there": ({}, ("--pid", "4194000"), ("4194000", "pgrep")),
    "process 0": ({}, ("--pid", "0"), ("no process 0",)),
    "a process that is not Python": ({}, ("--pid", "{sleeper}"), ("not a Python process",)),
    "a broker that is away": ({}, (*SERVICE, "--broker", "127.0.0.1:{closed}"), ("no Kafka at", "--broker")),
    "a store that is away": ({}, (*SERVICE, "--store", "http://127.0.0.1:{closed}/db"), ("no ClickHouse answers",)),
    "a URL of no store": ({}, (*SERVICE, "--store", "sqlite:///x"), ("chdb:///absolute/directory",)),
    "a store in use": ({}, (*SERVICE, "--store", "{used}"), ("in use by process",)),
    "a command whose port is taken": ({}, COMMAND, ("port taken", "end that first", "--pid")),
    "a command that is not there": ({}, ("--", "no-such-cmd"), ("no program 'no-such-cmd'", "whole path")),
    "a command without a broker": (
        {"target": "http://127.0.0.1:{closed}"},
        ("--broker", "127.0.0.1:{closed}", *COMMAND),
        ("no Kafka at",),
    ),
}


@pytest.mark.parametrize("what", RUNS)
def test_what_run_refuses_it_refuses_before_anything_is_started_sent_or_made(
    tmp_path: Path, shop: tuple[str, int], closed_port: int, sleeper: int, what: str
) -> None:
    changes, arguments, named = RUNS[what]
    url, pid = shop
    with ExitStack() as stack:
        used = stack.enter_context(store_in_use(tmp_path))[0] if "{used}" in arguments else ""
        values = {"pid": pid, "closed": closed_port, "sleeper": sleeper, "used": used, "tmp": tmp_path}
        plan = {
            "target": url,
            "stages": [{"name": "hold", "hold": 5, "for": "1s"}],
            "requests": [{"name": "health", "path": "/health"}],
        }
        filled = {key: value.format(**values) if isinstance(value, str) else value for key, value in changes.items()}
        file = tmp_path / "plan.yaml"
        file.write_text(yaml.safe_dump(plan | filled))
        done = loadflame("run", str(file), *(word.format(**values) for word in arguments), data_dir=tmp_path / "data")
    refused(done, *named)
    assert done.stdout == ""
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("option", ["--store", "--broker"])
def test_a_url_is_not_probed_before_it_is_sure_that_a_run_can_follow(
    tmp_path: Path, shop: tuple[str, int], closed_port: int, option: str
) -> None:
    away, (url, pid) = f"127.0.0.1:{closed_port}", shop
    before = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    where = f"http://{away}/db" if option == "--store" else away
    refused(loadflame("run", url, "--pid", str(pid), option, where, data_dir=tmp_path / "data"), away)
    assert json.load(urllib.request.urlopen(f"{url}/counts"))["requests"] == before
    assert not (tmp_path / "data").exists()


USAGE = {
    ("run",): "missing argument 'PLAN|URL'; see `loadflame run --help`",
    ("run", "plan.yaml", "--nope"): "no such option: --nope",
    ("run", "plan.yaml", "--workers", "0"): "invalid value for '--workers'",
    ("runs", "--store"): "option '--store' requires an argument; see `loadflame --help`",
    ("frobnicate",): "no such command 'frobnicate'; see `loadflame --help`",
    ("dashboards", "paint"): "see `loadflame dashboards --help`",
}


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_call_that_is_not_understood_says_where_to_look(tmp_path: Path, words: tuple[str, ...]) -> None:
    refused(loadflame(*words, data_dir=tmp_path), USAGE[words])


def test_a_command_to_profile_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with LocalBroker() as broker:
        words = ("--run", "r", "--broker", broker.bootstrap, "--")
        refused(loadflame("profile", *words, "no-such-cmd", data_dir=tmp_path), "no-such-cmd")
        ends = (sys.executable, "-c", "raise SystemExit(3)")
        done = loadflame("profile", *words, *ends, data_dir=tmp_path)
    assert "loadflame: the command ended with code 3 before it could be watched" in done.stderr
    assert "Unclosed" not in done.stderr


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = ["run", "plan.yaml"]
from loadflame.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["loadflame.commands.doctor", "loadflame.session", "producers.load.plan"])
def test_ctrl_c_while_a_command_is_still_loaded_is_no_traceback(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)],
        env=environment_of(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr in ("", "loadflame: ended by Ctrl-C\n")


def test_a_plan_cannot_be_kept_where_no_folder_is(tmp_path: Path, closed_port: int) -> None:
    url, keep = f"http://127.0.0.1:{closed_port}", tmp_path / "no" / "plan.yaml"
    done = loadflame("run", url, "--pid", str(os.getpid()), "--save-plan", str(keep), data_dir=tmp_path / "data")
    refused(done, "--save-plan", str(keep.parent))


def test_a_data_folder_that_cannot_be_made(tmp_path: Path, shop: tuple[str, int]) -> None:
    url, pid = shop
    (tmp_path / "file").write_text("")
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


@pytest.mark.parametrize("role", ["process", "load", "profile", "run"])
def test_a_port_to_be_watched_on_that_is_taken(tmp_path: Path, shop: tuple[str, int], role: str) -> None:
    url, pid = shop
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        plan = tmp_path / "plan.yaml"
        plan.write_text(GOOD_PLAN.format(port=url.rpartition(":")[2], pid=pid))
        words = {"process": [], "load": [str(plan)], "profile": ["--run", "r", "--pid", str(pid)], "run": [str(plan)]}
        done = loadflame(role, *words[role], "--watch-port", str(port), data_dir=tmp_path / "data")
    refused(done, f"127.0.0.1:{port} is taken", "--watch-port")
    assert not (tmp_path / "data").exists()


def test_a_port_to_be_watched_on_that_is_none(tmp_path: Path) -> None:
    refused(loadflame("process", data_dir=tmp_path, LOADFLAME_WATCH_PORT="70000"), "LOADFLAME_WATCH_PORT")
    refused(
        loadflame("process", data_dir=tmp_path, LOADFLAME_WATCH_PORT="0", LOADFLAME_WATCH_HOST="192.0.2.1"),
        "192.0.2.1",
        "LOADFLAME_WATCH_HOST",
    )


LETTERS = {
    ("show", "t.requests/0/1"): "dead-letters show needs a broker",
    ("replay", "--all"): "dead-letters replay needs a broker",
    ("replay", "--broker", "127.0.0.1:1"): "say what to replay",
    ("replay", "--broker", "127.0.0.1:1", "--all", "--run", "r"): "say what to replay",
    ("show", "t.requests/0/1", "--broker", "127.0.0.1:1"): "no dead letter 't.requests/0/1' in the store",
    ("list", "--run", "last"): "the store holds no runs yet",
}


@pytest.mark.parametrize("words", LETTERS, ids=" ".join)
def test_what_is_asked_of_dead_letters_in_vain(tmp_path: Path, words: tuple[str, ...]) -> None:
    refused(loadflame("dead-letters", *words, data_dir=tmp_path), LETTERS[words])


def test_nothing_to_profile(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD_PLAN.format(port=1, pid=1).replace("profile: {pid: 1}\n", ""))
    refused(loadflame("run", str(plan), data_dir=tmp_path), "--pid")


def refused(done: subprocess.CompletedProcess[str], *named: str) -> None:
    """Exactly one line, a sentence that names what is wrong; exit code 2."""
    assert done.returncode == 2, done.stderr or done.stdout
    assert done.stderr.startswith("loadflame: "), done.stderr
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in named:
        assert part in done.stderr
