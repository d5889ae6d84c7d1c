"""The command line as a user has it: a process of its own, a data folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def environment_of(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")}
    return clean | {"LOADFLAME_DATA_DIR": str(data_dir), "COLUMNS": "200"} | more


def loadflame(
    *arguments: str, data_dir: Path, timeout_s: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "loadflame", *arguments],
        env=environment_of(data_dir, **environment),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


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
