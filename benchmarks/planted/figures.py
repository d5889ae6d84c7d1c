"""What a campaign comes to: how often each defect was found, and how often somebody innocent was accused."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from benchmarks.planted.kinds import KINDS, Kind, is_false, is_found
from benchmarks.planted.results import Result

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

    def __str__(self) -> str:
        if not self.n:
            return "–"
        return f"{self.hits} of {self.n}: {self.hits / self.n:.0%} [{self.low:.0%}, {self.high:.0%}]"


def rank(result: Result, kind: Kind) -> int | None:
    """The place of the first finding that shows the defect, 1 being the report's first; None when none does."""
    places = (place for place, one in enumerate(result.said, start=1) if is_found(kind, result.function, one))
    return next(places, None)


def accused(result: Result, kinds: Mapping[str, Kind] = KINDS) -> tuple[str, ...]:
    """The summaries of findings that accuse somebody innocent."""
    kind = None if result.clean else kinds[result.kind]
    return tuple(
        one.summary for one in result.said if is_false(kind, result.function, one, paid_by_one=result.paid_by_one)
    )


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
    false: Share
    samples: int
    held: Share


def rows(results: Iterable[Result], looked: Collection[str]) -> list[Row]:
    """A row for each kind of defect in `looked` and each of its sizes, of the runs that have one."""
    groups: dict[tuple[str, float], list[Result]] = {}
    for one in results:
        if not one.clean and one.kind in looked:
            groups.setdefault((one.kind, one.effect), []).append(one)
    order = list(KINDS)
    return [
        _row(kind, effect, group)
        for (kind, effect), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def _row(kind: str, effect: float, group: Sequence[Result]) -> Row:
    judged = [one for one in group if one.judged]
    ranks = [rank(one, KINDS[kind]) for one in judged]
    ample = [place for one, place in zip(judged, ranks, strict=True) if one.samples >= AMPLE]
    # Only there is the true growth of the planted function the size of the effect.
    intervals = [one.growth for one in judged if one.growth is not None and kind == "superlinear"]
    return Row(
        kind=kind,
        effect=effect,
        unjudged=len(group) - len(judged),
        found=Share(sum(place is not None for place in ranks), len(judged)),
        ample=Share(sum(place is not None for place in ample), len(ample)),
        leading=Share(sum(place is not None and place <= FIRST for place in ranks), len(judged)),
        false=Share(sum(bool(accused(one)) for one in judged), len(judged)),
        samples=round(statistics.median(one.samples for one in judged)) if judged else 0,
        held=Share(sum(low <= effect <= high for _, low, high in intervals), len(intervals)),
    )


@dataclass(frozen=True, slots=True)
class Twins:
    """Runs of services without a defect: how many of those that could be judged accuse anybody, and of what.

    One that could not, and accuses all the same, counts with them.
    """

    unjudged: int
    accusing: Share
    summaries: tuple[str, ...]


def twins(results: Iterable[Result]) -> Twins:
    """All clean twins, of whatever kind."""
    clean = [one for one in results if one.clean]
    judged = [one for one in clean if one.judged or accused(one)]
    wrong = [(one, accused(one)) for one in judged]
    return Twins(
        len(clean) - len(judged),
        Share(sum(bool(said) for _, said in wrong), len(judged)),
        tuple(f"{one.task.words}: {text}" for one, said in wrong for text in said),
    )


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
