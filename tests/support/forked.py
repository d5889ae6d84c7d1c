"""Processes forked from one that has imported the command line already.

A test run starts some three hundred of them, and importing what they need takes one to two seconds of CPU each. How
the command line is imported is seen where processes are started for good: by a run.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TextIO

ROLES = (
    "loadflame.commands.process",
    "loadflame.finder",
    "loadflame.subscription",
    "loadflame.topics",
    "processors.worker",
    "producers.load.runner",
    "producers.profiler.agent",
    "producers.publisher",
)
COMMANDS = (
    "loadflame.cli",
    "loadflame.session",
    "loadflame.limit_session",
    "loadflame.comparing",
    "loadflame.importing",
    "loadflame.observing",
    "loadflame.made_up",
    "producers.load.drafts",
    "views.report",
    "views.terminal",
    "views.difference.terminal",
)
_ASKING = threading.Lock()
"""An exit code is told once, to whichever thread asks first: also to one that starts another process."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["loadflame.cli", *ROLES, *COMMANDS])


def only_roles() -> None:
    """From now on, unless something was forked: what a worker does not import does not count as its memory."""
    _CONTEXT.set_forkserver_preload(["loadflame.cli", *ROLES])


class Forked:
    """A process of `loadflame ARGUMENTS`, in `folder` if need be. What it says goes into files, or pipes (`pipe`)."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        out: Path | Connection,
        err: Path | Connection,
        *,
        folder: Path | None = None,
    ) -> None:
        told = (tuple(arguments), dict(environment), out, err, folder)
        self._process = _CONTEXT.Process(target=_main, args=told)
        with _ASKING:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def code(self, timeout_s: float | None = 0) -> int | None:
        """Its exit code, of a signal below 0; None when it still runs after that time."""
        wait([self._process.sentinel], timeout_s)
        with _ASKING:
            return self._process.exitcode

    def kill(self) -> None:
        """End it at once, and wait."""
        self._process.kill()
        self.code(None)


def pipe() -> tuple[TextIO, Connection]:
    """One to read from, and one for whoever is started; to be closed here then."""
    reading, writing = _CONTEXT.Pipe(duplex=False)
    text = os.fdopen(os.dup(reading.fileno()), encoding="utf-8", errors="replace")
    reading.close()
    return text, writing


def _main(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    out: Path | Connection,
    err: Path | Connection,
    folder: Path | None,
) -> None:
    """In the forked process: what `python -m loadflame` does."""
    for number, where in ((1, out), (2, err)):
        opened = os.open(where, os.O_CREAT | os.O_WRONLY) if isinstance(where, Path) else where.fileno()
        os.dup2(opened, number)
    for where in (out, err):
        if isinstance(where, Connection):
            where.close()
    os.environ.clear()
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    sys.argv[:] = ["loadflame", *arguments]

    from loadflame.__main__ import main  # noqa: PLC0415  only here is it to be run

    main()
