"""`loadflame import` end to end: files of other tools, the real broker, worker and store, a report that adds up."""

import json
import time
import urllib.request
from pathlib import Path

import pytest

from loadflame.broker import LocalBroker
from loadflame.demo import sample_shop
from producers.imports.locust_listener import RequestWriter
from tests.support.commands import checks_in, environment_of, loadflame
from tests.support.roles import RoleProcess

pytestmark = [pytest.mark.broker, pytest.mark.slow]

START_S = 1_700_000_000


def locust_file(folder: Path, seconds: int, tps: int) -> Path:
    """A run of `tps` requests a second, each of 20 ms, every tenth a 503; written in no order."""
    path = folder / "requests-1.ndjson"
    lines = []
    for number in range(seconds * tps):
        failed = number % 10 == 0
        line = {
            "start_time": START_S + number / tps,
            "response_time": 20,
            "method": "GET",
            "name": "/search",
            "status": 503 if failed else 200,
            "error": "HTTPError: 503" if failed else "",
            "response_length": 100,
        }
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines[1::2] + lines[::2]))
    return path


def test_a_file_becomes_a_run_whose_report_adds_up_and_that_cannot_be_imported_and_counted_twice(tmp_path: Path):
    path = locust_file(tmp_path, seconds=90, tps=20)
    path.write_text(path.read_text() + '\n{"start_time": 17000')
    arguments = ("import", str(path), "--service", "shop", "--run", "peak", "--json")
    done = loadflame(*arguments, data_dir=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "1,801 lines read: 1,800 requests" in done.stderr
    assert "line 1801: is not whole JSON" in done.stderr
    report = json.loads(done.stdout)
    accounting = report["accounting"]
    assert (accounting["scheduled"], accounting["completed"], accounting["failed"]) == (1800, 1620, 180)
    assert accounting["stored"] == 1800
    assert accounting["dead_letters"] == 0
    assert report["generator"]["engine"] == "locust"
    assert report["generator"]["send_lag_p99_ms"] is None
    (row,) = report["load"]
    assert row["stage"] == "locust"
    assert row["achieved_tps"] == pytest.approx(18, rel=0.03)
    assert row["p50_ms"] == pytest.approx(20, rel=0.02)
    assert row["error_rate"] == pytest.approx(0.1)
    assert any("counts from when it sent" in warning for warning in report["warnings"])
    assert any("1 of 1,801 lines" in warning for warning in report["warnings"])
    checks = checks_in(report)
    assert all(checks[name] for name in ("I1", "I2", "I3"))
    again = loadflame(*arguments, data_dir=tmp_path / "data")
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1] == "loadflame: run peak has its requests already; give another --run"


def test_a_file_in_which_nothing_is_understood_leaves_no_run_and_names_the_remedy(tmp_path: Path):
    path = locust_file(tmp_path, seconds=1, tps=5)
    done = loadflame("import", str(path), "--service", "shop", "--from", "vegeta", data_dir=tmp_path / "data")
    assert done.returncode == 2
    assert "name the tool that wrote it with --from" in done.stderr
    assert json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout) == []


def load_as_locust_would(url: str, prefix: Path, seconds: float) -> int:
    """Send one request after the other, and tell the listener of each as Locust does; gives their number."""
    writer, count, until = RequestWriter(str(prefix)), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        start_time, began = time.time(), time.perf_counter()
        with urllib.request.urlopen(f"{url}/search?q=green+mint+tea") as answer:
            body = answer.read()
            answer.status_code = answer.status
            writer(
                request_type="GET",
                name="/search",
                response_time=(time.perf_counter() - began) * 1000,
                response_length=len(body),
                response=answer,
                exception=None,
                context={},
                start_time=start_time,
                url=url,
            )
        count += 1
    for file in writer._files.values():
        file.close()
    return count


def test_an_agent_that_watched_meanwhile_is_joined_with_the_imported_run(tmp_path: Path):
    with LocalBroker() as broker, sample_shop() as (url, pid):
        environment = environment_of(tmp_path / "data", LOADFLAME_BROKER=broker.bootstrap)
        words = ("profile", "--run", "peak", "--pid", str(pid), "--service", "shop")
        with RoleProcess(words, environment, tmp_path / "agent.log") as agent:
            count = load_as_locust_would(url, tmp_path / "requests", 6)
            agent.interrupt()
        (path,) = tmp_path.glob("requests-*.ndjson")
        arguments = ("import", str(path), "--service", "shop", "--run", "peak", "--json")
        done = loadflame(*arguments, data_dir=tmp_path / "data", LOADFLAME_BROKER=broker.bootstrap)
    assert done.returncode in (0, 3), done.stderr  # 3: a busy machine may make the run host-limited
    report = json.loads(done.stdout)
    assert report["accounting"]["stored"] == count
    assert report["accounting"]["windows_without_profile"] == 0
    assert report["profile"]["coverage"] > 0.8
    assert any("sweep_sessions" in function["function"] for function in report["functions"])
    assert all(ok is not False for ok in checks_in(report).values())
