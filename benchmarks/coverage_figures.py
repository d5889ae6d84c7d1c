"""Runs whose true growth is known, made or made over, and how often the fitted intervals hold it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.costs.growth import Experiment, Fit, fit_growth
from analysis.evidence.stacks import StackCounts
from benchmarks.planted.arrays import read
from benchmarks.planted.bundles import BUNDLES
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import Share

Floats = NDArray[np.float64]

AIM = (0.92, 0.98)
GROWTHS = (1.0, 1.4, 2.0)
SAMPLES = (400, 2000)
LEVELS_TPS, VISITS, EACH_S, SETTLE_S = (25, 50, 100, 200), 4, 4.0, 1.0
REST_US = 900.0
HZ = 108.0
"""Samples for each second of CPU, all being found that usually are."""
LEAST = 150
"""Samples that must be left of a recorded function for it to be thinned."""


@dataclass(frozen=True, slots=True)
class Held:
    """Intervals that hold the truth, by how much growth is off on average, and how often it is called superlinear."""

    source: str
    growth: float
    samples: int
    held: Share
    bias: float
    superlinear: Share

    @classmethod
    def of(cls, source: str, growth: float, fits: Sequence[Fit], *, among: float = 1.0) -> "Held":
        """From fits whose true growth is known. Where several share their noise only every 1/`among`-th is news."""
        held = sum(one.low <= growth <= one.high for one in fits)
        called = sum(one.seems_superlinear for one in fits)
        count = max(1, round(among * len(fits)))
        return cls(
            source,
            growth,
            round(float(np.median([one.samples for one in fits]))),
            Share(round(held / len(fits) * count), count),
            float(np.mean([one.growth for one in fits])) - growth,
            Share(round(called / len(fits) * count), count),
        )

    @property
    def aim(self) -> str:
        """Whether the aim is met: by the figure itself, and if not, whether chance alone may have done it."""
        share = self.held.hits / self.held.n
        if AIM[0] <= share <= AIM[1]:
            return "within"
        return "OUTSIDE" if self.held.high < AIM[0] or self.held.low > AIM[1] else "cannot tell"


# Generators: the factor by which the costs of the function, of the rest, and what is found of both, are off in a visit.

Noise = Callable[[np.random.Generator, Floats, Floats], tuple[Floats, Floats, Floats]]
"""From levels (requests/s) and minutes of the visits in order of time; three arrays of factors, one for each visit."""


def _even(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    del random, minutes
    return np.ones_like(tps), np.ones_like(tps), np.ones_like(tps)


def _varying(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    own, rest = np.exp(random.normal(0, 0.08, (2, len(tps))))
    return own, rest, _even(random, tps, minutes)[2]


def _alike(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    """First-order autoregression with a coefficient of 0.7, 8% wide, of the function and of the rest apart."""
    walks = np.empty((2, len(tps)))
    walks[:, 0] = random.normal(0, 0.08, 2)
    for at in range(1, len(tps)):
        walks[:, at] = 0.7 * walks[:, at - 1] + random.normal(0, 0.08 * (1 - 0.7**2) ** 0.5, 2)
    own, rest = np.exp(walks)
    return own, rest, _even(random, tps, minutes)[2]


def _drifting(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    """The function gets 30% dearer a minute, or cheaper, as a cache that fills does."""
    own = np.exp(random.choice([-0.3, 0.3]) * minutes)
    return own, *_even(random, tps, minutes)[1:]


def _steps(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    """All costs rise by 30% at once, in the midst of the run, as when a neighbour comes."""
    all_of_it = np.where(minutes > random.uniform(0.2, 0.8) * minutes.max(), 1.3, 1.0)
    return all_of_it, all_of_it, _even(random, tps, minutes)[2]


def _overlooking(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    """The sampler finds 15% less at the highest rate than at the lowest, or more."""
    place = np.log(tps / tps.min()) / np.log(tps.max() / tps.min())
    return *_even(random, tps, minutes)[:2], 1 - 0.15 * (place if random.random() < 0.5 else 1 - place)


def _careless(random: np.random.Generator, tps: Floats, minutes: Floats) -> tuple[Floats, Floats, Floats]:
    """The sampler finds between 70% and all, anew in every visit."""
    return *_even(random, tps, minutes)[:2], random.uniform(0.7, 1.0, len(tps))


@dataclass(frozen=True, slots=True)
class Generator:
    """A name for people, the noise, and CPU microseconds each second that no request asks for."""

    name: str
    noise: Noise
    fixed_us: float = 5_000.0


GENERATORS = (
    Generator("nothing but counting", _even),
    Generator("costs vary by 8% from visit to visit", _varying),
    Generator("the same, neighbours in time alike (0.7)", _alike),
    Generator("the function drifts by 30% a minute", _drifting),
    Generator("all costs step up by 30% in the midst", _steps),
    Generator("recall drifts by 15% with the rate", _overlooking),
    Generator("recall between 70% and 100%, visit by visit", _careless),
    Generator("a third of the CPU at the lowest rate is fixed work", _varying, fixed_us=15_000.0),
)


def drawn_fit(generator: Generator, growth: float, samples: int, random: np.random.Generator) -> Fit | None:
    """What is found in one run of a service whose function grows by `growth` and has about so many samples."""
    tps = random.permutation(np.repeat(np.array(LEVELS_TPS, np.float64), VISITS))
    minutes = np.arange(len(tps)) * EACH_S / 60
    seconds = EACH_S - SETTLE_S
    own, rest, recall = generator.noise(random, tps, minutes)
    completed = np.round(tps * seconds)
    shape = tps**growth * seconds
    own_us = shape * (samples / HZ * 1e6 / shape.sum()) * own
    rest_us = completed * REST_US * rest + generator.fixed_us * seconds
    counts, others = (random.poisson(us / 1e6 * HZ * recall).astype(np.float64) for us in (own_us, rest_us))
    experiment = Experiment(
        tps=completed / seconds,
        level_tps=tps,
        minutes=minutes,
        seconds=np.full(len(tps), seconds),
        completed=completed,
        cpu_us=own_us + rest_us,
        randomised=True,
    )
    return fit_growth(counts, others, counts + others, experiment)


def generated(draws: int, seed: int) -> Iterator[Held]:
    """A row for each generator, growth and number of samples."""
    random = np.random.default_rng(seed)
    for generator in GENERATORS:
        for samples in SAMPLES:
            for growth in GROWTHS:
                fits = [drawn_fit(generator, growth, samples, random) for _ in range(draws)]
                yield Held.of(generator.name, growth, [one for one in fits if one is not None])


# Recorded runs


def thinned(
    stacks: StackCounts, experiment: Experiment, function: int, more: float, random: np.random.Generator
) -> Fit | None:
    """Growth of a function of fixed cost of which so much is left out at random that it grows by 1 + `more`."""
    on = stacks.stacks_with(function)
    keep = (experiment.tps / experiment.tps.max()) ** more
    mine = stacks.counts[on].sum(axis=0)
    left = random.binomial(mine.astype(np.int64), keep).astype(np.float64)
    us_per_sample = experiment.cpu_us / np.maximum(stacks.total, 1)
    total = stacks.total - (mine - left)
    others = stacks.counts[~on].sum(axis=0)
    return fit_growth(left, others, total, replace(experiment, cpu_us=us_per_sample * total))


def recorded(folder: Path, draws: int, seed: int) -> Iterator[Held]:
    """A row for each growth, over the functions of all recorded runs of which enough samples are left."""
    random = np.random.default_rng(seed)
    runs = [(path, *read(path)) for path in sorted(folder.glob("*.json")) if path.stem.rpartition("-")[0] in BUNDLES]
    for growth in GROWTHS:
        fits, functions = [], 0
        for path, stacks, experiment in runs:
            if experiment.lacks or not experiment.randomised:
                continue
            for place in _fixed_costs(path, stacks):
                found = [thinned(stacks, experiment, place, growth - 1, random) for _ in range(draws)]
                known = [one for one in found if one is not None and one.samples >= LEAST]
                functions += bool(known)
                fits += known
        if fits:
            name = f"{functions} functions of {len(runs)} recorded runs"
            yield Held.of(name, growth, fits, among=functions / len(fits))


def _fixed_costs(path: Path, stacks: StackCounts) -> list[int]:
    """Functions of a clean twin that do the same for every request to an endpoint: its own, as they were drawn."""
    bundle, _, seed = path.stem.rpartition("-")
    own = {one.name for one in draw(bundle, int(seed)).functions}
    return [place for place, label in enumerate(stacks.functions) if label.split(" ")[0] in own]
