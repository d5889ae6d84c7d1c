"""A role of the command line as it is deployed: `loadflame ROLE` in a process of its own, which a test may kill."""

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from loadflame.children import READY

READY_S, END_S = 60.0, 60.0
_MAIN = "from loadflame.__main__ import main; main()"


class RoleProcess:
    """A context manager: started and ready on entry, certainly gone on exit. Its standard error goes to `log`."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, prelude: str = ""
    ) -> None:
        """`prelude`: Python that is run in that process first (see `tests.support.preludes`)."""
        self._arguments = arguments
        self._program = ["-c", f"{prelude}\n{_MAIN}"] if prelude else ["-m", "loadflame"]
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._said: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def start(self) -> None:
        """Start it; `wait_ready` says when it is."""
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, *self._arguments],
                env=self._environment,
                cwd=self._log.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, output: TextIO) -> None:
        for line in output:
            self._said.put(line)
        self._said.put("")

    def wait_ready(self) -> None:
        """Block until it says so; AssertionError when it ends first, or takes too long."""
        try:
            if self._said.get(timeout=READY_S).strip() == READY:
                return
            why = "ended before it was ready"
        except queue.Empty:
            why = f"was not ready in {READY_S:.0f} s"
        self.kill()
        raise AssertionError(f"{self._arguments[0]} {why}, and said: {self.log()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is None:
            return
        self.kill()
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

    def log(self, *, whole: bool = False) -> str:
        """What it wrote to standard error: the end of it, or all."""
        return self._log.read_text()[0 if whole else -3000 :]
