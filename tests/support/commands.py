"""The command line as a user has it: a process of its own (see `tests.support.forked`), a data folder of its own."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.forked import Forked


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
        process = Forked(arguments, environment_of(data_dir, **environment), out, err)
        code = process.code(timeout_s)
        if code is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


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


def checks_in(report: Mapping[str, Any]) -> dict[str, bool | None]:
    """What the run itself found when it was stored; as `checks_of`, which looks again."""
    return {check["name"]: check["ok"] for check in report["checks"]}
