"""Record `schemas/fixtures`, the events of a real run for other teams' tests: `python -m tests.support.record_events`.

A run of the sample shop on a broker of its own, with one message that nobody can read; then what `loadflame watch
--json` says of each topic, a file a topic. It takes a minute.
"""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import typer
from aiokafka import AIOKafkaProducer

from loadflame.broker import LocalBroker
from loadflame.demo import sample_shop
from loadflame.topics import ensure_topics
from schemas.topics import Topics
from tests.support.commands import environment_of
from tests.support.polling import wait_until
from tests.support.running import plan_file

FOLDER = Path(__file__).parents[2] / "schemas" / "fixtures"
KINDS = ("findings", "runs", "windows", "dead-letters")
LEVELS = {"name": "map", "levels": [40, 80, 160, 320], "visits": 3, "each": "3s", "settle": "500ms", "seed": 7}
STAGES = [LEVELS, {"name": "after", "hold": 40, "for": "2s", "role": "cool-down"}]
QUIET_S = 3.0


async def poison(broker: str) -> None:
    """A message to the topic of requests that is no batch."""
    await ensure_topics(broker, Topics())
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        headers = [("run", b"somebody-elses"), ("kind", b"data")]
        await producer.send_and_wait(Topics().name("requests"), b"not Arrow", partition=0, headers=headers)


def watched(broker: str, folder: Path, kind: str) -> list[str]:
    """Every event of a topic, a line each."""
    words = [sys.executable, "-m", "loadflame", "watch", "--from-start", "--json", "--topic", kind, "--broker", broker]
    said, told = folder / f"{kind}.out", folder / f"{kind}.err"
    with said.open("w") as out, told.open("w") as err:
        process = subprocess.Popen(words, env=environment_of(folder), stdout=out, stderr=err)
    wait_until(lambda: "watching" in told.read_text(), 30, "the watcher")
    before = -1
    while before != (now := said.stat().st_size):
        before = now
        try:
            process.wait(QUIET_S)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGINT)
    process.wait(30)
    return said.read_text().splitlines()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="loadflame-events-"))
    FOLDER.mkdir(exist_ok=True)
    with LocalBroker() as broker, sample_shop() as (url, pid):
        asyncio.run(poison(broker.bootstrap))
        plan = plan_file(folder, url, pid, stages=STAGES, target_count_path=None)
        environment = environment_of(folder / "data", LOADFLAME_BROKER=broker.bootstrap, LOADFLAME_FINDINGS="1")
        done = subprocess.run(
            [sys.executable, "-m", "loadflame", "run", str(plan)], env=environment, check=False, timeout=300
        )
        if done.returncode not in (0, 1, 3):
            sys.exit(done.returncode)
        for kind in KINDS:
            lines = watched(broker.bootstrap, folder, kind)
            text = "".join(f"{_without_place(json.loads(line))}\n" for line in lines)
            (FOLDER / f"{kind}.jsonl").write_text(text)
            typer.echo(f"{kind}: {len(lines)} lines")


def _without_place(event: dict[str, object]) -> str:
    """Nothing of this machine: the ports of the run are no matter of the fixture."""
    data = event.get("data")
    if isinstance(data, dict) and "target" in data:
        data["target"] = "http://127.0.0.1:8080/"
        data["plan"]["target"] = data["target"]
        data["plan"]["profile"]["pid"] = 4711
    return json.dumps(event, ensure_ascii=False)


if __name__ == "__main__":
    main()
