"""`loadflame run` end to end: real processes, real profiles, everything counted."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from benchmarks.serving import free_port
from loadflame.demo import sample_shop
from producers.load.plan import load_plan
from producers.load.stages import Levels
from schemas.events import RunChecked, RunJudged
from tests.support.brokers import Broker, new_topics
from tests.support.commands import checks_in, checks_of, environment_of, loadflame
from tests.support.polling import answers, wait_until
from tests.support.running import plan_file
from tests.support.traffic import messages_of

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_a_run_is_counted_to_the_last_request_and_says_where_the_cpu_went(tmp_path: Path) -> None:
    levels = {"name": "map", "levels": [40, 80, 160, 320], "visits": 1, "each": "2s", "seed": 7}
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=[levels])
        done = loadflame("run", str(plan), "--json", data_dir=tmp_path / "data")
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    assert done.returncode in (0, 3), done.stderr  # 3: a busy machine may make the run host-limited
    assert "1 load process: the plan's highest rate is 320 TPS, and a core sends 30,000" in done.stderr
    report = json.loads(done.stdout)
    assert report["generator"]["reason"] == "the fastest, and it can do all that the plan asks for"
    accounting = report["accounting"]
    assert accounting["scheduled"] == (40 + 80 + 160 + 320) * 2
    assert accounting["scheduled"] == accounting["completed"] + accounting["failed"] + accounting["dropped"]
    assert accounting["sent"] == counted
    assert accounting["stored"] == accounting["completed"] + accounting["failed"]
    assert accounting["dead_letters"] == 0
    assert report["profile"]["coverage"] > 0.9
    names = {function["function"].rpartition(".")[2] for function in report["functions"]}
    assert {"sweep_sessions", "rank_products"} <= names  # of what less is in, a busy machine may see nothing in 8 s
    checks = checks_of(tmp_path / "data")
    assert checks == {"I0": True, "I1": True, "I2": True, "I3": True, "I4": None}  # the broker is gone
    (listed,) = json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout)
    assert listed["id"] == report["run"]["id"]
    assert listed["verdict"] == report["run"]["verdict"]


def test_processes_that_share_a_load_send_the_plan_exactly_on_a_broker_of_ones_own(
    tmp_path: Path, kafka_broker: Broker
) -> None:
    prefix = new_topics(kafka_broker).prefix
    kafka = {
        "LOADFLAME_BROKER": kafka_broker.bootstrap,
        "LOADFLAME_TOPIC_PREFIX": prefix,
        "LOADFLAME_GROUP": prefix,
    }
    stages = [
        {"name": "warm", "ramp": [10, 30], "for": "2s", "role": "warm-up"},
        {"name": "s", "hold": 151, "for": "3s"},
    ]
    with sample_shop() as (url, pid):
        plan = plan_file(tmp_path, url, pid, stages=stages)
        done = loadflame("run", str(plan), "--workers", "3", "--json", data_dir=tmp_path / "data", **kafka)
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    report = json.loads(done.stdout)
    accounting = report["accounting"]
    assert accounting["scheduled"] == 2 * 20 + 3 * 151, done.stderr
    assert "3 load processes: as --workers says" in done.stderr
    assert accounting["sent"] == accounting["stored"] == counted
    assert [(row["stage"], round(row["offered_tps"])) for row in report["load"]] == [("warm", 20), ("s", 151)]
    runs = asyncio.run(messages_of(kafka_broker, f"{prefix}.runs", 1))
    told = [event for event, _, _ in runs if isinstance(event, RunChecked | RunJudged)]
    assert [event.type for event in told] == [RunChecked.type, RunJudged.type], "who subscribes hears the verdict"
    assert told[-1].verdict == report["run"]["verdict"]
    # Its topics outlive the run, so what lies below the commits can still be held against the store.
    checks = checks_of(tmp_path / "data", **kafka)
    assert checks == {"I0": None, "I1": True, "I2": True, "I3": True, "I4": True}


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
    assert 100 < report["accounting"]["scheduled"] < 50 * 120, "it did not last as long as was planned"
    assert all(checks_in(report)[name] for name in ("I0", "I1", "I2", "I3"))


APPLICATION = """
import sys
from flask import Flask
app = Flask(__name__)
def render_basket():
    return sum(hash(str(i)) % 7 for i in range(20_000))
@app.get('/')
def index():
    return str(render_basket())
sys.stderr.write("up\\n")
"""
SHORT_PLAN = """
import loadflame.made_up
from loadflame.cli import main
loadflame.made_up.VISITS, loadflame.made_up.VISIT_S = 1, 2
main()
"""
"""The command line, but a plan that it makes up takes 8 s, not 96."""


@contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[str, int]]:
    """A Flask application under gunicorn with two workers: nothing of it is ours but the view."""
    (folder / "application.py").write_text(APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "application:app"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        up = 0
        for line in process.stderr:
            up += line == "up\n"  # it is booted before it has imported anything, and a probe waits for seconds only
            if up == 2:
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


def test_an_asyncio_service_that_is_not_ours(tmp_path: Path) -> None:
    with datasette(tmp_path) as (url, pid):
        stages = [{"name": "hold", "hold": 25, "for": "4s"}]
        requests = [{"name": "page", "path": "/shop/teas?_size=50"}]
        plan = {"target": url, "profile": {"pid": pid}, "stages": stages, "requests": requests, "timeout": "60s"}
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        done = loadflame("run", str(tmp_path / "plan.yaml"), "--json", data_dir=tmp_path / "data")
    report = json.loads(done.stdout)
    assert report["accounting"]["completed"] == 100, done.stderr
    assert report["profile"]["service_cpu_cores"] > 0
    assert any(one["file"].startswith("datasette/") for one in report["functions"])


def test_without_a_plan_a_probe_of_gunicorn_makes_one_up_which_is_run_and_kept(tmp_path: Path) -> None:
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
    assert report["accounting"]["scheduled"] == pytest.approx(sum(stage.levels) * 2, abs=4)
    assert report["accounting"]["stored"] == report["accounting"]["sent"]
    assert report["profile"]["service_cpu_cores"] > 0
    # To a request more or less in each two seconds: a busy machine has rates of few.
    assert [row["offered_tps"] for row in report["load"]] == pytest.approx(list(stage.levels), rel=0.1, abs=0.5)
    assert "render_basket" in {one["function"].rpartition(".")[2] for one in report["functions"]}
    checks = checks_in(report)
    assert all(checks[name] for name in ("I1", "I2", "I3"))
