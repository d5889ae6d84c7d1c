"""The command line as a user has it: a process of its own, a data folder of its own.

That process is forked from one that has imported the command line already: a test run calls it some two hundred times,
and importing it takes a second of CPU. How it is imported is seen where processes are started for good: by a run.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(
    [
        "loadflame.cli",
        "loadflame.session",
        "loadflame.limit_session",
        "loadflame.comparing",
        "loadflame.importing",
        "loadflame.made_up",
        "producers.load.drafts",
        "views.report",
        "views.terminal",
        "views.difference.terminal",
    ]
)


def environment_of(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")}
    # The page of a run and its findings cost a second of CPU to import, and are tested where they are asked for.
    off = {"LOADFLAME_WEB": "0", "LOADFLAME_FINDINGS": "0"}
    return clean | {"LOADFLAME_DATA_DIR": str(data_dir), "COLUMNS": "200"} | off | more


def loadflame(
    *arguments: str, data_dir: Path, timeout_s: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises TimeoutExpired when that takes longer."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _FORKED.Process(target=_command, args=(arguments, environment_of(data_dir, **environment), out, err))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _command(arguments: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    """In the forked process: what `python -m loadflame` does."""
    for number, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["loadflame", *arguments]

    from loadflame.__main__ import main  # noqa: PLC0415  only here is it to be run

    main()


def report_of(data_dir: Path, run: str = "last", **environment: str) -> dict[str, Any]:
    """The report of a run as JSON; its exit code is the verdict's."""
    done = loadflame("report", run, "--json", data_dir=data_dir, **environment)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def checks_of(data_dir: Path, run: str = "last", **environment: str) -> dict[str, bool | None]:
    """What `loadflame verify` says of a run."""
    done = loadflame("verify", run, "--json", data_dir=data_dir, **environment)
    assert done.stdout, done.stderr
    return {check["name"]: check["ok"] for check in json.loads(done.stdout)}
