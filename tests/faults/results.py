"""Results on disk, one line each, so that a campaign can go on where it was ended; and the table made of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from tests.faults.fault import Fault, Outcome

ROOT = Path(__file__).parents[2]
_JUDGED = ("schemas", "producers", "processors", "sinks")
_KINDS = {"kill": "real kills", "fault": "other faults", "simulated": "simulated crash points"}


def code_judged() -> str:
    """A digest of the code that the campaign judges: results of other code are no evidence for it."""
    digest = hashlib.sha256()
    for folder in _JUDGED:
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix in (".py", ".sql"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Results:
    """A file of JSON lines; what is in it of this code counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code = code_judged()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def forget(self, faults: Sequence[Fault]) -> None:
        """What came of these faults."""
        names = {fault.name for fault in faults}
        kept = [line for line in self._lines() if json.loads(line)["fault"] not in names]
        self._path.write_text("".join(f"{line}\n" for line in kept))

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines()

    def add(self, fault: Fault, outcome: Outcome) -> None:
        """One run more."""
        with self._path.open("a") as file:
            file.write(json.dumps({"fault": fault.name, "code": self._code, **asdict(outcome)}) + "\n")

    def of(self, fault: Fault) -> Outcome | None:
        """All runs of a fault as one; None when there was none."""
        lines = [json.loads(line) for line in self._lines()]
        mine = [line for line in lines if (line.pop("fault"), line.pop("code")) == (fault.name, self._code)]
        return together([Outcome(**line) for line in mine]) if mine else None


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several runs as one; the last note is kept."""
    return Outcome(
        times=sum(one.times for one in outcomes),
        lost=sum(one.lost for one in outcomes),
        repeated=sum(one.repeated for one in outcomes),
        recoveries_s=[seconds for one in outcomes for seconds in one.recoveries_s],
        broken=[sentence for one in outcomes for sentence in one.broken],
        note=outcomes[-1].note,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A fault beside what came of it."""

    fault: Fault
    outcome: Outcome


def share(events: int, times: int) -> str:
    """How many, and beside zero how often it may happen all the same: the upper end of the 95% interval.

    Rule of three: where n trials saw nothing, the rate is below 3/n with 95% confidence (Hanley, Lippman-Hand 1983).
    """
    if events or not times:
        return str(events)
    return f"0 (< {min(1.0, 3 / times):.2g})"


def table_of(rows: Iterable[Row]) -> list[Table]:
    """A table for each kind, with its sum: a kill that happened is not a crash that was played."""
    found = list(rows)
    return [
        _table(title, mine) for kind, title in _KINDS.items() if (mine := [r for r in found if r.fault.kind == kind])
    ]


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", caption="", show_footer=len(rows) > 1)
    all_of = together([row.outcome for row in rows])
    table.add_column("fault", footer="all", overflow="fold")
    for name, footer in (
        ("times", str(all_of.times)),
        ("lost", share(all_of.lost, all_of.times)),
        ("repeated", share(all_of.repeated, all_of.times)),
        ("recovery s: median", _seconds(all_of.recoveries_s, median)),
        ("worst", _seconds(all_of.recoveries_s, max)),
    ):
        table.add_column(name, footer=footer, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for fault, outcome in ((row.fault, row.outcome) for row in rows):
        table.add_row(
            fault.name,
            str(outcome.times),
            share(outcome.lost, outcome.times),
            share(outcome.repeated, outcome.times),
            _seconds(outcome.recoveries_s, median),
            _seconds(outcome.recoveries_s, max),
            "; ".join(outcome.broken) or outcome.note,
            style=None if outcome.ok else "red",
        )
    return table


def _seconds(values: Sequence[float], of: Callable[[Sequence[float]], float]) -> str:
    return f"{of(values):.1f}" if values else "-"
