"""The defects that are planted, and what must be said of each for it to count as found.

This table is the whole of the judgement: a new kind of finding becomes part of it by its name. A name is that of the
kind of finding, or with a colon of one cause: `limit:waiting`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analysis.finding import Finding

STATED = frozenset(
    {"none", "capacity", "hot", "steady", "sizing", "limit:generator", "limit:own", "limit:host"}
)  # fmt: skip
"""What is said of every service, healthy ones too, or of the machine that it runs on: no accusation."""
PAID = "endpoint"
"""Says which endpoint pays for a function, and accuses nobody of whom that is true."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of defect; `unit` says what its `effects` are sizes of, of which the seed draws one.

    Found: a finding of one of the kinds `found`, that names the planted function; with `named` False it may also name
    nobody, or who stands on the stack with it (who waits is not always who is waited for). One about the requests to an
    endpoint must be about one that pays for the defect. `follows` are findings that are then true as well, of the
    service or of who stands there; of other endpoints only where they name the planted function, for which they wait in
    line. `grows`: it must be ranked first or second. `shown_by` other than "run": no single run can show it.
    """

    found: frozenset[str]
    unit: str
    effects: tuple[float, ...]
    follows: frozenset[str] = frozenset()
    named: bool = True
    grows: bool = False
    shown_by: Literal["run", "diff"] = "run"


@dataclass(frozen=True, slots=True)
class Plant:
    """A defect in a function; `near` are those that stand on its stacks with it: its callers, what it asks.

    `endpoints` are those whose requests pay for the defect.
    """

    kind: str
    effect: float
    function: str
    near: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()

    def as_kind(self, name: str) -> "Plant":
        """The same function with a defect of another kind, of which there is one size."""
        (effect,) = KINDS[name].effects
        return replace(self, kind=name, effect=effect)


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


# Who costs more CPU makes others wait for a core, and for nothing else.
_DEARER = _kinds("process-growth", "slow:running", "limit:cpu", "limit:thread")
# Kind of defect -> the kinds of finding that count as found.
KINDS = {
    "superlinear": Kind(_kinds("superlinear"), "growth", (1.4, 2.0, 2.0), follows=_DEARER, grows=True),
    "garbage": Kind(_kinds("superlinear"), "objects a request", (250, 500), follows=_DEARER, grows=True),
    "convoy": Kind(_kinds("slow:waiting", "limit:waiting"), "ms under the lock", (6, 11), named=False),
    "cache": Kind(
        _kinds("drift", "change"),
        "x dearer at the end",
        (2, 4),
        follows=_kinds("slow:running", "leak", "drift", "change"),
        grows=True,
    ),
    "linear": Kind(_kinds("hot"), "of its own work that does not grow", (0.5, 0.55)),
    "endpoint": Kind(_kinds("endpoint"), "x on one endpoint", (4, 10, 30, 30), follows=_kinds("slow:running")),
    "branch": Kind(_kinds("slow:running"), "ms in 2% of requests", (80, 160), follows=_kinds("slow:running")),
    "downstream": Kind(_kinds("slow:waiting"), "ms in 5% of requests", (100, 250), named=False),
    "leak": Kind(_kinds("leak"), "KiB a request", (1, 4), named=False),
    "slower-10": Kind(_kinds("regression"), "x slower", (1.1,), shown_by="diff"),
    "slower-30": Kind(_kinds("regression"), "x slower", (1.3,), shown_by="diff"),
}


def names_of(finding: Finding) -> frozenset[str]:
    """What the table may call a finding: its kind, and its kind with its cause."""
    cause = finding.evidence.get("cause")
    return frozenset({finding.kind, f"{finding.kind}:{cause}"} if cause else {finding.kind})


def is_found(plant: Plant, finding: Finding) -> bool:
    """Whether a finding shows a planted defect."""
    kind = KINDS[plant.kind]
    if names_of(finding).isdisjoint(kind.found) or not _pays(plant, finding):
        return False
    return function_of(finding) == plant.function or (not kind.named and _stands_near(plant, finding))


def _follows(plant: Plant, finding: Finding) -> bool:
    """Whether a finding that does not show a defect is true because of it."""
    if names_of(finding).isdisjoint(KINDS[plant.kind].follows):
        return False
    return function_of(finding) == plant.function or (_pays(plant, finding) and _stands_near(plant, finding))


def is_false(plants: Sequence[Plant], finding: Finding, *, paid_by_one: Collection[tuple[str, str]] = ()) -> bool:
    """Whether a finding accuses somebody innocent, of a service with these defects; without any, it has none.

    `paid_by_one` are functions that one endpoint alone calls, with that endpoint.
    """
    if not names_of(finding).isdisjoint(STATED):
        return False
    if finding.kind == PAID and (function_of(finding), endpoint_of(finding)) in paid_by_one:
        return False
    return not any(is_found(plant, finding) or _follows(plant, finding) for plant in plants)


def function_of(finding: Finding) -> str | None:
    """The function that a finding names, without its file; what is defined within a function is that function."""
    return finding.function and finding.function.split(" ")[0].split(".<locals>")[0]


def endpoint_of(finding: Finding) -> str | None:
    """The endpoint whose requests a finding is about, None when it is about no certain ones."""
    endpoint = finding.evidence.get("endpoint")
    return None if endpoint is None else str(endpoint)


def _pays(plant: Plant, finding: Finding) -> bool:
    return endpoint_of(finding) in {None, *plant.endpoints}


def _stands_near(plant: Plant, finding: Finding) -> bool:
    return function_of(finding) in {None, *plant.near}


def looked_for(kind: Kind, known: Collection[str]) -> bool:
    """Whether there is a finding for it at all, `known` being the kinds of finding that exist."""
    return kind.shown_by == "diff" or any(name.partition(":")[0] in known for name in kind.found)
