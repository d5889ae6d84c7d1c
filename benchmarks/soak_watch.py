"""What is read while a soak is under way: memory, lag and disk every few seconds, and when windows were heard of."""

import asyncio
import contextlib
import csv
import os
import sys
import time
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.memory import resident_bytes
from benchmarks.soak_figures import Moment
from loadflame.settings import Settings
from schemas.events import WindowJoined
from schemas.topics import BULK

EVERY_S = 5.0
ROLES = {"load": "load", "profile": "agent", "process": "worker"}
PROCESSES = (*ROLES.values(), "looks", "broker", "service", "store")
COLUMNS = ("seconds", *(f"{name}_rss_bytes" for name in PROCESSES), "lag_messages", "store_bytes", "outcomes")


class Watch:
    """What is read while the run is under way. `pids` are the processes that the run itself does not start."""

    def __init__(self, settings: Settings, store: Path, pids: dict[str, int], out: Path) -> None:
        self.moments: list[Moment] = []
        self.seen_us: dict[int, int] = {}
        self.outcomes: dict[int, int] = {}
        self._settings = settings
        self._store = store
        self._pids = pids
        self._out = out
        self._began_s: float | None = None
        self._told = 0

    def phase(self, what: str) -> None:
        """The run says what it is at."""
        print(what, file=sys.stderr)
        self._began_s = time.monotonic() if what == "loading" else None

    def heard(self, window: WindowJoined) -> None:
        """A joined window was announced."""
        self.seen_us.setdefault(window.window, time.time_ns() // 1000)
        self.outcomes[window.window] = window.completed + window.failed

    async def read(self) -> None:
        """Read every few seconds of the load, until cancelled."""
        assert self._settings.broker is not None
        places = [
            TopicPartition(self._settings.topics.name(kind), number)
            for kind in BULK
            for number in range(self._settings.partitions)
        ]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.broker, group_id=self._settings.group, enable_auto_commit=False
        )
        with (self._out / "soak.csv").open("w", newline="", buffering=1) as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            try:
                while True:
                    await asyncio.sleep(EVERY_S)
                    if self._began_s is None:
                        continue
                    if not consumer.assignment():  # the topics are made by the run
                        await consumer.start()
                        consumer.assign(places)
                    at_s = time.monotonic() - self._began_s
                    moment = Moment(
                        at_s, self._resident(), await _lag(consumer), size_of(self._store), sum(self.outcomes.values())
                    )
                    self.moments.append(moment)
                    resident = [moment.rss_bytes.get(name, "") for name in PROCESSES]
                    table.writerow([f"{at_s:.1f}", *resident, moment.lag, moment.store_bytes, moment.outcomes])
                    self._tell(moment)
            finally:
                await asyncio.shield(consumer.stop())

    def _tell(self, moment: Moment) -> None:
        """How far it is, once a minute."""
        minute = int(moment.at_s // 60)
        if minute == self._told:
            return
        self._told = minute
        worker = moment.rss_bytes.get("worker", 0) >> 20
        print(f"minute {minute}: worker {worker} MiB, {moment.lag} messages behind", file=sys.stderr)

    def _resident(self) -> dict[str, int]:
        """Bytes by process; what one started itself counts with it, but for the worker's looks, which come and go."""
        found = {}
        for name, pid in (self._pids | roles_below(psutil.Process())).items():
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] = resident_bytes(pid)
                if name == "worker":
                    alone = psutil.Process(pid).memory_info().rss
                    if looks := found[name] - alone:
                        found["looks"] = looks
                    found[name] = alone
        return found


def roles_below(process: psutil.Process) -> dict[str, int]:
    """Process ids of the roles that a process has started, by their short names."""
    found = {}
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            words = child.cmdline()
            role = words[words.index("loadflame") + 1] if "loadflame" in words else ""
            if role in ROLES:
                found[ROLES[role]] = child.pid
    return found


async def _lag(consumer: AIOKafkaConsumer) -> int:
    """Messages that the group has not committed past."""
    places = list(consumer.assignment())
    ends = await consumer.end_offsets(places)
    return sum([ends[place] - (await consumer.committed(place) or 0) for place in places])


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; those that go meanwhile, with or without their folder, do not count."""
    total = 0
    for place, _, files in os.walk(folder):  # unlike Path.rglob it goes on where a folder has gone
        for file in files:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, file)).st_size  # noqa: PTH116, PTH118  thousands of files
    return total
