"""Every line of a log is one JSON object, whoever wrote it, says of which run it is, and tells no secret."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
START = """
import logging, warnings, structlog
from loadflame.logs import configure_logs, logs_about
configure_logs()
log = structlog.get_logger()
"""
SETTINGS = {
    "LOADFLAME_STORE": "http://writer:s3cr%2Fet@127.0.0.1:8123/db",
    "LOADFLAME_KAFKA_PASSWORD": "hunter22",
    "LOADFLAME_BROKER": "kafka:9092",
}


def lines_of(statements: str, **environment: str) -> list[dict[str, Any]]:
    """What a process of its own logs: logging is set up once and for all, which no other test wants."""
    done = subprocess.run(
        [sys.executable, "-c", START + statements],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "", "standard output belongs to results"
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_of_ours_and_of_others_are_alike() -> None:
    ours, faust, warning = lines_of(
        """
log.warning("the store is away", wait_s=1.5)
logging.getLogger("faust.transport").error("Timed %s", "out")
warnings.warn("old")
"""
    )
    assert (ours["event"], ours["level"], ours["wait_s"]) == ("the store is away", "warning", 1.5)
    assert (faust["event"], faust["level"], faust["logger"]) == ("Timed out", "error", "faust.transport")
    assert (warning["level"], warning["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: old" in warning["event"]
    assert all(line["timestamp"].endswith("Z") for line in (ours, faust, warning))


def test_levels_are_as_they_were() -> None:
    lines = lines_of(
        """
for name in ("faust", "aiokafka.consumer", "clickhouse_connect.driver", "urllib3.connectionpool"):
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).error("trouble")
log.info("ours")
"""
    )
    assert [line["event"] for line in lines] == ["trouble", "ours"]


def test_an_error_with_its_traceback_is_one_line() -> None:
    ours, others = lines_of(
        """
try:
    raise ValueError("two\\nlines")
except ValueError:
    log.exception("failed")
    logging.getLogger("mode").exception("failed")
"""
    )
    assert "ValueError: two\nlines" in ours["exception"]
    assert "ValueError: two\nlines" in others["exception"]


def test_every_line_carries_the_run_whatever_thread_it_is_of_until_that_is_over() -> None:
    lines = lines_of(
        """
import threading
with logs_about(run="r-1"):
    log.info("here")
    thread = threading.Thread(target=lambda: logging.getLogger("aiokafka_thread").warning("there"))
    thread.start()
    thread.join()
    with structlog.contextvars.bound_contextvars(run="r-2", window=7):
        log.info("of another's window")
log.info("after")
with logs_about(run=None):
    log.info("of no run")
"""
    )
    assert {line["event"]: (line.get("run"), line.get("window")) for line in lines} == {
        "here": ("r-1", None),
        "there": ("r-1", None),
        "of another's window": ("r-2", 7),
        "after": (None, None),
        "of no run": (None, None),
    }


def test_lines_of_several_threads_do_not_run_into_each_other() -> None:
    lines = lines_of(
        """
import threading
def write():
    for _ in range(200):
        log.info("ours")
        logging.getLogger("others").warning("theirs")
threads = [threading.Thread(target=write) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )
    assert len(lines) == 4 * 200 * 2


SECRETS = {
    "a password of the settings, wherever it stands": 'log.info("sent", detail="refused s3cr/et and s3cr%2Fet")',
    "one that others log": 'logging.getLogger("x").error("SASL with hunter22 failed")',
    "one in an error": 'try:\n    raise OSError("hunter22")\nexcept OSError:\n    log.exception("failed")',
    "a URL with another password": 'log.info("no answer at https://u:s3cr/et@h, https://u:hunter22@h:1/x")',
    "what is called a secret": 'log.info("made", token="hunter22x", nested={"api_key": ["hunter22x"]})',
    "what is assigned to a secret's name": 'log.info("sasl_password=hunter22x, Authorization: Bearer hunter22x")',
}


@pytest.mark.parametrize("statement", SECRETS.values(), ids=SECRETS)
def test_no_secret_is_told(statement: str) -> None:
    (line,) = lines_of(statement, **SETTINGS)
    assert "hunter22" not in json.dumps(line)
    assert "s3cr" not in json.dumps(line)
    assert "..." in json.dumps(line)


def test_what_is_no_secret_stays_as_it_is() -> None:
    (line,) = lines_of(
        'log.info("check the user, its password and its rights at kafka:9092", rows=3, ok=True, place=("t", 1))',
        **SETTINGS,
    )
    del line["timestamp"], line["level"]
    assert line == {
        "event": "check the user, its password and its rights at kafka:9092",
        "rows": 3,
        "ok": True,
        "place": ["t", 1],
    }
