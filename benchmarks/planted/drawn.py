"""A service, drawn from a seed: its functions, who calls whom, what each costs, its endpoints, and what is planted."""

import random
from dataclasses import dataclass

from benchmarks.planted.kinds import KINDS
from benchmarks.planted.work import WORKS

_NAMES = ("billing", "parcels", "tickets", "library", "market", "harbour", "orchard", "theatre", "workshop", "gallery")
_VERBS = ("merge", "rank", "tally", "render", "sign", "match", "fold", "price", "score", "plan", "pack", "audit")
_NOUNS = ("quotes", "seats", "labels", "invoices", "crates", "notes", "offers", "ledgers", "routes", "stamps", "guests")
_PATHS = ("list", "detail", "submit", "overview", "status", "history")
REST_US = (600.0, 1000.0)
"""What the innocent functions cost together for a request to an endpoint that calls all of them."""
PLANTED_US = (900.0, 1300.0)
"""What the planted one costs, where the kind says nothing else: some 400 samples in the time of a run."""
_CHILD = 0.5
_SHARED = 0.6


@dataclass(frozen=True, slots=True)
class Function:
    """One function: `work` names its body (see `work.WORKS`), None for the planted one; `us` is its own cost."""

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
    """A service with a defect of a kind and size; its twin is the same without (see `source`).

    `functions` are in the order in which they call: each only ones behind it.
    """

    seed: int
    kind: str
    effect: float
    name: str
    threads: bool
    functions: tuple[Function, ...]
    endpoints: tuple[Endpoint, ...]

    @property
    def planted(self) -> Function:
        """The function with the defect."""
        return next(one for one in self.functions if one.work is None)

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
    def paid_by_one(self) -> tuple[str, ...]:
        """Functions of which it is true that one endpoint alone pays for them."""
        reached = [self.reached(one) for one in self.endpoints]
        alone = [one.name for one in self.functions if sum(one.name in names for names in reached) == 1]
        return (*alone, *(one.handler for one in self.endpoints))


def draw(kind: str, seed: int) -> Drawn:
    """The service of a kind and a seed; the same two always give the same."""
    rng = random.Random(f"{kind} {seed}")
    about = KINDS[kind]
    count = rng.randint(4, 8)
    verbs, nouns = rng.sample(_VERBS, count), rng.sample(_NOUNS, count)
    names = [f"{verb}_{noun}" for verb, noun in zip(verbs, nouns, strict=True)]
    planted = rng.choice(names)
    parents = _parents(rng, names, planted)
    paths = rng.sample(_PATHS, rng.choice((2, 3)))
    effect = rng.choice(about.effects)
    weights = {name: rng.uniform(0.5, 2.0) for name in names if name != planted}
    each_us = rng.uniform(*REST_US) / sum(weights.values())
    functions = tuple(
        Function(
            name,
            None if name == planted else rng.choice(sorted(WORKS)),
            _planted_us(rng, kind, effect) if name == planted else weights[name] * each_us,
            tuple(child for child in names if parents[child] == name),
        )
        for name in names
    )
    return Drawn(
        seed=seed,
        kind=kind,
        effect=effect,
        name=rng.choice(_NAMES),
        threads=rng.random() < 0.5 if about.threads is None else about.threads,
        functions=functions,
        endpoints=_endpoints(rng, paths, names, planted, parents),
    )


def _parents(rng: random.Random, names: list[str], planted: str) -> dict[str, str | None]:
    """Who calls each function, None for endpoints. The planted one calls nobody: its cost is its own."""
    parents: dict[str, str | None] = {}
    for place, name in enumerate(names):
        before = [one for one in names[:place] if one != planted]
        parents[name] = rng.choice(before) if before and rng.random() < _CHILD else None
    return parents


def _endpoints(
    rng: random.Random, paths: list[str], names: list[str], planted: str, parents: dict[str, str | None]
) -> tuple[Endpoint, ...]:
    """Every endpoint reaches the planted function, so that its calls are the requests; others are shared by some."""
    top: str | None = planted
    while top is not None and parents[top] is not None:
        top = parents[top]
    roots = [name for name in names if parents[name] is None]
    home = {name: rng.choice(paths) for name in roots}
    return tuple(
        Endpoint(
            path,
            tuple(name for name in roots if name == top or home[name] == path or rng.random() < _SHARED),
            rng.randint(1, 4),
        )
        for path in paths
    )


def _planted_us(rng: random.Random, kind: str, effect: float) -> float:
    """What the planted function costs: without its defect, or for the kinds that grow and are hot, with it."""
    if kind == "linear":
        return effect / (1 - effect) * sum(REST_US) / 2
    if kind == "endpoint":
        return rng.uniform(*PLANTED_US) / effect  # the dear one pays what others' defects cost, the others a part of it
    if kind in ("branch", "cache"):
        return rng.uniform(*PLANTED_US) / 6
    if kind.startswith("slower"):
        return rng.uniform(*PLANTED_US) / 4
    return rng.uniform(*PLANTED_US)
