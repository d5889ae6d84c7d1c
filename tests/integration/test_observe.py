"""`loadflame observe` end to end: a service under traffic of its own, its log rotated meanwhile; the sums close."""

import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadflame.demo import sample_shop
from tests.support.commands import checks_in, loadflame
from tests.support.running import observe_while

pytestmark = [pytest.mark.broker, pytest.mark.slow]

LINE = '127.0.0.1 - - [{}] "GET {} HTTP/1.1" {} {} "-" "test" {:.6f}\n'


def serve_and_log(url: str, log: Path, requests: int) -> list[int]:
    """Ask the shop as clients would, and log each request as nginx before it would; the Unix seconds of their ends."""
    ended: list[int] = []
    while len(ended) < requests:
        path = f"/products/{len(ended) % 40}" if len(ended) % 2 else "/search?q=green+mint+tea"
        began = time.perf_counter()
        with urllib.request.urlopen(url + path) as answer:
            size = len(answer.read())
        took_s, now = time.perf_counter() - began, datetime.now(UTC)
        if len(ended) == requests // 2:
            log.rename(log.with_suffix(".1"))
        status = 503 if len(ended) % 50 == 7 else 200
        with log.open("a") as file:
            file.write(LINE.format(f"{now:%d/%b/%Y:%H:%M:%S +0000}", path, status, size, took_s))
        ended.append(int(now.timestamp()))
        time.sleep(0.005)  # clients think
    return ended


def test_a_service_is_observed_by_its_log_beside_its_profile_and_every_line_is_counted_once(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("something older\n")
    with sample_shop() as (url, pid):
        watched = (str(log), "--service", "shop", "--pid", str(pid), "--run", "peak")
        report, ended = observe_while(lambda: serve_and_log(url, log, 600), *watched, folder=tmp_path)
    start_s = datetime.fromisoformat(report["run"]["started_at"]).timestamp()
    count = sum(second >= start_s for second in ended)
    accounting = report["accounting"]
    assert accounting["scheduled"] == accounting["stored"] == count
    assert accounting["failed"] == sum(second >= start_s and at % 50 == 7 for at, second in enumerate(ended))
    assert all(ok is not False for ok in checks_in(report).values())
    assert report["run"]["observed"]
    (row,) = report["load"]
    assert row["p50_ms"] > 0
    assert row["held"] is None
    assert report["generator"]["engine"] == "access log"
    assert report["profile"]["coverage"] > 0.8
    assert any("rank_products" in function["function"] for function in report["functions"])
    assert not any(one["shape"] == "superlinear" for one in report["functions"])
    assert report["warnings"][0].startswith("Observed, not loaded")
    again = loadflame("observe", str(log), "--service", "shop", "--run", "peak", data_dir=tmp_path / "data")
    assert again.returncode == 2
    assert "run peak has its requests already; give another --run" in again.stderr


def test_what_cannot_be_observed_is_refused_before_anything_starts(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for arguments, sentence in (
        ([str(tmp_path / "none.log")], "none.log is not there; name the access log that the service, or the proxy"),
        ([], "name the ACCESS_LOG to follow, or with --socket where the service's middleware tells"),
        ([str(log), "--socket", "told"], "name the ACCESS_LOG to follow, or with --socket where"),
        ([str(log), "--for", "soon"], "--for: 'soon' is no time; write a number with its unit"),
        (["--socket", str(shared / "told")], "others may write into"),
    ):
        done = loadflame("observe", *arguments, "--service", "shop", data_dir=tmp_path / "data")
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()


def test_the_middleware_is_written_where_it_is_asked_for_and_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "loadflame_middleware.py"
    done = loadflame("middleware", "--out", str(out), data_dir=tmp_path)
    assert done.returncode == 0, done.stderr
    assert loadflame("middleware", data_dir=tmp_path).stdout == out.read_text()
    again = loadflame("middleware", "--out", str(out), data_dir=tmp_path)
    assert again.returncode == 2
    assert "is there already; give another --out, or --force to overwrite it" in again.stderr
