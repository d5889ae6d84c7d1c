"""Which endpoint makes a function cost what it costs, from how its CPU time follows the mix of requests. No tracing.

Visits of one rate with different mixes are the experiment (see `producers.load.modulation`). Of a function's CPU time y
in a visit v of the level l, with n requests of each endpoint j answered in it,

    E[y_v] = g_l * sum_j n_vj c_j        c_j >= 0, variance = dispersion * mean

is fitted by quasi-likelihood: Poisson with identity link, so that what endpoints cost adds up, and a factor for each
level, so that a cost which depends on the rate is no endpoint's fault. All that the mix *within* a level does not show
(growth, fixed work, a sampler whose recall drifts with the load) goes into the factors. The share of an endpoint has
the interval of the profile likelihood: the shares at which twice the loss of log-likelihood over the dispersion is the
square of Student's t. Its microseconds per request are that share of the function's CPU time, which is sampled as well
and independent of it; their interval puts both together (MOVER). Fitted by expectation-maximisation, which keeps every
cost at or above zero.

Sources: McCullagh, Nelder, "Generalized Linear Models", 2nd ed., chapters 6 and 9; Shepp, Vardi, "Maximum likelihood
reconstruction for emission tomography", IEEE Trans. Med. Imaging 1, 1982 (the fit); Venzon, Moolgavkar, "A method for
computing profile-likelihood-based confidence intervals", Applied Statistics 37, 1988; Zou, Donner, "Construction of
confidence limits about effect measures", Statistics in Medicine 27, 2008 (MOVER).
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import t_quantile

Floats = NDArray[np.float64]

MOST_INFLATION = 100.0
"""How many times the samples that a traced profile would need. Of two equal endpoints: swings of a tenth."""
LEAST_DEGREES = 2
CONFIDENCE = 0.95

_FIRST, _AGAIN = 400, 40
_HALVINGS = 14
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Answered requests of each endpoint in each visit, shape (endpoints, visits), and the visits' planned rates."""

    endpoints: tuple[str, ...]
    requests: Floats
    level_tps: Floats

    @property
    def asked(self) -> Floats:
        """Of each endpoint, all visits together."""
        return np.asarray(self.requests.sum(axis=1))

    @property
    def degrees(self) -> int:
        """Visits beyond what is fitted: a factor for each level, and the endpoints' costs beside each other."""
        return len(self.level_tps) - len(set(self.level_tps.tolist())) - (int((self.asked > 0).sum()) - 1)

    def inflation(self) -> Floats:
        """How well the mix tells each endpoint from the others: 1 is as good as a trace of every sample.

        The variance of an endpoint's share of a function that all of them pay alike, over that of a count of traced
        samples; infinite where the mix does not tell. From the design alone, whatever the service did.
        """
        there = self.asked > 0
        found = np.full(len(there), np.inf)
        if not there.any():
            return found
        requests = self.requests[there]
        share = self.asked[there] / self.asked.sum()
        levels = np.unique(self.level_tps, return_inverse=True)[1]
        of_level = _by_level(requests, levels)
        usual = (of_level / np.maximum(of_level.sum(axis=0), _LEAST))[:, levels]
        size = requests.sum(axis=0)
        swing = (requests / np.maximum(size, _LEAST) - usual) / share[:, None]
        swing[:, size <= 0] = 0.0
        information = (swing * size / size.sum()) @ swing.T
        inverse = np.linalg.inv(information + 1e-9 * np.eye(len(share)))
        contrast = np.eye(len(share)) - share[:, None]
        variance = np.einsum("ij,jk,ik->i", contrast, inverse, contrast)
        found[there] = variance / np.maximum(share * (1 - share), _LEAST)
        return found

    def tells(self) -> NDArray[np.bool_]:
        """Which endpoints' costs are identifiable."""
        if (self.asked > 0).sum() < 2 or self.degrees < LEAST_DEGREES:
            return np.zeros(len(self.endpoints), dtype=bool)
        return np.asarray(self.inflation() <= MOST_INFLATION)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request of one endpoint makes a function cost: microseconds on the mean of the rates, and 95% interval.

    `share` is the endpoint's of the function's CPU time. `requests_share` is its share of the requests: what `share`
    is as well where the function costs every request the same, or none (fixed work). `unknown_share` is the part of
    the function's CPU time of which no request is known; None where it was not seen whose requests they were, but told
    from the mix (see `analysis.endpoints.served` for the other way).
    """

    endpoint: str
    us: float
    us_low: float
    us_high: float
    share: float
    share_low: float
    share_high: float
    requests_share: float
    unknown_share: float | None = None

    @property
    def pays(self) -> bool:
        """Whether the function belongs to the endpoint: nearer to all of it than to what its requests alone explain."""
        return self.share_low >= self._most

    @property
    def seems_to_pay(self) -> bool:
        """The same by the likeliest share, whatever its interval."""
        return self.share >= self._most

    @property
    def _most(self) -> float:
        return (1 + self.requests_share) / 2


def attribute(cpu_us: Floats, process_us: float, samples: float, mix: Mix) -> list[tuple[Cost, ...]]:
    """The costs of several functions by endpoint, those endpoints left out that the mix does not tell.

    Args:
        cpu_us: Microseconds of each function in each visit, shape (functions, visits).
        process_us: Microseconds of the whole process, all visits together.
        samples: Its samples. The noise of a function is never put below that of independent samples: of a share of
            them, for the sum is the kernel's and has none.
        mix: The visits' requests.
    """
    tells = np.flatnonzero(mix.tells())
    if not len(tells) or not len(cpu_us):
        return [() for _ in cpu_us]
    visits = _Visits.of(mix)
    busy = np.maximum(cpu_us, 0.0)
    fitted = visits.fit(busy, np.tile(visits.fair, (len(busy), 1)), rounds=_FIRST)
    least = process_us / max(samples, 1.0) * (1 - np.minimum(busy.sum(axis=1) / max(process_us, 1.0), 1.0))
    dispersion = np.maximum(visits.dispersion(busy, fitted, mix.degrees), least)
    allowed = dispersion * t_quantile((1 + CONFIDENCE) / 2, mix.degrees) ** 2
    low, high = _intervals(visits, busy, fitted, allowed, tells)
    unsure = np.sqrt(allowed / np.maximum(busy.sum(axis=1), _LEAST))
    each = busy.sum(axis=1)[:, None] / mix.asked[tells]

    def cost(function: int, told: int) -> Cost:
        us, endpoint = float(each[function, told]), int(tells[told])
        share, least, most = (
            float(one) for one in (fitted[function, endpoint], low[function, told], high[function, told])
        )
        return Cost(
            endpoint=mix.endpoints[endpoint],
            us=us * share,
            us_low=max(0.0, us * (share - hypot(share - least, share * unsure[function]))),
            us_high=us * (share + hypot(most - share, share * unsure[function])),
            share=share,
            share_low=least,
            share_high=most,
            requests_share=float(visits.fair[endpoint]),
        )

    return [
        tuple(cost(function, told) for told in range(len(tells))) if busy[function].any() else ()
        for function in range(len(busy))
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Visits:
    """`spread` (endpoints, visits) is the part of each endpoint's requests in each visit, `levels` the visits' level.

    A fit is a row of shares, one an endpoint, whose sum is 1.
    """

    spread: Floats
    levels: NDArray[np.intp]
    fair: Floats

    @classmethod
    def of(cls, mix: Mix) -> "_Visits":
        asked = mix.asked
        levels = np.unique(mix.level_tps, return_inverse=True)[1]
        return cls(mix.requests / np.maximum(asked, 1)[:, None], levels, asked / asked.sum())

    def fit(self, cpu_us: Floats, shares: Floats, *, rounds: int, held: NDArray[np.intp] | None = None) -> Floats:
        """The likeliest shares of each row of `cpu_us`, from `shares` on; `held` is one endpoint a row that stays."""
        rows = np.arange(len(shares))
        of_level = _by_level(cpu_us, self.levels)
        spread_of_level = _by_level(self.spread, self.levels)
        if held is not None:
            kept, left = shares[rows, held], 1 - shares[rows, held]
        for _ in range(rounds):
            mean = np.maximum(shares @ self.spread, _LEAST)
            factor = of_level / np.maximum(shares @ spread_of_level, _LEAST)
            shares = shares * ((cpu_us / mean) @ self.spread.T) / np.maximum(factor @ spread_of_level.T, _LEAST)
            if held is None:
                shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), _LEAST)
                continue
            shares[rows, held] = 0.0
            shares *= (left / np.maximum(shares.sum(axis=1), _LEAST))[:, None]
            shares[rows, held] = kept
        return shares

    def mean(self, cpu_us: Floats, shares: Floats) -> Floats:
        """What is expected of each visit, each level's sum being what it was."""
        mean = np.maximum(shares @ self.spread, _LEAST)
        factor = _by_level(cpu_us, self.levels) / _by_level(mean, self.levels)
        return np.asarray(mean * factor[:, self.levels])

    def likelihood(self, cpu_us: Floats, shares: Floats) -> Floats:
        """The logarithm, of each row, but for what no share changes."""
        return np.asarray((cpu_us * np.log(np.maximum(self.mean(cpu_us, shares), _LEAST))).sum(axis=1))

    def dispersion(self, cpu_us: Floats, shares: Floats, degrees: int) -> Floats:
        """Pearson's: variance over mean, in microseconds."""
        mean = np.maximum(self.mean(cpu_us, shares), _LEAST)
        return np.asarray(((cpu_us - mean) ** 2 / mean).sum(axis=1) / degrees)


