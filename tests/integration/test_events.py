"""Findings as events, from a worker to whoever subscribes: published, stored, watched live, and by an example."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadflame.subscription import follow
from schemas.events import FindingMade
from sinks.clickhouse import open_store
from tests.support.brokers import Broker, new_topics
from tests.support.commands import environment_of, loadflame, report_of
from tests.support.polling import until, wait_until
from tests.support.traffic import Traffic, messages_of
from tests.support.workers import WorkerProcess, WorkerSettings

pytestmark = [pytest.mark.broker]
RUN = "run-1"
WINDOW_US = 200_000
WAIT_S = 60.0
EXAMPLE = Path(__file__).parents[2] / "examples" / "subscribe.py"


@dataclass(frozen=True)
class Site:
    """A broker on which a run was told of, and its store."""

    workers: WorkerSettings

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LOADFLAME_BROKER": self.workers.broker.bootstrap,
            "LOADFLAME_TOPIC_PREFIX": self.workers.topics.prefix,
            "LOADFLAME_STORE": self.workers.store,
        }

    @contextmanager
    def process(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
        """A program, and where it writes its output and its errors; ended if it has not."""
        folder = self.workers.folder
        out, err = folder / "process.out", folder / "process.err"
        environment = environment_of(folder, PYTHONUNBUFFERED="1", **self.environment)
        with out.open("w") as to, err.open("w") as told:
            process = subprocess.Popen(words, env=environment, stdout=to, stderr=told, text=True)
        try:
            yield process, out, err
        finally:
            process.kill()
            process.wait()

    def watch(self, *words: str) -> Any:
        return self.process(sys.executable, "-m", "loadflame", "watch", *words)


@pytest.fixture(scope="module")
def site(tansu_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """After a run of a load and an agent, through a worker that tells what it finds and ends by itself."""
    folder = tmp_path_factory.mktemp("events")
    topics = new_topics(tansu_broker)
    workers = WorkerSettings(tansu_broker, topics, f"chdb://{folder}/store", folder, RUN, WINDOW_US, findings=True)
    traffic = Traffic(tansu_broker, topics, RUN, WINDOW_US)

    async def run() -> None:
        await traffic.begin()
        await traffic.send(*range(12), goodbye=True)
        await traffic.end()

    with WorkerProcess(workers) as worker:
        asyncio.run(run())
        worker.end()
    return Site(workers)


def test_what_is_published_is_stored_and_is_what_the_report_says(site: Site) -> None:
    topic = site.workers.topics.name("findings")
    found = asyncio.run(messages_of(site.workers.broker, topic, 1))
    ids = [headers["ce_id"] for _, headers, _ in found]
    assert len(ids) == len(set(ids))
    with closing(open_store(site.workers.store)) as store:
        stored = {event.event_id() for event in store.read_events(RUN) if event.topic == "findings"}
        seen = [row[0] for row in store.client.query("SELECT summary FROM findings").result_rows]
    assert {one.decode() for one in ids} == stored
    report = report_of(site.workers.folder, RUN, **site.environment)
    data = [json.loads(value) for _, _, value in found]
    assert [one["summary"] for one in data[:-1]] == [one["summary"] for one in report["findings"]]
    assert sorted(seen) == sorted(one["summary"] for one in report["findings"])
    assert data[-1]["findings"] == [one["finding"] for one in data[:-1]]
    assert found[-1][1]["ce_type"] == b"loadflame.findings.settled.v1"


async def test_who_follows_a_run_hears_of_its_windows_and_findings(site: Site) -> None:
    windows: set[int] = set()
    findings: list[FindingMade] = []
    following = asyncio.create_task(
        follow(
            site.workers.broker.bootstrap,
            site.workers.topics,
            RUN,
            on_window=lambda window: windows.add(window.window),
            on_finding=findings.append,
        )
    )
    try:
        await until(lambda: len(windows) == 12 and bool(findings), WAIT_S, "twelve windows and a finding")
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert findings[0].kind == "none"


def test_a_watcher_from_the_start_prints_a_line_an_event_and_ends_in_order_by_ctrl_c(site: Site) -> None:
    with site.watch("--from-start", "--run", RUN) as (process, out, err):
        wait_until(lambda: "that is all" in out.read_text() and "the run ended" in out.read_text(), WAIT_S, "the end")
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        said = out.read_text()
        assert err.read_text() == f"watching findings, runs at {site.workers.broker.bootstrap}; Ctrl-C ends it\n"
    assert "\x1b" not in said, "no colours where there is no terminal"
    assert [line.split("  ")[1] for line in said.splitlines()] == [RUN] * len(said.splitlines())
    assert "▶ a run of shop" in said
    assert "○ No finding about growth" in said


def test_a_watcher_hears_what_comes_from_now_on_as_cloudevents(site: Site) -> None:
    traffic = Traffic(site.workers.broker, site.workers.topics, "run-2", WINDOW_US)

    async def begin() -> None:
        await traffic.begin()
        await traffic.flush()
        await traffic.close()

    with site.watch("--json", "--topic", "runs", "--topic", "dead-letters") as (process, out, err):
        wait_until(lambda: "watching runs, dead-letters" in err.read_text(), WAIT_S, "that it listens")
        asyncio.run(begin())
        wait_until(lambda: "run-2" in out.read_text(), WAIT_S, "the new run")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        (line,) = out.read_text().splitlines()
    event = json.loads(line)
    assert (event["type"], event["subject"], event["data"]["run_id"]) == ("loadflame.run.started.v1", "run-2", "run-2")


def test_a_reader_that_has_seen_enough_is_no_error(site: Site) -> None:
    read, write = os.pipe()
    environment = environment_of(site.workers.folder, **site.environment)
    words = [sys.executable, "-m", "loadflame", "watch", "--from-start"]
    with subprocess.Popen(words, env=environment, stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        os.close(read)
        _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        ((), {}, "watch needs a broker: give --broker HOST:PORT or set LOADFLAME_BROKER"),
        (("--broker", "127.0.0.1:9"), {}, "no Kafka at 127.0.0.1:9"),
        (
            ("--broker", "127.0.0.1:9"),
            {"LOADFLAME_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
            "LOADFLAME_KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs a user",
        ),
        (("--topic", "requests"), {}, "invalid value for '--topic': Value error, 'requests' is not one of"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_remedy(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    done = loadflame("watch", *words, data_dir=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"loadflame: {sentence}")
    assert done.stderr.count("\n") == 1


def test_the_example_prints_what_was_found_in_twenty_lines(site: Site) -> None:
    assert sum(bool(line.strip()) for line in EXAMPLE.read_text().splitlines()) <= 25
    imported = [line for line in EXAMPLE.read_text().splitlines() if "import" in line]
    assert imported == ["import asyncio", "import json", "import sys", "from aiokafka import AIOKafkaConsumer"]
    words = [sys.executable, str(EXAMPLE), site.workers.broker.bootstrap, site.workers.topics.prefix]
    report = report_of(site.workers.folder, RUN, **site.environment)
    with site.process(*words) as (_, out, _):
        wait_until(lambda: out.read_text().endswith(f"{report['findings'][-1]['summary']}\n"), WAIT_S, "the findings")
        assert out.read_text().splitlines() == [f"run {RUN}:", *(f"  {one['summary']}" for one in report["findings"])]
