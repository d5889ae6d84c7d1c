"""A service, drawn from a seed: its functions, who calls whom, what each costs, its endpoints, and what is planted."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.kinds import KINDS, Plant
from benchmarks.planted.work import WORKS

_NAMES = ("billing", "parcels", "tickets", "library", "market", "harbour", "orchard", "theatre", "workshop", "gallery")
_VERBS = ("merge", "rank", "tally", "render", "sign", "match", "fold", "price", "score", "plan", "pack", "audit")
_NOUNS = ("quotes", "seats", "labels", "invoices", "crates", "notes", "offers", "ledgers", "routes", "stamps", "guests")
_PATHS = ("list", "detail", "submit", "overview", "status", "history")
_AROUND = ("answer", "do_GET")
"""Functions of every service that stand on the stacks of all that it does."""
_ASKED = {"downstream": ("ask_downstream",)}
"""What a defect calls."""
TENTH = 0.10
"""Of a core: what a function takes that is to be slower."""
PLANTED_US = {"superlinear": (900.0, 1300.0), "cache": (200.0, 300.0), "garbage": (40.0, 80.0)}
OTHERS_US = (100.0, 200.0)
"""What a planted function costs, from and to: some 400 samples in the time of a run of what grows."""
_CHILD = 0.5
_SHARED = 0.6


@dataclass(frozen=True, slots=True)
class Function:
    """One function: `work` names its body (see `work.WORKS`), None for a planted one; `us` is its own cost."""

    name: str
    work: str | None
    us: float
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the service, what it calls, and its weight among the requests."""

    path: str
    calls: tuple[str, ...]
    weight: int

    @property
    def handler(self) -> str:
        """The function that answers."""
        return f"answer_{self.path}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A service with the defects of a bundle; its twin is the same without (see `source`).

    `functions` are in the order in which they call: each only ones behind it.
    """

    seed: int
    bundle: str
    name: str
    threads: bool
    functions: tuple[Function, ...]
    endpoints: tuple[Endpoint, ...]
    plants: tuple[Plant, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """How it is asked (see `Design`)."""
        return BUNDLES[self.bundle].stages

    def reached(self, endpoint: Endpoint) -> frozenset[str]:
        """The functions that a request to an endpoint calls, directly or not."""
        calls = {one.name: one.calls for one in self.functions}
        found, names = set[str](), list(endpoint.calls)
        while names:
            name = names.pop()
            found.add(name)
            names += calls[name]
        return frozenset(found)

    @property
    def dear(self) -> Endpoint:
        """The endpoint on which the defect "endpoint" shows."""
        return self.endpoints[0]

    @property
    def paid_by_one(self) -> tuple[tuple[str, str], ...]:
        """Functions of which it is true that one endpoint alone pays for them, each with that endpoint's path."""
        homes = {
            one.name: [home for home in self.endpoints if one.name in self.reached(home)] for one in self.functions
        }
        alone = [(name, home[0].path) for name, home in homes.items() if len(home) == 1]
        return (*alone, *((one.handler, one.path) for one in self.endpoints))

    def mean_us(self, function: Function) -> float:
        """What a function costs by itself, in microseconds a request over all endpoints by their weights.

        What grows with the rate costs that at the highest.
        """
        dearer = {plant.function: plant.effect for plant in self.plants if plant.kind == "endpoint"}
        times = {one.path: dearer.get(function.name, 1.0) if one == self.dear else 1.0 for one in self.endpoints}
        paid = sum(one.weight * times[one.path] for one in self.endpoints if function.name in self.reached(one))
        return function.us * paid / sum(one.weight for one in self.endpoints)


