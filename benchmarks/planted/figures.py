"""What a campaign comes to: how often each defect was found, and how often somebody innocent was accused."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from benchmarks.planted.drawn import draw
from benchmarks.planted.kinds import KINDS, Plant, is_false, is_found
from benchmarks.planted.pool import Compared
from benchmarks.planted.results import Result, Seen

AMPLE = 400
"""With so many samples a growth of 2 is to be found in 95% of all runs."""
FIRST = 2
"""Ranked first or second."""
NEAR = 0.15
"""A prediction is right when what the twin does is that close to it."""
FULL = 0.7
"""The least part of a core that a twin must have had for its limit to be judged: it never had nothing to do."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`, with the 95% interval of Clopper and Pearson (Biometrika 26, 1934), which is never too short."""

    hits: int
    n: int

    @property
    def low(self) -> float:
        """Lower end."""
        return float(betaincinv(self.hits, self.n - self.hits + 1, 0.025)) if self.hits else 0.0

    @property
    def high(self) -> float:
        """Upper end."""
        return float(betaincinv(self.hits + 1, self.n - self.hits, 0.975)) if self.hits < self.n else 1.0

    @property
    def bare(self) -> str:
        """Without bounds: of what is not independent."""
        return f"{self.hits} of {self.n}: {self.hits / self.n:.0%}" if self.n else "–"

    def __str__(self) -> str:
        return f"{self.bare} [{self.low:.0%}, {self.high:.0%}]" if self.n else "–"


def rank(result: Result, plant: Plant) -> int | None:
    """The place of the first finding that shows a defect, 1 being the first of all those that do not show another one.

    None when none does.
    """
    others = [one for one in result.plants if one != plant]
    place = 0
    for finding in result.said:
        if is_found(plant, finding):
            return place + 1
        place += not any(is_found(other, finding) for other in others)
    return None


def accused(result: Result) -> tuple[str, ...]:
    """The summaries of findings that accuse somebody innocent."""
    return tuple(
        one.summary for one in result.said if is_false(result.plants, one, paid_by_one=result.paid_by_one)
    )  # fmt: skip


def planted_runs(results: Iterable[Result]) -> list[Result]:
    """Runs of services with defects that a single run can show."""
    return [one for one in results if one.seen and one.task.side == "planted"]


def clean_runs(results: Iterable[Result]) -> list[Result]:
    """Runs of services without a defect, each of another service.

    Those of the pool are not among them: ten of one service err together, and no bounds hold of them.
    """
    return [one for one in results if one.task.side == "clean" and one.task.bundle != "pool"]


def pool_runs(results: Iterable[Result]) -> list[Result]:
    """Runs of the pool's services as they are, many of each."""
    return [one for one in results if one.task.side == "clean" and one.task.bundle == "pool"]


@dataclass(frozen=True, slots=True)
class Row:
    """One defect of one size. `unjudged` runs said themselves that they could not tell, and count for nothing else.

    `ample` are those found of the runs in which the planted function has 400 samples or more; `samples` is the median
    of all; `held` are the 95% intervals of its growth that hold the truth.
    """

    kind: str
    effect: float
    unjudged: int
    found: Share
    ample: Share
    leading: Share
    samples: int
    held: Share


def rows(results: Iterable[Result]) -> list[Row]:
    """A row for each defect and size that was run."""
    groups: dict[tuple[str, float], list[tuple[Result, Seen]]] = {}
    for one in planted_runs(results):
        for seen in one.seen:
            groups.setdefault((seen.plant.kind, seen.plant.effect), []).append((one, seen))
    order = list(KINDS)
    ordered = sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    return [_row(kind, effect, group) for (kind, effect), group in ordered]


