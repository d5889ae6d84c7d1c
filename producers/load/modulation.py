"""How a `levels` stage swings the mix of its requests from visit to visit, to tell endpoints' costs apart. Pure.

Each endpoint is up in half of the visits of each level and down in the others, and of two endpoints each pair of signs
is as frequent, where the visits allow it: rows of a Hadamard matrix in Sylvester's form, over visits in random order.
The mean over the visits of a level is the plan's mix, and no endpoint gets more than 1 + swing times what the plan
gives it: so costs per request stay those of the plan, and a dear endpoint does not overload the service.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SWING = 0.9
"""The most that a weight is swung, up and down, as a part of it."""
_DRAWN = 32
_MOST_ENDPOINTS = 12
"""More need so many visits that somebody must want it."""


def mix_stages(endpoints: int, tps: object, *, visits: int, each: str, settle: Any = None) -> list[dict[str, Any]]:
    """The stage that tells the costs of a plan's endpoints apart, as it stands in a plan; none for one endpoint.

    It comes after the levels that growth and capacity are measured from, so that these keep the plan's own mix. `tps`
    should be about half of the highest rate: what a swung mix costs more has room there.
    """
    if not 2 <= endpoints <= _MOST_ENDPOINTS:
        return []
    stage = {"name": "mix", "levels": [tps], "visits": visits, "each": each, "modulate": SWING}
    return [stage if settle is None else stage | {"settle": settle}]


def modulated(weights: Sequence[float], *, levels: int, visits: int, swing: float, seed: int) -> Floats:
    """Weights of every visit, shape (levels, visits, endpoints), whose sum is always that of `weights`.

    What one endpoint has more the others have less: all of them in proportion, or the most frequent one alone. Of some
    seeded patterns of both kinds the one is taken that blurs the costs least. One endpoint alone has nothing to swing
    against, and in one visit nothing swings: then the weights stay.
    """
    plain = np.array(weights, np.float64)
    shares = plain / plain.sum()
    if len(plain) < 2 or visits < 2 or not swing:
        return np.tile(plain, (levels, visits, 1))
    random = Random(f"{seed} modulation")  # noqa: S311  an experiment's pattern, no secret
    drawn = [
        way(shares, signs, swing)
        for signs in (_signs(levels, visits, len(plain), random) for _ in range(_DRAWN))
        for way in (_all_give_way, _first_gives_way)
    ]
    # More endpoints than visits can tell apart: each pattern is as good as another, and to compare them takes long.
    best = min(drawn, key=lambda one: _blur(shares, one)) if len(plain) <= levels * (visits - 1) else drawn[0]
    return np.asarray((best.reshape(levels, visits, -1) * plain.sum()).round(12))


def _signs(levels: int, visits: int, endpoints: int, random: Random) -> Floats:
    """Up (1) and down (-1), shape (levels * visits, endpoints); of an odd number of visits one is neither (0)."""
    found = []
    for _ in range(levels):
        if visits & (visits - 1) == 0:
            rows = [row for _ in range(-(-endpoints // (visits - 1))) for row in _shuffled(range(1, visits), random)]
            order = _shuffled(range(visits), random)
            signs = [[(-1) ** (row & visit).bit_count() for visit in order] for row in rows[:endpoints]]
        else:
            halves = [1] * (visits // 2) + [-1] * (visits // 2) + [0] * (visits % 2)
            signs = [_shuffled(halves, random) for _ in range(endpoints)]
        turned = [[random.choice((-1, 1))] for _ in range(endpoints)]
        found.append((np.array(signs) * turned).T)
    return np.concatenate(found).astype(np.float64)


def _shuffled(values: Sequence[int], random: Random) -> list[int]:
    return random.sample(values, len(values))


def _all_give_way(shares: Floats, signs: Floats, swing: float) -> Floats:
    swung = signs - (signs @ shares)[:, None]
    return np.asarray(shares * (1 + swing / max(1.0, float(np.abs(swung).max())) * swung))


def _first_gives_way(shares: Floats, signs: Floats, swing: float) -> Floats:
    first = int(shares.argmax())
    swung = signs.copy()
    swung[:, first] = 0.0
    swung[:, first] = -(swung @ shares) / shares[first]
    return np.asarray(shares * (1 + swing / max(1.0, float(np.abs(swung).max())) * swung))


def _blur(shares: Floats, swung: Floats) -> float:
    """The sum of the variances of what endpoints cost together, fitted to visits with this mix; up to a factor."""
    information = swung.T @ swung
    if np.linalg.cond(information) > 1e9:
        return np.inf
    return float((np.linalg.inv(information).diagonal() * shares**2).sum())