def draw(bundle: str, seed: int) -> Drawn:
    """The service of a bundle and a seed; the same two always give the same."""
    rng, about = random.Random(f"{bundle} {seed}"), BUNDLES[bundle]
    threads = rng.random() < about.threads
    kinds = [kind for kind in about.kinds if threads or kind not in about.threads_only]
    count = rng.randint(3, 7) + len(kinds)
    verbs, nouns = rng.sample(_VERBS, count), rng.sample(_NOUNS, count)
    names = [f"{verb}_{noun}" for verb, noun in zip(verbs, nouns, strict=True)]
    planted = dict(zip(rng.sample(names, len(kinds)), kinds, strict=True))
    parents = _parents(rng, names, planted, apart=about.apart)
    paths = rng.sample(_PATHS, 2 if about.apart else rng.choice((2, 3)))
    effects = {name: rng.choice(KINDS[kind].effects) for name, kind in planted.items()}
    weights = {name: rng.uniform(0.5, 2.0) for name in names if name not in planted}
    rest_us = rng.uniform(*about.rest_us)
    functions = tuple(
        Function(
            name,
            None if name in planted else rng.choice(sorted(WORKS)),
            _planted_us(rng, planted[name], effects[name])
            if name in planted
            else weights[name] * rest_us / sum(weights.values()),
            tuple(child for child in names if parents[child] == name),
        )
        for name in names
    )
    endpoints = _endpoints(rng, paths, names, planted, parents, apart=about.apart)
    drawn = Drawn(
        seed=seed,
        bundle=bundle,
        name=rng.choice(_NAMES),
        threads=threads,
        functions=functions,
        endpoints=endpoints,
        plants=tuple(Plant(kind, effects[name], name) for name, kind in planted.items()),
    )
    plants = tuple(_placed(drawn, plant, _above(plant.function, parents)) for plant in drawn.plants)
    return replace(drawn, plants=plants, functions=_with_hottest(drawn))


def _placed(drawn: Drawn, plant: Plant, above: tuple[str, ...]) -> Plant:
    """A plant with the endpoints that pay for its defect, and with those who stand on its stacks then."""
    reaching = [one for one in drawn.endpoints if plant.function in drawn.reached(one)]
    paying = [drawn.dear] if plant.kind == "endpoint" else reaching
    near = (*above, *(one.handler for one in paying), *_AROUND, *_ASKED.get(plant.kind, ()))
    return replace(plant, near=near, endpoints=tuple(one.path for one in paying))


def _with_hottest(drawn: Drawn) -> tuple[Function, ...]:
    """The functions, of which those that are to be hot have their share of all that does not grow with the rate."""
    kinds = {plant.function: plant for plant in drawn.plants if plant.kind in ("linear", "superlinear")}
    others_us = sum(drawn.mean_us(one) for one in drawn.functions if one.name not in kinds)
    shares = {name: plant.effect for name, plant in kinds.items() if plant.kind == "linear"}
    return tuple(
        replace(one, us=shares[one.name] / (1 - shares[one.name]) * others_us) if one.name in shares else one
        for one in drawn.functions
    )


def _above(name: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """Who calls a function, up to an endpoint."""
    parent = parents[name]
    return () if parent is None else (parent, *_above(parent, parents))


def _parents(
    rng: random.Random, names: Sequence[str], planted: Mapping[str, str], *, apart: bool
) -> dict[str, str | None]:
    """Who calls each function, None for endpoints. A planted one calls nobody: its cost is its own."""
    parents: dict[str, str | None] = {}
    for place, name in enumerate(names):
        before = [one for one in names[:place] if one not in planted]
        parent = rng.choice(before) if before and rng.random() < _CHILD else None
        parents[name] = None if apart and name in planted else parent
    return parents


def _endpoints(
    rng: random.Random,
    paths: Sequence[str],
    names: Sequence[str],
    planted: Mapping[str, str],
    parents: Mapping[str, str | None],
    *,
    apart: bool,
) -> tuple[Endpoint, ...]:
    """Every endpoint reaches the planted functions, so that their calls are the requests; others are shared by some.

    `apart`: each of the planted ones belongs to an endpoint of its own, and these are asked alike.
    """
    tops = [(name, *_above(name, parents))[-1] for name in planted]
    roots = [name for name in names if parents[name] is None]
    home = {name: rng.choice(paths) for name in roots}
    own = dict(zip(planted, paths, strict=False)) if apart else {}

    def calls(name: str, path: str) -> bool:
        if name in own:
            return own[name] == path
        return name in tops or home[name] == path or rng.random() < _SHARED

    return tuple(
        Endpoint(path, tuple(name for name in roots if calls(name, path)), 1 if apart else rng.randint(1, 4))
        for path in paths
    )


def _planted_us(rng: random.Random, kind: str, effect: float) -> float:
    """What a planted function costs: without its defect; where the rate makes it grow with it, at the highest."""
    if kind == "linear":
        return 0.0  # a share of all others, which are not known yet: see `_with_hottest`
    if kind == "endpoint":
        # On the dear one it costs that times the effect.
        return rng.uniform(800.0, 1200.0) / max(effect, 8.0)
    if kind.startswith("slower"):
        return 1e6 * TENTH / Design().pool_tps
    return rng.uniform(*PLANTED_US.get(kind, OTHERS_US))
