"""The defects that are planted, and what must be said of each for it to count as found.

This table is the whole of the judgement: a new kind of finding becomes part of it by its name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from analysis.findings import Finding

Load = Literal["levels", "modulated", "soak"]
"""Rates in random order; the same with the endpoints' weights swinging; one rate for as long."""

STATED = frozenset({"none", "capacity", "hot", "steady", "sizing"})
"""What is said of every service, healthy ones too: no accusation."""
PAID = "endpoint"
"""Says which endpoint pays for a function, and accuses nobody of whom that is true."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of defect; `unit` says what its `effects` are sizes of, of which the seed draws one.

    Found: a finding of one of the kinds `found`, that names the planted function unless `named` is False (who waits is
    not always who is waited for). `follows` are findings that are then true as well. `threads` None: the seed draws
    whether the service has one thread or many. `shown_by` other than "run": no single run can show it.
    """

    found: frozenset[str]
    unit: str
    effects: tuple[float, ...]
    follows: frozenset[str] = frozenset()
    load: Load = "levels"
    threads: bool | None = None
    named: bool = True
    shown_by: Literal["run", "diff"] = "run"

    @property
    def allowed(self) -> frozenset[str]:
        """Kinds of finding that are no false alarm beside this defect."""
        return STATED | self.found | self.follows


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


# Kind of defect -> the kinds of finding that count as found.
KINDS = {
    "superlinear": Kind(
        _kinds("superlinear"), "growth", (1.4, 2.0, 2.0), follows=_kinds("process-growth", "slow", "waiting")
    ),
    "convoy": Kind(_kinds("slow", "waiting"), "ms under the lock", (2, 4), threads=True, named=False),
    "cache": Kind(
        _kinds("drift", "change"), "x dearer at the end", (2, 4), follows=_kinds("slow", "leak"), load="soak"
    ),
    "garbage": Kind(_kinds("hot"), "cyclic objects a request", (1500, 3000), follows=_kinds("slow")),
    "linear": Kind(_kinds("hot"), "of the work", (0.4, 0.6)),
    "endpoint": Kind(_kinds("endpoint"), "x on one endpoint", (4, 10, 30), follows=_kinds("slow"), load="modulated"),
    "branch": Kind(_kinds("slow"), "x in 2% of requests", (20, 80)),
    "downstream": Kind(_kinds("slow", "waiting"), "ms in 10% of requests", (20, 80), threads=True, named=False),
    "leak": Kind(_kinds("leak", "drift", "change"), "KiB a request", (8, 32), load="soak", named=False),
    "slower-10": Kind(_kinds("regression"), "x slower", (1.1,), shown_by="diff"),
    "slower-30": Kind(_kinds("regression"), "x slower", (1.3,), shown_by="diff"),
}


def is_found(kind: Kind, function: str, finding: Finding) -> bool:
    """Whether a finding shows the defect planted in `function`."""
    return finding.kind in kind.found and (_name(finding) == function or not kind.named)


def is_false(kind: Kind | None, function: str, finding: Finding, *, paid_by_one: Collection[str] = ()) -> bool:
    """Whether a finding accuses somebody innocent; `kind` None: of a service without a defect.

    `paid_by_one` are functions that one endpoint alone calls.
    """
    if finding.kind in STATED or (finding.kind == PAID and _name(finding) in paid_by_one):
        return False
    if kind is None:
        return True
    return finding.kind not in kind.allowed or (finding.kind in kind.found and not is_found(kind, function, finding))


def _name(finding: Finding) -> str | None:
    return finding.function and finding.function.split(" ")[0]


def looked_for(kind: Kind, known: Collection[str]) -> bool:
    """Whether there is a finding for it at all, `known` being the kinds of finding that exist."""
    return kind.shown_by == "run" and not kind.found.isdisjoint(known)
