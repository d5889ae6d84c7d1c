"""`loadflame run` end to end: real processes, real profiles, everything counted."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from loadflame.broker import LocalBroker
from loadflame.demo import demo_plan, sample_shop
from producers.load.plan import load_plan
from producers.load.stages import Levels
from tests.support.brokers import Broker, new_topics
from tests.support.commands import checks_of, environment_of, loadflame, report_of
from tests.support.polling import answers, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def plan_file(folder: Path, url: str, pid: int, **changes: object) -> Path:
    plan = demo_plan(url).model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan | {"profile": {"pid": pid}} | changes))
    return path


def run_and(
    act: Callable[[psutil.Process], None], plan: Path, *arguments: str, data_dir: Path, when: str = "achieved"
) -> tuple[int, str]:
    """Run a plan, act on the command once it says `when` (the first window of its load); exit code and all it said."""
    command = [sys.executable, "-m", "loadflame", "run", str(plan), *arguments]
    environment = environment_of(data_dir, PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if when in line:
                act(psutil.Process(process.pid))
                break
        said.append(process.stdout.read())
    return process.returncode, "".join(said)


def assert_committed(told: str) -> None:
    """The run itself looked at its topics, which are gone with the embedded broker."""
    assert re.search(r"^I4 +holds +[1-9]\d* batches lie below", told, re.MULTILINE), told


def test_a_run_is_counted_to_the_last_request_and_names_the_function_that_grows(tmp_path: Path) -> None:
    levels = {"name": "map", "levels": [40, 80, 160, 320], "visits": 3, "each": "4s", "seed": 7}
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[levels])
        done = loadflame("run", str(plan), "--json", data_dir=tmp_path / "data")
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    assert done.returncode in (0, 3), done.stderr  # 3: a busy machine may make the run host-limited
    assert "1 load process: the plan's highest rate is 320 TPS, and a core sends 30,000" in done.stderr
    report = json.loads(done.stdout)
    assert report["generator"]["reason"] == "the fastest, and it can do all that the plan asks for"
    accounting = report["accounting"]
    assert accounting["scheduled"] == (40 + 80 + 160 + 320) * 3 * 4
    assert accounting["scheduled"] == accounting["completed"] + accounting["failed"] + accounting["dropped"]
    assert accounting["sent"] == counted
    assert accounting["stored"] == accounting["completed"] + accounting["failed"]
    assert accounting["dead_letters"] == 0
    assert report["profile"]["coverage"] > 0.9
    names = {function["function"].rpartition(".")[2]: function for function in report["functions"]}
    assert {"sweep_sessions", "rank_products", "sign_receipt"} <= set(names)
    if report["growth"]["design"] == "levels":  # on a busy machine too many windows may be left out to tell growth
        assert names["sweep_sessions"]["growth"] > 1.3
    assert names["rank_products"]["shape"] != "superlinear"
    checks = checks_of(tmp_path / "data")
    assert checks == {"I0": True, "I1": True, "I2": True, "I3": True, "I4": None}  # the broker is gone
    (listed,) = json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout)
    assert listed["id"] == report["run"]["id"]
    assert listed["verdict"] == report["run"]["verdict"]


def test_processes_that_share_a_load_send_the_plan_exactly_on_a_broker_of_ones_own(
    tmp_path: Path, broker: Broker
) -> None:
    prefix = new_topics(broker).prefix
    kafka = {
        "LOADFLAME_BROKER": broker.bootstrap,
        "LOADFLAME_TOPIC_PREFIX": prefix,
        "LOADFLAME_GROUP": prefix,
    }
    stages = [{"name": "warm", "hold": 20, "for": "2s", "role": "warm-up"}, {"name": "s", "hold": 151, "for": "4s"}]
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=stages)
        done = loadflame("run", str(plan), "--workers", "3", "--json", data_dir=tmp_path / "data", **kafka)
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    report = json.loads(done.stdout)
    accounting = report["accounting"]
    assert accounting["scheduled"] == 2 * 20 + 4 * 151, done.stderr
    assert "3 load processes: as --workers says" in done.stderr
    assert accounting["sent"] == accounting["stored"] == counted
    assert [(row["stage"], round(row["offered_tps"])) for row in report["load"]] == [("warm", 20), ("s", 151)]
    # Its topics outlive the run, so what lies below the commits can still be held against the store.
    checks = checks_of(tmp_path / "data", **kafka)
    assert checks == {"I0": None, "I1": True, "I2": True, "I3": True, "I4": True}


def test_a_load_process_that_dies_is_told_its_share_counts_as_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "s", "hold": 100, "for": "12s"}])

        def kill_the_second(run: psutil.Process) -> None:
            next(child for child in run.children() if "2/2" in child.cmdline()).kill()

        code, told = run_and(kill_the_second, plan, "--workers", "2", data_dir=tmp_path / "data")
    assert code == 3, told
    assert "1 of 2 load processes ended before their time" in " ".join(told.split())
    report = report_of(tmp_path / "data")
    assert report["run"]["verdict"] == "inconclusive"
    assert report["run"]["why"] == "1 of 2 load processes died, so part was not sent"
    assert [one for one in report["warnings"] if one.startswith("1 of 2 load processes ended before their time")]
    assert [one for one in report["warnings"] if one.startswith("The load process of shard 2/2 died")]
    accounting = report["accounting"]
    assert 600 < accounting["stored"] < 1200
    assert accounting["scheduled"] == 1200
    assert accounting["dropped"] > 100
    ended = accounting["completed"] + accounting["failed"]
    assert accounting["scheduled"] == ended + accounting["dropped"] + accounting["in_flight_at_end"]
    checks = checks_of(tmp_path / "data")
    assert [checks[name] for name in ("I1", "I2", "I3")] == [True, True, True]
    assert_committed(told)


SHORT_LIVED = """
import http.server, sys, threading, time
time.sleep(1)  # a service may take its time before it listens
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Timer(9, server.shutdown).start()
server.serve_forever()
"""


def test_a_service_that_run_starts_may_listen_late_and_end_early_and_the_plan_is_sent_to_its_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "service.py").write_text(SHORT_LIVED)
    port = free_port()
    plan = tmp_path / "plan.yaml"
    requests = [{"name": "ok", "path": "/"}]
    stages = [{"name": "hold", "hold": 20, "for": "10s"}]
    plan.write_text(
        yaml.safe_dump({"target": f"http://127.0.0.1:{port}", "stages": stages, "requests": requests, "engine": "wire"})
    )
    command = [sys.executable, str(tmp_path / "service.py"), str(port)]
    done = loadflame("run", str(plan), "--json", "--", *command, data_dir=tmp_path / "data")
    report = json.loads(done.stdout)
    accounting = report["accounting"]
    assert accounting["scheduled"] == 200, done.stderr
    assert accounting["completed"] > 20
    assert accounting["failed"] > 0
    assert [error["error"] for error in report["errors"]].count("refused") == 1
    assert accounting["windows_without_profile"] > 0
    checks = checks_of(tmp_path / "data")
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
    checks = checks_of(tmp_path / "data")
    assert [checks[name] for name in ("I0", "I2", "I3")] == [True, True, True]
    assert_committed(told)


def test_from_a_plain_ramp_nothing_is_called_superlinear(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "ramp", "ramp": [40, 320], "for": "10s"}])
        done = loadflame("run", str(plan), "--json", data_dir=tmp_path / "data")
    report = json.loads(done.stdout)
    assert report["functions"], done.stderr
    assert {function["shape"] for function in report["functions"]} == {"unclear"}
    assert any("levels" in finding["summary"] for finding in report["findings"])


@pytest.mark.parametrize(
    "when", [pytest.param("loading", id="before the first arrival"), pytest.param("achieved", id="in mid-load")]
)
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path, when: str) -> None:
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "hold", "hold": 50, "for": "120s"}])
        code, told = run_and(lambda run: run.send_signal(signal.SIGINT), plan, data_dir=tmp_path / "data", when=when)
    assert code == 130, told
    assert "ABORTED" in told
    assert "Traceback" not in told
    assert "loadflame: " not in told
    report = report_of(tmp_path / "data")
    assert report["run"]["verdict"] == "aborted"
    assert report["run"]["ended_at"] >= report["run"]["started_at"]
    assert (report["accounting"]["stored"] > 0) == (when == "achieved")
    checks = checks_of(tmp_path / "data")
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
    assert not [process for process in started if process.is_running()]
    assert not (tmp_path / "data" / "runs").exists()
    assert json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout) == []


def test_ctrl_c_ends_a_load_on_its_own_with_what_it_measured_published(tmp_path: Path) -> None:
    with sample_shop() as (url, pid), LocalBroker() as broker:
        plan = plan_file(tmp_path, url, pid, stages=[{"name": "hold", "hold": 50, "for": "120s"}])
        command = [sys.executable, "-m", "loadflame", "load", str(plan), "--broker", broker.bootstrap]
        environment = environment_of(tmp_path / "data", PYTHONUNBUFFERED="1")
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as load:
            assert load.stdout is not None
            assert load.stdout.readline() == "ready\n"
            load.send_signal(signal.SIGINT)
            _, told = load.communicate(timeout=60)
    assert load.returncode == 130, told
    assert re.fullmatch(r"run \S+\nengine .*\n", told)


DIES_BEFORE_IT_LISTENS = "import time; time.sleep(4); raise SystemExit('no such database')"


def test_a_command_that_ends_before_it_listens_is_told_and_leaves_no_run(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{free.getsockname()[1]}"
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


def test_a_threshold_that_did_not_hold_for_its_time_ends_the_run(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        stages = [{"name": "hold", "hold": 50, "for": "120s"}]
        plan = plan_file(tmp_path, url, pid, stages=stages, thresholds=["p99@hold < 1us for 3s", "errors < 50%"])
        done = loadflame("run", str(plan), "--json", data_dir=tmp_path / "data")
    assert "ended early: `p99@hold < 1us for 3s` had not held for 3s" in " ".join(done.stderr.split())
    report = json.loads(done.stdout)
    if done.returncode == 3:  # so short a run is soon limited on a busy machine, and then says nothing of the service
        assert report["run"]["verdict"] in ("generator-limited", "host-limited"), done.stderr
    else:
        assert (done.returncode, report["run"]["verdict"]) == (1, "failed"), done.stderr
        assert "1 of 2 thresholds did not hold, which ended the run" in report["run"]["why"]
    assert [one["held"] for one in report["thresholds"]] == [False, True]
    assert report["thresholds"][0]["value"] > 0.001
    assert 100 < report["accounting"]["scheduled"] < 1500
    assert all(checks_of(tmp_path / "data")[name] for name in ("I0", "I1", "I2", "I3"))


APPLICATION = """
from flask import Flask
app = Flask(__name__)
def render_basket():
    return sum(hash(str(i)) % 7 for i in range(2000))
