"""One run, as a user has it: the service in a process of its own, `loadflame run PLAN --json` beside it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.planted.drawn import Drawn, draw
from benchmarks.planted.results import Result, Task, of_report
from benchmarks.planted.serving import Design, limit_of, plan_of, serving, stage_of
from schemas.errors import UserError

GIVEN_UP_S, ENDED_S = 400.0, 60.0
ABORTED = 130


def play(task: Task, design: Design, *, commit: str, arrays: Path | None = None) -> Result:
    """Run it to its end; `arrays` is a folder in which the visits of clean twins are kept.

    Raises UserError when there is no report, KeyboardInterrupt when Ctrl-C ended the run before its time.
    """
    drawn, began, busy = draw(task.kind, task.seed), time.monotonic(), os.getloadavg()[0]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="loadflame-") as name:
        folder = Path(name)
        report = _report(drawn, folder, stage_of(drawn, design), clean=task.clean)
        if arrays is not None and task.clean:
            _keep_arrays(folder / "data", report["run"]["id"], arrays / f"{task.kind}-{task.seed}.json")
        result = of_report(
            drawn,
            report,
            clean=task.clean,
            at=at,
            commit=commit,
            busy=round(busy, 2),
            took_s=0.0,
            judged=report["growth"]["design"] in ("levels", "steady") and not _lacks(report),
        )
        if result.what_if_tps is not None and not task.clean:
            # Watched and stored as the other: what that costs the service, caches above all, it costs both.
            did = _report(drawn, folder, limit_of(design), clean=True)
            used_s = did["profile"]["service_cpu_cores"] * did["accounting"]["windows"]  # of a second each
            completed = did["accounting"]["completed"]
            result = replace(result, twin_tps=completed / used_s, twin_cores=used_s / design.limit_s)
    return replace(result, took_s=round(time.monotonic() - began, 1))


def _report(drawn: Drawn, folder: Path, stage: Mapping[str, object], *, clean: bool) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")}
    with serving(drawn, folder, clean=clean) as (url, pid):
        plan = folder / "plan.yaml"
        plan.write_text(plan_of(drawn, url, pid, stage).to_yaml())
        command = [sys.executable, "-m", "loadflame", "run", str(plan), "--json", "--no-web"]
        code, out, err = _ended([*command, "--data-dir", str(folder / "data")], environment)
    if code == ABORTED:
        raise KeyboardInterrupt
    if not out:
        raise UserError(f"the run ended with code {code}: {err[-2000:]}")
    return dict(json.loads(out))


def _ended(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code and what it said. Whatever ends us first, the run is told to end as by Ctrl-C, and waited for."""
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours, and handed on once
    ) as process:
        try:
            out, err = process.communicate(timeout=GIVEN_UP_S)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=ENDED_S)
            raise
    return process.returncode, out, err


def _lacks(report: dict[str, Any]) -> bool:
    """Whether the report says itself that too little was left to judge growth by (at one rate nobody asks for it)."""
    return report["growth"]["design"] == "levels" and any(
        one["kind"] == "none" and one["summary"].startswith("No finding about growth") for one in report["findings"]
    )


def _keep_arrays(data_dir: Path, run_id: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.planted.arrays", str(data_dir), run_id, str(path)]
    subprocess.run(command, check=True, timeout=GIVEN_UP_S)
