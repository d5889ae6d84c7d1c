"""How far the attribution of costs to endpoints can be trusted: coverage, blame of innocents, power. Simulated.

    python -m benchmarks.endpoint_costs [--runs 400]

A shop of three endpoints whose functions' costs are known is visited as the demo's plan does it: four rates with the
plan's mix, then one rate with a swung one. Each row is one thing that real services and samplers do; the noise is not
that of the fitted model. What must be true: 95% intervals hold the truth in 92 to 98% (of shares that are not 0 or 1:
these have one side only), innocents are blamed in none, and who pays alone is found.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from analysis.endpoints.attribution import Cost, Mix, attribute
from loadflame.demo import demo_plan
from producers.load.plan import Plan
from producers.load.segments import segments_of

Floats = NDArray[np.float64]

ENDPOINTS = ("search", "product", "checkout")
WEIGHTS = (3.0, 2.0, 1.0)
HZ = 400.0
MAP, MIX = demo_plan("http://127.0.0.1").model_dump(mode="json", by_alias=True, exclude_defaults=True)["stages"]


@dataclass(frozen=True, slots=True)
class Work:
    """CPU of one function: microseconds for a request of each endpoint at 160 requests/s, and for each second.

    A cost is proportional to the rate to the power of `grows`.
    """

    us: tuple[float, float, float]
    fixed_us_per_s: float = 0.0
    grows: tuple[float, float, float] = (0.0, 0.0, 0.0)


SHOP: Mapping[str, Work] = {
    "sign": Work((0, 0, 600)),
    "rank": Work((350, 0, 0)),
    "page": Work((0, 60, 0)),
    "basket": Work((40, 0, 200)),
    "json": Work((80, 80, 80)),
    "sweep": Work((640, 640, 640), grows=(1, 1, 1)),
    "loop": Work((60, 60, 60), fixed_us_per_s=12_000),
}
ALONE = {"sign": "checkout", "rank": "search", "page": "product"}
"""Functions that one endpoint pays for alone."""


@dataclass(frozen=True, slots=True)
class World:
    """What is not as the model has it. Shares of a cost, as standard deviations of its logarithm, where not said.

    `spread` is of each function from visit to visit, `common` of all of them together, `memory` the correlation of
    either with the visit before. `leak` is how much dearer everything is at the end. `recall` is by how much less of
    all functions is seen at the lowest rate, `blind` the same for some functions only.
    """

    spread: float = 0.03
    common: float = 0.03
    memory: float = 0.0
    leak: float = 0.0
    recall: float = 0.0
    blind: float = 0.0
    clumps: float = 1.0
    """Samples come in clumps of so many: variance over mean."""
    stages: Sequence[Mapping[str, object]] = (MAP, MIX)
    works: Mapping[str, Work] = field(default_factory=lambda: SHOP)


WORLDS: Mapping[str, World] = {
    "as the model has it": World(spread=0.0, common=0.0),
    "costs vary by 3%": World(),
    "costs vary by 10%": World(spread=0.1, common=0.1),
    "by 10%, and remember": World(spread=0.1, common=0.1, memory=0.7),
    "samples in clumps of 3": World(clumps=3.0),
    "30% dearer at the end": World(leak=0.3),
    "15% less seen at low rates": World(recall=0.15),
    "the same, of some functions": World(blind=0.15),
    "all levels swung": World(stages=({**MAP, "modulate": 0.9},)),
    "all levels swung, 10%": World(stages=({**MAP, "modulate": 0.9},), spread=0.1, common=0.1),
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a run shows: the mix, CPU microseconds of each function in each visit, CPU and samples of the process."""

    mix: Mix
    cpu_us: Floats
    process_us: float
    samples: float
    truth: Floats
    """The endpoints' shares of each function, shape (functions, endpoints)."""
    truth_us: Floats
    """What a request of each makes it cost, in the same shape."""


