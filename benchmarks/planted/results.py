"""What a run said, as one line of JSON: enough to judge it again when there are more kinds of finding."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from analysis.findings import Finding
from benchmarks.planted.drawn import Drawn


@dataclass(frozen=True, slots=True)
class Task:
    """One run: the service of a kind and a seed, or its twin without the defect."""

    kind: str
    seed: int
    clean: bool

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.kind} {self.seed}{', clean twin' if self.clean else ''}"


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `growth` (with its 95% interval) and `samples` are the planted function's, None where there is none.

    `what_if_tps` is the limit predicted for the planted function made linear, with its interval; `twin_tps` is what the
    clean twin then did when it was asked as fast as it answers, for each second of CPU it got, which was `twin_cores`
    of the time. `judged`: the rates were visited as planned, and enough of the visits could be used to judge growth.
    `paid_by_one`: see `Drawn`. `busy` is how many processes wanted a core when the run began (the load average of a
    minute).
    """

    kind: str
    seed: int
    clean: bool
    effect: float
    function: str
    threads: bool
    at: str
    commit: str
    verdict: str
    why: str
    judged: bool
    blocks: int
    busy: float
    took_s: float
    findings: tuple[tuple[str, str | None, str], ...]
    samples: int = 0
    growth: tuple[float, float, float] | None = None
    limit_tps: float | None = None
    what_if_tps: tuple[float, float | None, float | None] | None = None
    twin_tps: float | None = None
    twin_cores: float | None = None
    paid_by_one: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What was to be run."""
        return Task(self.kind, self.seed, self.clean)

    @property
    def said(self) -> tuple[Finding, ...]:
        """The findings in the report's order."""
        return tuple(Finding(kind, summary, function) for kind, function, summary in self.findings)

    @classmethod
    def of_line(cls, line: str) -> Self:
        """As `line` wrote it."""
        text = json.loads(line)
        for name in ("growth", "what_if_tps"):
            text[name] = None if text[name] is None else tuple(text[name])
        text["paid_by_one"] = tuple(text.get("paid_by_one", ()))
        return cls(**text | {"findings": tuple((kind, function, said) for kind, function, said in text["findings"])})

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def of_report(drawn: Drawn, report: Mapping[str, Any], **more: Any) -> Result:
    """From the JSON of `loadflame run`; `more` are the fields that it does not know."""
    name = drawn.planted.name
    row = next((one for one in report["functions"] if one["function"] == name), None)
    fitted = row is not None and row["growth"] is not None
    capacity = report["capacity"]
    change = next((one for one in capacity["what_if"] if one["function"].split(" ")[0] == name), None)
    return Result(
        kind=drawn.kind,
        seed=drawn.seed,
        effect=drawn.effect,
        function=name,
        threads=drawn.threads,
        paid_by_one=drawn.paid_by_one,
        verdict=report["run"]["verdict"],
        why=report["run"]["why"],
        blocks=report["growth"]["blocks"],
        findings=tuple((one["kind"], one["function"], one["summary"]) for one in report["findings"]),
        samples=row["samples"] if row else 0,
        growth=(row["growth"], row["growth_low"], row["growth_high"]) if row and fitted else None,
        limit_tps=capacity["predicted_tps"],
        what_if_tps=(change["tps"], change["tps_low"], change["tps_high"]) if change else None,
        **more,
    )


class Results:
    """The file of a campaign: a line for each run, written as soon as it is over, so that one can go on later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.all = [Result.of_line(line) for line in lines if line.endswith("}")]

    @property
    def done(self) -> frozenset[Task]:
        """What has been run."""
        return frozenset(one.task for one in self.all)

    def add(self, result: Result) -> None:
        """Keep one more."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = self.path.exists() and self.path.stat().st_size and not self.path.read_text().endswith("\n")
        with self.path.open("a") as file:
            file.write(("\n" if torn else "") + result.line() + "\n")
        self.all.append(result)