@app.get('/')
def index():
    return str(render_basket())
"""
SHORT_PLAN = """
import loadflame.made_up
from loadflame.cli import main
loadflame.made_up.VISITS, loadflame.made_up.VISIT_S = 3, 2
main()
"""
"""The command line, but a plan that it makes up takes 24 s, not 96."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[str, int]]:
    """A Flask application under gunicorn with two workers: nothing of it is ours but the view."""
    (folder / "application.py").write_text(APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "application:app"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        booted = 0
        for line in process.stderr:
            booted += "Booting worker" in line
            if booted == 2:
                break
        try:
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


@contextmanager
def datasette(folder: Path) -> Iterator[tuple[str, int]]:
    """Datasette on a table of 500 rows: an asyncio server whose queries run in a pool of threads."""
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as database:
        database.execute("CREATE TABLE teas (id INTEGER PRIMARY KEY, name TEXT)")
        database.executemany("INSERT INTO teas (name) VALUES (?)", [(f"tea {number}",) for number in range(500)])
        database.commit()
    port = free_port()
    command = [sys.executable, "-m", "datasette", "shop.db", "-p", str(port)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port), 60, "datasette's port")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


SERVICES = [
    pytest.param(gunicorn, "/", "render_basket", id="flask under gunicorn with two workers"),
    pytest.param(datasette, "/shop/teas?_size=50", "sql_operation_in_thread", id="datasette"),
]


