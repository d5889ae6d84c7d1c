"""The stream processor as it is deployed: `loadflame process` in a process of its own, which a test may kill."""

import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from loadflame.children import READY
from schemas.topics import Topics
from tests.support.brokers import Broker
from tests.support.commands import environment_of

READY_S, END_S = 60.0, 60.0


@dataclass(slots=True)
class WorkerSettings:
    """What the workers of one test share."""

    broker: Broker
    topics: Topics
    store: str
    folder: Path
    drain: str
    window_us: int
    logs: list[Path] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Of one test only: a member that an earlier test killed would hold up the next one's first assignment."""
        return self.topics.prefix


class WorkerProcess:
    """A context manager: started and subscribed on entry, certainly gone on exit."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._log = settings.folder / f"worker-{len(settings.logs)}.log"
        settings.logs.append(self._log)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        settings = self._settings
        environment = environment_of(
            settings.folder,
            LOADFLAME_BROKER=settings.broker.bootstrap,
            LOADFLAME_STORE=settings.store,
            LOADFLAME_TOPIC_PREFIX=settings.topics.prefix,
            LOADFLAME_PARTITIONS=str(settings.topics.partitions),
            LOADFLAME_WINDOW_MS=str(settings.window_us // 1000),
            LOADFLAME_GROUP=settings.group,
        )
        command = [sys.executable, "-m", "loadflame", "process", "--drain", settings.drain]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=settings.folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: [said.put(line) for line in self._process.stdout], daemon=True).start()
        try:
            assert said.get(timeout=READY_S).strip() == READY
        except queue.Empty:
            self.kill()
            raise AssertionError(f"the worker was not ready in {READY_S:.0f} s: {self.log()}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        assert self._process is not None
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        assert self._process is not None
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as the kernel or a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self, timeout_s: float = END_S) -> None:
        """Wait until it has drained its run and ended by itself, in order."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end in {timeout_s:.0f} s: {self.log()}") from None
        assert code == 0, self.log()

    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text()[-3000:]