def _row(kind: str, effect: float, group: Sequence[tuple[Result, Seen]]) -> Row:
    judged = [(one, seen) for one, seen in group if one.judged]
    ranks = [rank(one, seen.plant) for one, seen in judged]
    ample = [place for (_, seen), place in zip(judged, ranks, strict=True) if seen.samples >= AMPLE]
    # Only there is the true growth of the planted function the size of the effect.
    intervals = [seen.growth for _, seen in judged if seen.growth is not None and kind == "superlinear"]
    return Row(
        kind=kind,
        effect=effect,
        unjudged=len(group) - len(judged),
        found=Share(sum(place is not None for place in ranks), len(judged)),
        ample=Share(sum(place is not None for place in ample), len(ample)),
        leading=Share(sum(place is not None and place <= FIRST for place in ranks), len(judged)),
        samples=round(statistics.median(seen.samples for _, seen in judged)) if judged else 0,
        held=Share(sum(low <= effect <= high for _, low, high in intervals), len(intervals)),
    )


@dataclass(frozen=True, slots=True)
class Accusing:
    """Of services of a bundle, those that could be judged and accuse somebody innocent, and of what.

    One that could not be judged, and accuses all the same, counts with them.
    """

    bundle: str
    unjudged: int
    share: Share
    summaries: tuple[str, ...]

    @classmethod
    def of(cls, bundle: str, results: Sequence[Result]) -> "Accusing":
        """All of them together."""
        judged = [one for one in results if one.judged or accused(one)]
        wrong = [(one, accused(one)) for one in judged]
        return cls(
            bundle,
            len(results) - len(judged),
            Share(sum(bool(said) for _, said in wrong), len(judged)),
            tuple(f"{one.task.words}: {text}" for one, said in wrong for text in said),
        )


def accusing(results: Sequence[Result]) -> list[Accusing]:
    """By bundle, in the order in which they came."""
    bundles = dict.fromkeys(one.task.bundle for one in results)
    return [Accusing.of(name, [one for one in results if one.task.bundle == name]) for name in bundles]


@dataclass(frozen=True, slots=True)
class Foretold:
    """A what-if prediction beside what the clean twin then did, in requests per second."""

    result: Result
    predicted: float
    low: float | None
    high: float | None
    did: float

    @property
    def off(self) -> float:
        """By how much the prediction is too high, as a share of what was done."""
        return self.predicted / self.did - 1

    @property
    def near(self) -> bool:
        """Whether it is right."""
        return abs(self.off) <= NEAR


def foretold(results: Iterable[Result]) -> list[Foretold]:
    """Every prediction whose twin had a core to show its limit on."""
    return [
        Foretold(one, *one.what_if_tps, one.twin_tps)
        for one in results
        if one.what_if_tps is not None and one.twin_tps is not None and (one.twin_cores or 0) >= FULL
    ]


@dataclass(frozen=True, slots=True)
class Told:
    """Comparisons of one question: `disjoint` ones share no run, `all` do. Of identical services a hit is anything
    told at all, else that the slower function is named; `innocent` are those that name a function that is not.
    """

    question: str
    disjoint: Share
    all: Share
    innocent: Share
    spread: float
    detectable: float
    share_of_cpu: float


def told(compared: Sequence[Compared]) -> Iterator[Told]:
    """A row for each question."""
    for question in dict.fromkeys(one.groups.question for one in compared):
        mine = [one for one in compared if one.groups.question == question]
        hits = [bool(one.said["told"]) if question == "clean" else one.names(_slower(one)) for one in mine]
        disjoint = [hit for hit, one in zip(hits, mine, strict=True) if one.disjoint]
        wrong = sum(bool(set(one.said["worse"]) - _touched(one)) for one in mine)
        yield Told(
            question,
            Share(sum(disjoint), len(disjoint)),
            Share(sum(hits), len(hits)),
            Share(wrong, len(mine)),
            *(statistics.median(one.said[name] or 0.0 for one in mine) for name in ("spread", "detectable")),
            statistics.median(one.said["shares"].get(_slower(one), 0.0) for one in mine),
        )


def _slower(one: Compared) -> str:
    """The function that is slower, or would be."""
    return draw("pool", one.groups.seed).plants[0].function


def _touched(one: Compared) -> set[str]:
    """The functions that are truly dearer: the slower one and its callers; of identical services none."""
    (plant,) = draw("pool", one.groups.seed).plants
    return set() if one.groups.question == "clean" else {plant.function, *plant.near, *_CALLERS}


_CALLERS = frozenset({"<module>", "main", "run", "serve", "handle", "handle_one_request", "process_request_thread"})