def _by_level(values: Floats, levels: NDArray[np.intp]) -> Floats:
    """Sums over the visits (the last axis) of each level."""
    return np.asarray(values @ np.eye(int(levels.max()) + 1)[levels])


def _intervals(
    visits: _Visits, cpu_us: Floats, fitted: Floats, allowed: Floats, tells: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Both ends of each function's share of each endpoint that is told, shape (functions, told).

    The profile is monotone on either side of its top, so its ends are found by halving; all of them at once.
    """
    functions, told = len(cpu_us), len(tells)
    rows = np.repeat(np.arange(functions), told)
    held = np.tile(tells, functions)
    best = visits.likelihood(cpu_us, fitted)[rows]
    ends = []
    for outer in (0.0, 1.0):
        inside, outside = fitted[rows, held], np.full(len(rows), outer)
        shares = 0.9 * fitted[rows] + 0.1 * visits.fair
        at = outside
        for halving in range(_HALVINGS + 1):
            shares = visits.fit(
                cpu_us[rows], _holding(shares, held, at), rounds=_AGAIN if halving else 5 * _AGAIN, held=held
            )
            fits = 2 * (best - visits.likelihood(cpu_us[rows], shares)) <= allowed[rows]
            inside, outside = np.where(fits, at, inside), np.where(fits, outside, at)
            at = (inside + outside) / 2
        ends.append(inside.reshape(functions, told))
    return ends[0], ends[1]


def _holding(shares: Floats, held: NDArray[np.intp], at: Floats) -> Floats:
    """The shares with one of each row put to a value, and the others in their proportion."""
    rows = np.arange(len(shares))
    shares = np.maximum(shares, 1e-9)
    shares[rows, held] = 0.0
    shares *= ((1 - at) / shares.sum(axis=1))[:, None]
    shares[rows, held] = at
    return shares