@pytest.mark.parametrize(("serve", "path", "function"), SERVICES)
def test_a_service_that_is_not_ours(
    tmp_path: Path, serve: Callable[[Path], AbstractContextManager[tuple[str, int]]], path: str, function: str
) -> None:
    with serve(tmp_path) as (url, pid):
        stages = [{"name": "hold", "hold": 25, "for": "4s"}]
        requests = [{"name": "page", "path": path}]
        plan = {"target": url, "profile": {"pid": pid}, "stages": stages, "requests": requests}
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        done = loadflame("run", str(tmp_path / "plan.yaml"), "--json", data_dir=tmp_path / "data")
    report = json.loads(done.stdout)
    assert report["accounting"]["completed"] == 100, done.stderr
    assert report["profile"]["service_cpu_cores"] > 0
    hot = {one["function"].rpartition(".")[2] for one in report["functions"]}
    assert function in hot


def test_without_a_plan_a_probe_makes_one_up_which_is_run_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.yaml"
    with gunicorn(tmp_path) as (url, pid):
        command = [sys.executable, "-c", SHORT_PLAN, "run", f"{url}/", "--pid", str(pid), "--save-plan", str(kept)]
        done = subprocess.run(
            [*command, "--json"],
            env=environment_of(tmp_path / "data"),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert done.returncode in (0, 3), done.stderr  # 3: a busy machine may make the run host-limited
    plan = load_plan(kept)
    (stage,) = plan.stages
    assert isinstance(stage, Levels)
    assert len(stage.levels) == 4
    assert stage.levels[-1] / stage.levels[0] == pytest.approx(8, rel=0.2)
    assert kept.read_text() in done.stderr, "it is shown as it is kept"
    report = json.loads(done.stdout)
    assert report["accounting"]["scheduled"] == pytest.approx(sum(stage.levels) * 3 * 2, abs=12)
    assert report["accounting"]["stored"] == report["accounting"]["sent"]
    assert [row["offered_tps"] for row in report["load"]] == pytest.approx(list(stage.levels), rel=0.1)
    assert "render_basket" in {one["function"].rpartition(".")[2] for one in report["functions"]}
    checks = checks_of(tmp_path / "data")
    assert all(checks[name] for name in ("I1", "I2", "I3"))
