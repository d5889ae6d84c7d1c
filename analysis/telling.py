"""What is to be told of findings that are looked for again and again while a run is on: once each, and never a flood.

A finding is known by its kind and its function, whatever becomes of its figures. What was told of it is revised when
its sentence has changed materially: other words, or a figure in it that moved by more than a fifth or changed its sign.
Intervals are figures of the sentence, and a bound that one comes to exclude changes its words.

A run that is looked at often is a test that is repeated often, and one look in twenty may be a fluke. So before the end
a finding is told once two looks in a row had it, and withdrawn once two in a row had it not; and no finding is told
again before the run has grown by a quarter since. What is told of one thereby grows with the logarithm of the run: a
finding of the tenth second is revised at most 41 times in a day. At the end all is told as it is.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.finding import Finding

MOVED_SHARE = 0.2
GROWN = 1.25
_FIGURE = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Told:
    """The last that was told of a finding, resting on so many windows. `revision` counts from 1."""

    finding: Finding
    revision: int
    windows: int
    stands: bool = True


def named(findings: Sequence[Finding]) -> dict[str, Finding]:
    """Findings by their names within a run, in the same order; of several of one kind and function the next has 2."""
    names: dict[str, Finding] = {}
    for finding in findings:
        name = f"{finding.kind}/{finding.function or ''}"
        if name in names:
            name = next(longer for n in range(2, len(findings) + 1) if (longer := f"{name}/{n}") not in names)
        names[name] = finding
    return names


def to_tell(
    told: Mapping[str, Told],
    found: Mapping[str, Finding],
    *,
    windows: int,
    is_over: bool,
    before: Collection[str] = (),
) -> dict[str, Told]:
    """What is new about findings, by their names: those that are found now, `found`, beside what was `told` before.

    `windows` are the joined windows of the run by now. Unless it `is_over`, `before` are the names that the look before
    this one found, and that there is no finding is not told: it is not known yet.
    """
    news: dict[str, Told] = {}
    for name, finding in found.items():
        last = told.get(name)
        if last is None:
            if is_over or (name in before and finding.kind != "none"):
                news[name] = Told(finding, 1, windows)
        elif finding != last.finding or not last.stands:
            steady = name in before or last.stands
            if is_over or (steady and _rested(last, windows) and _differs(last, finding)):
                news[name] = Told(finding, last.revision + 1, windows)
    for name, last in told.items():
        if last.stands and name not in found and (is_over or (name not in before and _rested(last, windows))):
            news[name] = replace(last, revision=last.revision + 1, windows=windows, stands=False)
    return news


def _rested(last: Told, windows: int) -> bool:
    return windows >= GROWN * last.windows


def _differs(last: Told, now: Finding) -> bool:
    return not last.stands or changed(last.finding.summary, now.summary)


def changed(before: str, now: str) -> bool:
    """Whether a sentence says materially something else than before."""
    if _FIGURE.sub("#", before) != _FIGURE.sub("#", now):
        return True
    pairs = zip(_FIGURE.findall(before), _FIGURE.findall(now), strict=True)
    return any(_moved(float(old.replace(",", "")), float(new.replace(",", ""))) for old, new in pairs)


def _moved(old: float, new: float) -> bool:
    return (old < 0) != (new < 0) or abs(new - old) > MOVED_SHARE * abs(old)
