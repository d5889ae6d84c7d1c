"""The processes of a run: each role in a process of its own, watched, and ended by its id.

A role prints `ready` on its standard output when it is, and may be told a line on its standard input then. Its
standard error goes to a log file, and the last lines of that file are part of the error when it fails.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadflame.verdicts import exit_code
from schemas.errors import UserError

READY = "ready"
_PR_SET_PDEATHSIG = 1


class ChildError(UserError):
    """A process of the run ended when it should not have."""


def end_with_parent() -> None:
    """Ask the kernel to interrupt this process when the one that started it is gone, so that nothing is orphaned."""
    if os.environ.get("LOADFLAME_CHILD") == "1" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


class Child:
    """One role of the command line in a process of its own."""

    def __init__(self, role: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.role = role
        self.log = log
        self._process = process
        self._is_ready = asyncio.Event()
        self._ended_well = {0}
        self._watching = asyncio.create_task(self._watch())

    @classmethod
    async def start(
        cls, role: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, niceness: int = 0
    ) -> "Child":
        """Start `loadflame ROLE ARGUMENTS`. Its own session: Ctrl-C reaches us, and we end the run in order.

        `niceness` is its priority beside the others, where this user may set it.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # A `views.py` in the user's folder must not stand in for our room of that name.
                "-m",
                "loadflame",
                role,
                *arguments,
                env={**os.environ, **environment, "LOADFLAME_CHILD": "1"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        return cls(role, process, log)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def ready(self, timeout_s: float) -> None:
        """Wait until it says that it is ready. Raises ChildError when it ends first or takes too long."""
        await self._ready_or_over(timeout_s)
        if self._is_ready.is_set():
            return
        if self._watching.done():
            raise ChildError(self._failure())
        raise ChildError(f"{self.role} was not ready within {timeout_s:.0f} s; {self._last_words()}")

    def tell(self, line: str) -> None:
        """Write a line to its standard input; one that has ended does not hear it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def wait(self) -> None:
        """Wait until it ends. Raises ChildError when it did not end well."""
        await asyncio.shield(self._watching)
        if self._process.returncode not in self._ended_well:
            raise ChildError(self._failure())

    async def finish(self, timeout_s: float) -> None:
        """Interrupt it, as Ctrl-C would, and wait; killed when it does not end. Raises ChildError as `wait` does.

        Not before it is ready: until then it has no ear for it, and would leave undone what it does at its end.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready_or_over()
                self._ended_well = {0, exit_code("aborted")}
                self._interrupt()
                await self.wait()
        except TimeoutError:
            await self.kill()
            raise ChildError(f"{self.role} did not end within {timeout_s:.0f} s; {self._last_words()}") from None

    async def end(self, timeout_s: float) -> None:
        """End it, whatever it is at: interrupted, so that it ends what it started itself, and killed when it stays."""
        self._interrupt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._watching)
        await self.kill()

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _ready_or_over(self, timeout_s: float | None = None) -> None:
        said = asyncio.create_task(self._is_ready.wait())
        try:
            await asyncio.wait({said, self._watching}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            said.cancel()

    def _interrupt(self) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    async def _watch(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.decode(errors="replace").strip() == READY:
                self._is_ready.set()
        await self._process.wait()

    def _failure(self) -> str:
        """The role's own sentence where it gave one, else what its log says last."""
        lines = self._lines()
        own = [line.removeprefix("loadflame: ") for line in lines if line.startswith("loadflame: ")]
        if own:
            return own[-1]
        return f"{self.role} ended with code {self._process.returncode}; {self._last_words()}"

    def _last_words(self) -> str:
        lines = self._lines()
        said = f"it last said: {lines[-1][:300]} " if lines else ""
        return f"{said}(log: {self.log})"

    def _lines(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return []
