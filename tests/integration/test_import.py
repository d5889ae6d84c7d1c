"""`loadflame import` end to end: files of other tools, the real broker, worker and store, a report that adds up."""

import json
from pathlib import Path

import pytest

from tests.support.commands import checks_of, loadflame

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


def test_a_file_becomes_a_run_whose_report_adds_up_and_says_what_its_latency_is(tmp_path: Path):
    path = locust_file(tmp_path, seconds=90, tps=20)
    path.write_text(path.read_text() + '\n{"start_time": 17000')
    done = loadflame("import", str(path), "--service", "shop", "--json", data_dir=tmp_path / "data")
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
    checks = checks_of(tmp_path / "data")
    assert all(checks[name] for name in ("I1", "I2", "I3"))


def test_a_run_cannot_be_imported_twice_and_counted_twice(tmp_path: Path):
    arguments = ("import", str(locust_file(tmp_path, seconds=2, tps=20)), "--service", "shop", "--run", "peak")
    first = loadflame(*arguments, data_dir=tmp_path / "data")
    assert first.returncode == 0, first.stderr
    second = loadflame(*arguments, data_dir=tmp_path / "data")
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1] == "loadflame: run peak has its requests already; give another --run"


def test_a_file_in_which_nothing_is_understood_leaves_no_run_and_names_the_remedy(tmp_path: Path):
    path = locust_file(tmp_path, seconds=1, tps=5)
    done = loadflame("import", str(path), "--service", "shop", "--from", "vegeta", data_dir=tmp_path / "data")
    assert done.returncode == 2
    assert "name the tool that wrote it with --from" in done.stderr
    assert json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout) == []
