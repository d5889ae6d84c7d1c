"""`loadflame run` and what breaks it off: Ctrl-C at any time, a part of it that dies, a service that ends."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import yaml

from benchmarks.serving import free_port
from loadflame.broker import LocalBroker
from loadflame.demo import sample_shop
from tests.support.commands import checks_in, environment_of, loadflame, report_of
from tests.support.polling import wait_until
from tests.support.running import assert_committed, plan_file, run_and

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def counted(url: str) -> int:
    """Requests that the shop has had."""
    return int(json.load(urllib.request.urlopen(f"{url}/counts"))["requests"])


def test_a_load_process_that_dies_is_told_its_share_counts_as_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "s", "hold": 100, "for": "8s"}])

        def kill_the_second(run: psutil.Process) -> None:
            wait_until(lambda: counted(url) > 150, 60, "a load by both")
            next(child for child in run.children() if "2/2" in child.cmdline()).kill()

        code, told = run_and(kill_the_second, plan, "--workers", "2", data_dir=tmp_path / "data", when="loading")
    assert code == 3, told
    assert "1 of 2 load processes ended before their time" in " ".join(told.split())
    report = report_of(tmp_path / "data")
    assert report["run"]["verdict"] == "inconclusive"
    assert report["run"]["why"] == "1 of 2 load processes died, so part was not sent"
    assert [one for one in report["warnings"] if one.startswith("1 of 2 load processes ended before their time")]
    assert [one for one in report["warnings"] if one.startswith("The load process of shard 2/2 died")]
    accounting = report["accounting"]
    assert 400 <= accounting["stored"] < 800
    assert accounting["scheduled"] == 800
    assert accounting["dropped"] > 0
    ended = accounting["completed"] + accounting["failed"]
    assert accounting["scheduled"] == ended + accounting["dropped"] + accounting["in_flight_at_end"]
    checks = checks_in(report)
    assert [checks[name] for name in ("I1", "I2", "I3")] == [True, True, True]
    assert_committed(told)


SHORT_LIVED = """
import http.server, sys, threading, time
time.sleep(1)  # a service may take its time before it listens
answers = iter(range(40))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if next(answers, None) is None:
            threading.Thread(target=server.shutdown).start()
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.serve_forever()
"""


def test_a_service_that_run_starts_may_listen_late_and_end_early_and_the_plan_is_sent_to_its_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "service.py").write_text(SHORT_LIVED)
    port = free_port()
    plan = tmp_path / "plan.yaml"
    requests = [{"name": "ok", "path": "/"}]
    stages = [{"name": "hold", "hold": 20, "for": "6s"}]
    plan.write_text(
        yaml.safe_dump({"target": f"http://127.0.0.1:{port}", "stages": stages, "requests": requests, "engine": "wire"})
    )
    command = [sys.executable, str(tmp_path / "service.py"), str(port)]
    done = loadflame("run", str(plan), "--json", "--", *command, data_dir=tmp_path / "data")
    report = json.loads(done.stdout)
    accounting = report["accounting"]
    assert accounting["scheduled"] == 120, done.stderr
    assert accounting["completed"] > 20
    assert accounting["failed"] > 0
    assert [error["error"] for error in report["errors"]].count("refused") == 1
    assert accounting["windows_without_profile"] > 0
    checks = checks_in(report)
    assert all(checks[name] for name in ("I1", "I2", "I3"))


def test_a_profiler_that_is_killed_costs_its_profile_and_nothing_else(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "s", "hold": 50, "for": "20s"}])

        def kill_the_profiler(run: psutil.Process) -> None:
            next(child for child in run.children() if "profile" in child.cmdline()).kill()

        code, told = run_and(kill_the_profiler, plan, data_dir=tmp_path / "data")
    assert code == 2, told
    assert "loadflame: profile ended" in told
    report = report_of(tmp_path / "data")
    assert report["run"]["verdict"] == "inconclusive"
    assert report["accounting"]["stored"] > 0
    checks = checks_in(report)
    assert [checks[name] for name in ("I0", "I2", "I3")] == [True, True, True]
    assert_committed(told)


def look_at_the_page(url: str) -> None:
    """It shows the run, and the windows that are joined so far."""
    base, _, path = url.partition("/#/")
    assert b"loadflame" in urllib.request.urlopen(base).read()
    run = path.split("/")[1]
    series = json.load(urllib.request.urlopen(f"{base}/api/runs/{run}/series"))
    assert sum(filter(None, series["achieved_tps"])) > 0, series


@pytest.mark.parametrize(
    "when", [pytest.param("loading", id="before the first arrival"), pytest.param("achieved", id="in mid-load")]
)
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path, when: str) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "hold", "hold": 50, "for": "120s"}])
        looked = look_at_the_page if when == "achieved" else None
        code, told = run_and(
            lambda run: run.send_signal(signal.SIGINT), plan, data_dir=tmp_path / "data", when=when, look=looked
        )
        sent = counted(url)
    assert code == 130, told
    assert "ABORTED" in told
    assert "Traceback" not in told
    assert "loadflame: " not in told
    report = report_of(tmp_path / "data")
    assert report["run"]["verdict"] == "aborted"
    started, ended = (datetime.fromisoformat(report["run"][name]) for name in ("started_at", "ended_at"))
    assert ended >= started
    accounting = report["accounting"]
    assert accounting["sent"] == sent < 50 * 120  # not 0: who is held up for a second interrupts when some are sent
    assert accounting["stored"] > 0 or when == "loading"
    assert accounting["stored"] == accounting["completed"] + accounting["failed"]
    checks = checks_in(report)
    assert all(checks[name] for name in ("I0", "I1", "I2", "I3"))
    assert_committed(told)


@pytest.mark.parametrize("when", ["starting the broker", "starting the stream processor"])
def test_ctrl_c_before_the_load_leaves_no_run_and_nothing_running(tmp_path: Path, when: str) -> None:
    started: list[psutil.Process] = []

    def interrupt(run: psutil.Process) -> None:
        started.extend(run.children(recursive=True))
        run.send_signal(signal.SIGINT)

    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "hold", "hold": 50, "for": "120s"}])
        code, told = run_and(interrupt, plan, data_dir=tmp_path / "data", when=when)
    assert code == 130, told
    assert told.endswith("\nloadflame: aborted before the load began; nothing was measured\n")
    assert "Traceback" not in told
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert not (tmp_path / "data" / "runs").exists()
    assert json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), r"run \S+\nengine .*\n"),
        (("--start-at", "-"), "loadflame: aborted before the load began; nothing was measured\n"),
    ],
    ids=["begun", "not told when to begin"],
)
def test_ctrl_c_ends_a_load_on_its_own(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    with sample_shop() as (url, pid), LocalBroker() as broker:
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "hold", "hold": 50, "for": "120s"}])
        command = [sys.executable, "-m", "loadflame", "load", str(plan), "--broker", broker.bootstrap, *words]
        environment = environment_of(tmp_path / "data", PYTHONUNBUFFERED="1")
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as load:
            assert load.stdout is not None
            assert load.stdout.readline() == "ready\n"
            load.send_signal(signal.SIGINT)
            assert load.stderr is not None
            told = load.stderr.read()
    assert load.returncode == 130, told
    assert re.fullmatch(said, told)


DIES_BEFORE_IT_LISTENS = """
import os, pathlib, time
me = str(os.getpid()).encode()
def is_watched():
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try: words = path.read_bytes().split(b"\\0")
        except OSError: continue
        if me in words and b"austin" in words[0]: return True
until_s = time.monotonic() + 60
while not is_watched() and time.monotonic() < until_s: time.sleep(0.1)
time.sleep(6)  # it was watched for a while, and was none that fell at once
raise SystemExit("no such database")
"""


def test_a_command_that_ends_before_it_listens_is_told_and_leaves_no_run(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    target = f"http://127.0.0.1:{free_port()}"
    stages, requests = [{"name": "hold", "hold": 20, "for": "10s"}], [{"name": "ok", "path": "/"}]
    plan.write_text(yaml.safe_dump({"target": target, "stages": stages, "requests": requests}))
    for text, sentence in (
        (DIES_BEFORE_IT_LISTENS, f"the command ended before it listened at {target}; its output is in "),
        ("raise SystemExit(3)", "the command ended with code 3 before it could be watched"),
    ):
        done = loadflame("run", str(plan), "--", sys.executable, "-c", text, data_dir=tmp_path / "data")
        assert done.returncode == 2
        assert done.stderr.startswith(f"loadflame: {sentence}"), done.stderr
        assert done.stderr.count("\n") == 1
        assert "BROKEN" not in done.stdout
    assert json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout) == []
