"""Groups of runs whose truth is known, as arrays: what `analysis.comparison.difference` is held against."""

from collections.abc import Mapping

import numpy as np

from analysis.comparison.difference import Latency, Measured

US_PER_REQUEST = 5_000.0
ENDPOINTS = ("search", "product", "checkout")


def abba(pairs: int) -> np.ndarray:
    """Which of the runs in a row are of the new side."""
    return np.array([place % 4 in (1, 2) for place in range(2 * pairs)])


def tree(functions: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the CPU by themselves, shape (functions,), and who has whom on its stack, (functions, functions).

    The first third are callers, which do little themselves; shares of the others fall as those of real profiles do.
    """
    callers = functions // 3
    shares = np.concatenate([np.full(callers, 0.004), 1 / np.arange(2, functions - callers + 2) ** 0.9])
    below = np.eye(functions)
    for child in range(1, functions):
        parent = int(random.integers(0, min(child, callers)))
        below[:, child] = np.maximum(below[:, child], below[:, parent])
    return shares / shares.sum(), below


def groups(
    *,
    seed: int,
    pairs: int = 5,
    common: float = 0.014,
    own: float = 0.014,
    drift: float = 0.0,
    samples: int = 40_000,
    functions: int = 60,
    slower: Mapping[int, float] | None = None,
    heavy_tails: bool = False,
    latency_spread: float = 0.04,
    is_new: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> Measured:
    """`common` is the spread between runs that all functions share, `own` that of each; `drift` is by run.

    `slower` gives functions (by place) a factor on the new side. `samples` are those of a whole run.
    """
    random = np.random.default_rng(seed)
    is_new = abba(pairs) if is_new is None else is_new
    runs = len(is_new)
    drawn, below = tree(functions, random)
    shares = drawn if shares is None else shares

    def noise(*shape: int) -> np.ndarray:
        return random.standard_t(4, shape) / 2**0.5 if heavy_tails else random.standard_normal(shape)

    logs = common * noise(1, runs) + own * noise(functions, runs) + drift * np.arange(runs)
    factor = np.ones((functions, runs))
    for place, times in (slower or {}).items():
        factor[place, is_new] = times
    us = US_PER_REQUEST * shares[:, None] * factor * np.exp(logs)
    seen = random.poisson(us / US_PER_REQUEST * samples).astype(float)
    service_us = us.sum(axis=0)
    measured_us = seen / seen.sum(axis=0) * service_us
    latencies = tuple(
        Latency(endpoint, what, _sketched(20 * np.exp(latency_spread * scale * noise(runs) + drift * np.arange(runs))))
        for endpoint in ENDPOINTS
        for what, scale in (("p50", 0.5), ("p99", 1.0))
    )
    return Measured(
        is_new=is_new,
        at=np.arange(runs, dtype=float),
        service_us=service_us,
        functions=tuple(f"f{place} (shop.py)" for place in range(functions)),
        self_us=measured_us,
        total_us=below @ measured_us,
        self_samples=seen,
        total_samples=below @ seen,
        latencies=latencies,
        resolution=1.02,
    )


def _sketched(ms: np.ndarray) -> np.ndarray:
    """As a sketch with steps of 2% gives them back."""
    return 1.02 ** np.ceil(np.log(ms) / np.log(1.02))
