"""What is to be watched: a process, every process of a name, or a command; each with its Python children.

Several workers of one service are one profile with an instance each. An instance is a pid and its start, so a pid that
is used again is somebody else.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from producers.profiler.counters import threads_of
from producers.profiler.errors import NoPermissionError, ProfilerError, TargetError
from producers.profiler.own_processes import is_ours
from producers.profiler.permission import remedy

LAUNCHER = "producers.profiler.launcher"
"""A command that we start is this for a moment; what is to be watched is what it becomes."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the service. `started_at` tells it from others that have or had its pid, and means nothing else.

    It is in seconds since boot where that is known: counted from the Unix epoch it would change when the clock is set,
    and every process would be a new one.
    """

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
            return _started_at(process) == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        return False

    def replaced(self) -> bool:
        """Whether its pid belongs to another process by now."""
        with contextlib.suppress(psutil.Error):
            return _started_at(psutil.Process(self.pid)) != self.started_at
        return False

    def threads(self) -> int:
        """How many threads it has now; 1 when it is gone."""
        return threads_of(self.pid)


@dataclass(frozen=True, slots=True)
class Target:
    """Exactly one of the first three is set. `started_at` belongs to `pid`, see Instance."""

    pid: int | None = None
    name: str | None = None
    command: tuple[str, ...] | None = None
    started_at: float | None = None


def target_of(*, pid: int | None = None, name: str | None = None, command: list[str] | None = None) -> Target:
    """A target, checked to be there.

    Raises TargetError: nothing named, too much, no such process or program, or not Python; NoPermissionError with the
    remedy.
    """
    if sum(bool(given) for given in (pid is not None, name, command)) != 1:
        raise ProfilerError("say what to watch: one of --pid, --name and -- COMMAND")
    if command:
        if shutil.which(command[0]) is None:
            raise TargetError(f"there is no program {command[0]!r} to start; mend the command, or give its whole path")
        return Target(command=tuple(command))
    if name:
        roots = list(_named(name))
    else:
        assert pid is not None
        roots = [_process(pid)]
    instances, hidden = _look_at(roots)
    if instances:
        return Target(pid=pid, name=name, started_at=None if pid is None else _started_at(roots[0]))
    if hidden:
        raise NoPermissionError(remedy(hidden[0]))
    if name:
        raise TargetError(f"no Python process has {name!r} in its command line; start it, or name its --pid")
    raise TargetError(f"process {pid} is not a Python process, nor has it a Python child; name the service's --pid")


def instances_of(target: Target, started: int | None = None) -> list[Instance]:
    """The Python processes of a target now; `started` is the pid of a command that was started.

    Raises TargetError when a pid does not exist, or is by now somebody else's.
    """
    if target.name is not None:
        return _look_at(_named(target.name))[0]
    pid = started if target.pid is None else target.pid
    assert pid is not None
    process = _process(pid)
    with contextlib.suppress(psutil.Error):
        if target.started_at not in (None, _started_at(process)):
            raise TargetError(f"process {process.pid} has ended, and another one has its number")
    return _look_at([process])[0]


def is_python(process: psutil.Process) -> bool:
    """Whether a process runs CPython: as its program, or as a library in it. A zombie does not.

    Raises psutil.AccessDenied when it is not to be seen.
    """
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    if "python" in Path(process.exe()).name:
        return True
    try:
        return b"libpython" in Path(f"/proc/{process.pid}/maps").read_bytes()
    except PermissionError:
        raise psutil.AccessDenied(process.pid) from None
    except OSError:
        return False


def _look_at(roots: Iterable[psutil.Process]) -> tuple[list[Instance], list[int]]:
    """The Python processes among `roots` and what descends from them, and the pids of what is hidden from us."""
    found: dict[int, Instance] = {}
    hidden: list[int] = []
    for root in roots:
        for process in (root, *_children(root)):
            try:
                if process.pid not in found and is_python(process) and LAUNCHER not in process.cmdline():
                    found[process.pid] = Instance(process.pid, _started_at(process))
            except psutil.AccessDenied:
                hidden.append(process.pid)
            except psutil.Error:  # it ended meanwhile
                continue
    return list(found.values()), hidden


def _process(pid: int) -> psutil.Process:
    try:
        return psutil.Process(pid)
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        raise TargetError(f"there is no process {pid}; look its number up with `pgrep -f NAME`") from None


def _started_at(process: psutil.Process) -> float:
    """Raises psutil.Error. Field `starttime` of proc(5), in clock ticks since boot."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        ticks = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    return float(process.create_time())


def _children(process: psutil.Process) -> list[psutil.Process]:
    """All that descends from it. The kernel's own list, where there is one, costs the same however many others run.

    It may leave one out while its neighbour ends (proc(5), `children`): whoever looks again has it then.
    """
    with contextlib.suppress(OSError, psutil.Error):  # no Linux, a kernel without these lists, or one has just ended
        return [psutil.Process(pid) for pid in _descendants(process.pid)]
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def _named(text: str) -> Iterator[psutil.Process]:
    """Processes with `text` in their command line, but for ourselves and our like, which have it there too."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        if process.pid not in ours and not is_ours(words) and text in " ".join(words):
            yield process
