"""A role of the command line as it is deployed: `loadflame ROLE` in a process of its own, which a test may kill."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self, TextIO

from loadflame.children import READY
from tests.support.forked import Forked, pipe

READY_S, END_S = 60.0, 60.0
_MAIN = "from loadflame.__main__ import main; main()"


class _Process(Protocol):
    """A process that was started, one way or the other."""

    pid: int

    def code(self, timeout_s: float | None = 0) -> int | None:
        """Its exit code; None when it still runs after that time."""


class _Started:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def code(self, timeout_s: float | None = 0) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None


class RoleProcess:
    """A context manager: started and ready on entry, certainly gone on exit. Its standard error goes to `log`."""

    is_forked: ClassVar[bool] = True
    """Whether from a process that has imported what it needs. If not it is started as an operator does, and is ready a
    second or two later. One with a prelude is never forked.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, prelude: str = ""
    ) -> None:
        """`prelude`: Python that is run in that process before anything is imported (see `tests.support.preludes`)."""
        self._arguments = arguments
        self._prelude = prelude
        self._environment = environment
        self._log = log
        self._process: _Process | None = None
        self._said: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def start(self) -> None:
        """Start it; `wait_ready` says when it is."""
        if self._prelude or not self.is_forked:
            self._process, said = self._started()
        else:
            said, out = pipe()
            self._log.write_text("")
            folder = self._log.parent
            self._process = Forked(self._arguments, self._environment, out, self._log, folder=folder)
            out.close()
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()

    def _started(self) -> tuple[_Process, TextIO]:
        """A process that imports what it needs itself, behind its prelude if it has one."""
        program = ["-c", f"{self._prelude}\n{_MAIN}"] if self._prelude else ["-m", "loadflame"]
        with self._log.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *program, *self._arguments],
                env=self._environment,
                cwd=self._log.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        return _Started(process), process.stdout

    def _listen(self, output: TextIO) -> None:
        with output:
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
        if self._process is not None:
            self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        assert self._process is not None
        return self._process.code() is None

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as the kernel or a power cut would."""
        self.send(signal.SIGKILL)
        assert self._process is not None
        self._process.code(None)

    def interrupt(self) -> None:
        """End it as Ctrl-C does, and wait until it has brought home what it has."""
        self.send(signal.SIGINT)
        self.end()

    def end(self, timeout_s: float = END_S) -> None:
        """Wait until it has ended, in order."""
        assert self._process is not None
        code = self._process.code(timeout_s)
        assert code is not None, f"{self._arguments[0]} did not end in {timeout_s:.0f} s, and said: {self.log()}"
        assert code == 0, self.log()

    def log(self, *, whole: bool = False) -> str:
        """What it wrote to standard error: the end of it, or all."""
        return self._log.read_text()[0 if whole else -3000 :]
