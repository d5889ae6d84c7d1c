"""Runs, as a user has them: each service in a process of its own, `loadflame run PLAN --json` beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.planted.bundles import Design
from benchmarks.planted.drawn import Drawn, draw
from benchmarks.planted.pool import data_of
from benchmarks.planted.results import Result, Task, of_report
from benchmarks.planted.serving import PlanAt, limit_of, plan_of, serving
from schemas.errors import UserError

GIVEN_UP_S, ENDED_S = 400.0, 60.0
ABORTED = 130


@dataclass(frozen=True, slots=True)
class Campaign:
    """What all runs have in common. `visits` is a folder for those of clean runs, `keep` one for the pool's stores."""

    design: Design
    commit: str
    visits: Path
    keep: Path

    def play(self, tasks: Sequence[Task], *, predict: bool = False) -> list[Result]:
        """Run services at the same time, each to its end; `predict`: measure also what the first one's twin can do.

        Raises UserError when there is no report, KeyboardInterrupt when Ctrl-C ended a run before its time.
        """
        began, busy = time.monotonic(), os.getloadavg()[0]
        at = datetime.now(UTC).isoformat(timespec="seconds")
        found = []
        with contextlib.ExitStack() as stack:
            drawn = [drawn_of(task) for task in tasks]
            runs = [stack.enter_context(self._run(one, task)) for one, task in zip(drawn, tasks, strict=True)]
            for one, task, run in zip(drawn, tasks, runs, strict=True):
                report = run.report(GIVEN_UP_S + self.design.seconds(one.stages))
                result = of_report(one, report, task=task, at=at, commit=self.commit, busy=round(busy, 2), took_s=0.0)
                if task.side == "clean":
                    self._keep_visits(run, task)
                found.append(replace(result, took_s=round((time.monotonic() - began) / len(tasks), 1)))
        if predict and found[0].what_if_tps is not None:
            found[0] = self._with_twin(found[0], drawn[0])
        return found

    @contextlib.contextmanager
    def _run(self, drawn: Drawn, task: Task) -> Iterator["_Run"]:
        """Of the pool everything is kept, in one place, for runs that are compared; of others nothing."""
        plan_at = plan_of(drawn, [self.design.stage(name, drawn.seed) for name in drawn.stages])
        with contextlib.ExitStack() as stack:
            if task.bundle == "pool":
                folder = data_of(self.keep, task.seed).parent
                folder.mkdir(parents=True, exist_ok=True)
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadflame-")))
            without = {plant.function for plant in drawn.plants} if task.side == "clean" else set[str]()
            yield stack.enter_context(_running(drawn, folder, plan_at, without=without, design=self.design))

    def _with_twin(self, result: Result, drawn: Drawn) -> Result:
        """The limit of the same service without its growth: watched and stored as the other, for what that costs the
        service, caches above all, it is to cost both.
        """
        growing = {plant.function for plant in drawn.plants if plant.kind == "superlinear"}
        plan_at = plan_of(drawn, [limit_of(self.design)])
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadflame-")))
            run = stack.enter_context(_running(drawn, folder, plan_at, without=growing, design=self.design))
            did = run.report(GIVEN_UP_S)
        used_s = did["profile"]["service_cpu_cores"] * did["accounting"]["windows"]  # of a second each
        return replace(
            result,
            twin_tps=did["accounting"]["completed"] / used_s,
            twin_cores=used_s / self.design.limit_s,
            took_s=round(result.took_s + time.monotonic() - began, 1),
        )

    def _keep_visits(self, run: "_Run", task: Task) -> None:
        path = self.visits / f"{task.bundle}-{task.seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.planted.arrays", str(run.folder / "data"), run.run_id, str(path)]
        subprocess.run(command, check=True, timeout=GIVEN_UP_S)


def drawn_of(task: Task) -> Drawn:
    """The service of a task; which function of the pool is slower is the task's to say."""
    drawn = draw(task.bundle, task.seed)
    if task.side in ("planted", "clean"):
        return drawn
    (plant,) = drawn.plants
    return replace(drawn, plants=(plant.as_kind(task.side),))


@dataclass(slots=True)
class _Run:
    """`loadflame run` under way, its report in a file."""

    folder: Path
    process: subprocess.Popen[str]
    run_id: str = ""

    def report(self, timeout_s: float) -> dict[str, Any]:
        """What it said at its end. Raises as `Campaign.play` does."""
        code = self.process.wait(timeout_s)
        if code == ABORTED:
            raise KeyboardInterrupt
        out = (self.folder / "report.json").read_text()
        if not out:
            raise UserError(f"the run ended with code {code}: {(self.folder / 'errors.txt').read_text()[-2000:]}")
        report = dict(json.loads(out))
        self.run_id = report["run"]["id"]
        return report


@contextlib.contextmanager
def _running(
    drawn: Drawn, folder: Path, plan_at: PlanAt, *, without: Collection[str], design: Design
) -> Iterator[_Run]:  # fmt: skip
    """Serve and load. Whatever ends us first, the run is told to end as by Ctrl-C, and waited for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")}
    with serving(drawn, folder / "service", without=without, design=design) as (url, pid):
        plan = folder / "plan.yaml"
        plan.write_text(plan_at(url, pid).to_yaml())
        command = [sys.executable, "-m", "loadflame", "run", str(plan), "--json", "--no-web"]
        with (folder / "report.json").open("w") as out, (folder / "errors.txt").open("w") as err:
            process = subprocess.Popen(
                [*command, "--data-dir", str(folder / "data")],
                env=environment,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,  # Ctrl-C is ours, and handed on once
            )
            try:
                yield _Run(folder, process)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    process.wait(timeout=ENDED_S)
