"""CPU that loadflame's own processes take on this host: agent, load, stream processor, embedded broker, commands.

The service shares its cores with them wherever they are; a load on another host takes nothing from it. Listing
processes is cheap (some 0.2 ms for a few hundred), reading a command line is not, so each process is looked at when it
is new, and once more at the next listing, for it may have been about to become another program.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from pathlib import Path

import psutil

from producers.profiler.counters import cpu_us_of

_BROKER_STORAGE = "memory://tansu/"
"""What the embedded broker is started with."""
_RUN_OPTIONS = ("--run", "--open-run", "--drain")


def is_ours(words: Sequence[str]) -> bool:
    """Whether a command line is loadflame's, as `-m loadflame` or the console script, or its embedded broker's."""
    if any(word == "loadflame" or word.endswith("/loadflame") for word in words[:4]):
        return True
    return words[1:2] == ["broker"] and _BROKER_STORAGE in words


def names_another(words: Sequence[str], run_id: str) -> bool:
    """Whether a command line of ours says that it works for another run than this one."""
    for word, value in pairwise([*words, ""]):
        name, _, given = word.partition("=")
        if name in _RUN_OPTIONS and (given or value) != run_id:
            return True
    return False


def words_of(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone, hidden, or the kernel's own."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).cmdline()
    return []


class OwnProcesses:
    """Finds them, this process included, and reads what they used; those of another run are a neighbour's.

    The functions are there to be replaced in tests.
    """

    def __init__(
        self,
        run_id: str,
        *,
        pids: Callable[[], Collection[int]] = psutil.pids,
        words: Callable[[int], Sequence[str]] = words_of,
        cpu_us: Callable[[int], int] = cpu_us_of,
    ) -> None:
        self._run_id = run_id
        self._pids = pids
        self._words = words
        self._cpu_us = cpu_us
        self._seen: dict[int, int] = {}
        self._read_us: dict[int, int] = {}
        for pid in self._find():
            self._read_us[pid] = cpu_us(pid)

    def used_us(self, but: Collection[int] = ()) -> int:
        """CPU microseconds since the last call, without those of some processes (by pid) that are the service's.

        A process that began meanwhile counts from its start; what one used last before it ended is not known.
        """
        for pid in self._find():
            self._read_us.setdefault(pid, 0)
        total_us = 0
        for pid, before_us in list(self._read_us.items()):
            now_us = self._cpu_us(pid)
            if pid not in self._seen or now_us < before_us:  # it has ended; perhaps another process has its number
                del self._read_us[pid]
                self._seen.pop(pid, None)
                continue
            self._read_us[pid] = now_us
            if pid not in but:
                total_us += now_us - before_us
        return total_us

    def _find(self) -> list[int]:
        """Those of ours that are new; each process is looked at twice at most."""
        looked = self._seen
        self._seen = {pid: min(looked.get(pid, 0) + 1, 2) for pid in self._pids()}
        new = [pid for pid in self._seen if looked.get(pid, 0) < 2 and pid not in self._read_us]
        return [pid for pid in new if pid == os.getpid() or self._is_of_this_run(self._words(pid))]

    def _is_of_this_run(self, words: Sequence[str]) -> bool:
        return is_ours(words) and not names_another(words, self._run_id)