def seen(world: World, seed: int) -> Seen:
    """One run of a world."""
    random = np.random.default_rng(seed)
    requests = [{"name": name, "path": "/", "weight": weight} for name, weight in zip(ENDPOINTS, WEIGHTS, strict=True)]
    stages = [{**stage, "seed": seed} for stage in world.stages]
    plan = Plan.model_validate({"target": "http://127.0.0.1", "stages": stages, "requests": requests})
    visits = [one for one in segments_of(plan) if one.form == "level"]
    tps = np.array([one.rate_from_tps for one in visits])
    seconds = np.array([np.floor(one.duration_s - one.settle_s + 0.01) for one in visits])
    weights = np.array([one.weights for one in visits])
    counts = np.round((tps * seconds)[:, None] * weights / weights.sum(axis=1, keepdims=True)).T
    place = np.log(tps / tps.min()) / max(np.log(tps.max() / tps.min()), 1e-9)
    times = np.arange(len(visits)) / len(visits)
    shared = _wander(random, world.common, world.memory, len(visits))
    spent, truth, truth_us = [], [], []
    for work in world.works.values():
        each = np.array(work.us)[:, None] * (tps / 160) ** np.array(work.grows)[:, None]
        by_endpoint = each * counts
        own = _wander(random, world.spread, world.memory, len(visits))
        total = by_endpoint.sum(axis=0) + work.fixed_us_per_s * seconds
        spent.append(total * np.exp(shared + own + world.leak * times))
        # Fixed work is nobody's; it shows as if all requests paid for it alike.
        fixed = work.fixed_us_per_s * seconds * counts / counts.sum(axis=0)
        paid = ((by_endpoint + fixed) * np.exp(world.leak * times)).sum(axis=1)
        truth.append(paid / paid.sum())
        truth_us.append(paid / counts.sum(axis=1))
    cpu = np.array(spent)
    recall = 0.9 * (1 - world.recall * (1 - place)) * np.ones_like(cpu)
    recall[::2] *= 1 - world.blind * (1 - place)
    samples = world.clumps * random.poisson(cpu / 1e6 * HZ * recall / world.clumps)
    kernel = cpu.sum(axis=0)
    us_per_sample = kernel / np.maximum(samples.sum(axis=0), 1)
    mix = Mix(ENDPOINTS, counts, tps)
    cpu_us, process_us = samples * us_per_sample, float(kernel.sum())
    return Seen(mix, cpu_us, process_us, float(samples.sum()), np.array(truth), np.array(truth_us))


def _wander(random: np.random.Generator, spread: float, memory: float, visits: int) -> Floats:
    steps = random.normal(0, spread, visits)
    for visit in range(1, visits):
        steps[visit] = memory * steps[visit - 1] + (1 - memory**2) ** 0.5 * steps[visit]
    return steps


@dataclass(slots=True)
class Tally:
    """Over many runs. `held` are intervals that hold the truth: of shares between 0 and 1, and of the others."""

    held: list[bool] = field(default_factory=list)
    held_at_end: list[bool] = field(default_factory=list)
    held_us: list[bool] = field(default_factory=list)
    blamed: list[bool] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    wrong: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)


def tally(world: World, runs: int, first_seed: int = 0) -> Tally:
    """Attribute many runs of a world."""
    told = Tally()
    for seed in range(first_seed, first_seed + runs):
        run = seen(world, seed)
        found = attribute(run.cpu_us, run.process_us, run.samples, run.mix)
        for name, costs, truth, us in zip(world.works, found, run.truth, run.truth_us, strict=True):
            _count(told, name, costs, truth, us)
    return told


def _count(told: Tally, name: str, costs: Sequence[Cost], truth: Floats, truth_us: Floats) -> None:
    for cost in costs:
        share, us = (column[ENDPOINTS.index(cost.endpoint)] for column in (truth, truth_us))
        if share > 1e-9:
            told.held_us.append(bool(cost.us_low <= us <= cost.us_high))
        holds = cost.share_low - 1e-6 <= share <= cost.share_high + 1e-6
        (told.held if 1e-9 < share < 1 - 1e-9 else told.held_at_end).append(bool(holds))
        if share < 1e-9:
            told.blamed.append(cost.share > 0.10)
        if ALONE.get(name) == cost.endpoint:
            told.found.append(cost.pays)
            told.widths.append(cost.share_high - cost.share_low)
        elif share < (1 + cost.requests_share) / 2:  # of basket checkout has a bit more
            told.wrong.append(cost.pays)


def _share(flags: Sequence[bool]) -> str:
    return f"{np.mean(flags):.1%}" if flags else "–"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    options = parser.parse_args()
    table = Table(title=f"{options.runs} simulated runs each")
    for name in (
        "world",
        "95% holds",
        "of 0 and 1",
        "of us",
        "innocent over 10%",
        "alone: found",
        "width",
        "wrongly found",
    ):
        table.add_column(name)
    for name, world in WORLDS.items():
        one = tally(replace(world), options.runs)
        table.add_row(
            name,
            *map(_share, (one.held, one.held_at_end, one.held_us, one.blamed, one.found)),
            f"{np.mean(one.widths):.3f}" if one.widths else "–",
            _share(one.wrong),
        )
    Console(width=max(130, Console().width)).print(table)


if __name__ == "__main__":
    main()
