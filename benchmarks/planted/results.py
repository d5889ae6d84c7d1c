"""What a run said, as one line of JSON: enough to judge it again when there are more kinds of finding."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from analysis.finding import Finding
from benchmarks.planted.drawn import Drawn
from benchmarks.planted.kinds import Plant

LIMITED = frozenset({"generator-limited", "host-limited", "aborted"})
"""Verdicts that say of a run that it may not be judged."""
FORM = 2
"""Of a line; another one with every change of what it holds, or of how services are drawn."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run of the service of a bundle and a seed: `side` is "planted", "clean", or which function is slower.

    `turn` tells runs of the pool apart, which has many of one service.
    """

    bundle: str
    seed: int
    side: str = "planted"
    turn: int = 0

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.bundle} {self.seed}" + ("" if self.side == "planted" else f", {self.side}")


@dataclass(frozen=True, slots=True)
class Seen:
    """A defect, and what the run saw of its function: samples, and growth with its 95% interval, None if not fitted."""

    plant: Plant
    samples: int = 0
    growth: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One run; `seen` is empty of a service without a defect, and `findings` are (kind, function, sentence, cause,
    endpoint), the last two of the evidence, None where it has none.

    `what_if_tps` is the limit predicted for the growing function made linear, with its interval; `twin_tps` is what the
    service without that defect then did when it was asked as fast as it answers, for each second of CPU it got, which
    was `twin_cores` of the time. `judged`: the run does not say of itself that it may not be judged. `paid_by_one`: see
    `Drawn`. `busy` is how many processes wanted a core when the run began (the load average of a minute), `commit` the
    product's. `run` is its id where its store was kept.
    """

    task: Task
    threads: bool
    at: str
    commit: str
    verdict: str
    why: str
    judged: bool
    blocks: int
    busy: float
    took_s: float
    findings: tuple[tuple[str, str | None, str, str | None, str | None], ...]
    seen: tuple[Seen, ...] = ()
    limit_tps: float | None = None
    what_if_tps: tuple[float, float | None, float | None] | None = None
    twin_tps: float | None = None
    twin_cores: float | None = None
    paid_by_one: tuple[tuple[str, str], ...] = ()
    run: str = ""

    @property
    def plants(self) -> tuple[Plant, ...]:
        """The defects."""
        return tuple(one.plant for one in self.seen)

    @property
    def said(self) -> tuple[Finding, ...]:
        """The findings in the report's order."""
        return tuple(
            Finding(kind, summary, function, {"cause": cause, "endpoint": endpoint})
            for kind, function, summary, cause, endpoint in self.findings
        )

    @classmethod
    def of_line(cls, line: str) -> Self:
        """As `line` wrote it."""
        text = json.loads(line)
        del text["form"]
        text["task"] = Task(**text["task"])
        text["seen"] = tuple(
            Seen(
                Plant(**one["plant"] | {name: tuple(one["plant"][name]) for name in ("near", "endpoints")}),
                one["samples"],
                None if one["growth"] is None else tuple(one["growth"]),
            )
            for one in text["seen"]
        )
        text["what_if_tps"] = None if text["what_if_tps"] is None else tuple(text["what_if_tps"])
        text["paid_by_one"] = tuple(map(tuple, text["paid_by_one"]))
        return cls(**text | {"findings": tuple(map(tuple, text["findings"]))})

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps({"form": FORM} | asdict(self), separators=(",", ":"))


def of_report(drawn: Drawn, report: Mapping[str, Any], task: Task, **more: Any) -> Result:
    """From the JSON of `loadflame run`; `more` are the fields that it does not know."""
    capacity = report["capacity"]
    growing = {plant.function for plant in drawn.plants if plant.kind == "superlinear"}
    change = next((one for one in capacity["what_if"] if one["function"].split(" ")[0] in growing), None)
    verdict = report["run"]["verdict"]
    return Result(
        task=task,
        threads=drawn.threads,
        paid_by_one=drawn.paid_by_one,
        verdict=verdict,
        why=report["run"]["why"],
        judged=verdict not in LIMITED and not _lacks(report),
        blocks=report["growth"]["blocks"],
        findings=tuple(
            (
                one["kind"],
                one["function"],
                one["summary"],
                one["evidence"].get("cause"),
                one["evidence"].get("endpoint"),
            )
            for one in report["findings"]
        ),
        seen=() if task.side == "clean" else tuple(_seen(plant, report) for plant in drawn.plants),
        limit_tps=capacity["predicted_tps"],
        what_if_tps=(change["tps"], change["tps_low"], change["tps_high"]) if change else None,
        run=report["run"]["id"],
        **more,
    )


def _seen(plant: Plant, report: Mapping[str, Any]) -> Seen:
    row = next((one for one in report["functions"] if one["function"] == plant.function), None)
    if row is None:
        return Seen(plant)
    fitted = row["growth"] is not None
    return Seen(
        plant, row["samples"], (row["growth"], row["growth_low"], row["growth_high"]) if fitted else None
    )  # fmt: skip


def _lacks(report: Mapping[str, Any]) -> bool:
    """Whether the report says itself that too little was left to judge growth by (at one rate nobody asks for it)."""
    return report["growth"]["design"] == "levels" and any(
        one["kind"] == "none" and one["summary"].startswith("No finding about growth") for one in report["findings"]
    )


class Results:
    """The file of a campaign: a line for each run, written as soon as it is over, so that one can go on later.

    Lines of a campaign whose runs had another form are passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        ours = f'{{"form":{FORM},'
        self.all = [Result.of_line(line) for line in lines if line.startswith(ours) and line.endswith("}")]

    def add(self, result: Result) -> None:
        """Keep one more."""
        append(self.path, result.line())
        self.all.append(result)


def append(path: Path, line: str) -> None:
    """Write a line behind what is there; a torn one before it ends where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size and not path.read_text().endswith("\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + line + "\n")
