"""A role of the command line as it is deployed: `loadflame ROLE` in a process of its own, which a test may kill."""

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from loadflame.children import READY

READY_S, END_S = 60.0, 60.0


class RoleProcess:
    """A context manager: started and ready on entry, certainly gone on exit. Its standard error goes to `log`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadflame", *self._arguments],
                env=self._environment,
                cwd=self._log.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: [said.put(line) for line in self._process.stdout], daemon=True).start()
        try:
            assert said.get(timeout=READY_S).strip() == READY
        except queue.Empty:
            self.kill()
            raise AssertionError(
                f"{self._arguments[0]} was not ready in {READY_S:.0f} s, and said: {self.log()}"
            ) from None
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

    def interrupt(self) -> None:
        """End it as Ctrl-C does, and wait until it has brought home what it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self.end()

    def end(self, timeout_s: float = END_S) -> None:
        """Wait until it has ended, in order."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self._arguments[0]} did not end in {timeout_s:.0f} s, and said: {self.log()}"
            ) from None
        assert code == 0, self.log()

    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text()[-3000:]
