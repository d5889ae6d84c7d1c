"""What is to be watched: a process, every process of a name, or a command; each with its Python children.

Several workers of one service are one profile with an instance each. An instance is a pid and its start time, so a
pid that is used again is somebody else.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from producers.profiler.errors import ProfilerError, TargetError


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the service; `started_at` is its start in seconds since the Unix epoch."""

    pid: int
    started_at: float

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"pid-{self.pid}"

    def runs(self) -> bool:
        """Whether this very process is still there."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return process.create_time() == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """Exactly one of the three is set."""

    pid: int | None = None
    name: str | None = None
    command: tuple[str, ...] | None = None


def target_of(*, pid: int | None = None, name: str | None = None, command: list[str] | None = None) -> Target:
    """A target, checked to be there. Raises TargetError: nothing named, too much, no such process, or not Python."""
    if sum(bool(given) for given in (pid is not None, name, command)) != 1:
        raise ProfilerError("say what to watch: one of --pid, --name and -- COMMAND")
    if command:
        return Target(command=tuple(command))
    target = Target(pid=pid, name=name)
    if not instances_of(target):
        if name:
            raise TargetError(f"no Python process has {name!r} in its command line; start it, or name its --pid")
        raise TargetError(f"process {pid} is not a Python process, nor has it a Python child; name the service's --pid")
    return target


def instances_of(target: Target, started: int | None = None) -> list[Instance]:
    """The Python processes of a target now; `started` is the pid of a command that was started.

    Raises TargetError when a pid does not exist.
    """
    if target.name is not None:
        roots = list(_named(target.name))
    else:
        pid = target.pid if target.pid is not None else started
        assert pid is not None
        try:
            roots = [psutil.Process(pid)]
        except psutil.NoSuchProcess:
            raise TargetError(f"there is no process {pid}; look its number up with `pgrep -f NAME`") from None
    found: dict[int, Instance] = {}
    for root in roots:
        for process in (root, *_children(root)):
            with contextlib.suppress(psutil.Error):
                if is_python(process) and LAUNCHER not in process.cmdline():
                    found[process.pid] = Instance(process.pid, process.create_time())
    return list(found.values())


def is_python(process: psutil.Process) -> bool:
    """Whether a process runs CPython: as its program, or as a library in it. A zombie does not."""
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    with contextlib.suppress(psutil.AccessDenied):
        if "python" in Path(process.exe()).name:
            return True
    with contextlib.suppress(OSError):
        return "libpython" in Path(f"/proc/{process.pid}/maps").read_text()
    return False


LAUNCHER = "producers.profiler.launcher"
"""A command that we start is this for a moment; what is to be watched is what it becomes."""


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _named(text: str) -> Iterator[psutil.Process]:
    """Processes with `text` in their command line, but for ourselves and our like."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        if process.pid not in ours and not _is_loadflame(words) and text in " ".join(words):
            yield process


def _is_loadflame(words: list[str]) -> bool:
    """An agent or a load that was given the same name has it in its own command line too."""
    return any(word == "loadflame" or word.endswith("/loadflame") for word in words[:4])
