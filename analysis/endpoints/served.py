"""Which endpoint makes a function cost what it costs, as it was seen: each sample with the request its thread served.

Of a function's CPU time in a block, what was sampled while its thread served requests of an endpoint is that
endpoint's; what was sampled while no request is known of is nobody's, and is told beside it, not shared out. So under a
fixed mix too each endpoint has its own sums, and a request of it costs their ratio: CPU time over requests that ended.

The interval is the wider of two. One is that of the ratio over the blocks (`analysis.costs.cost`), which holds whatever
the noise is, and knows little where blocks are few. The other is that of the count of samples alone: Poisson for the
cost, binomial for the share, which is the least that there can be. Both are exact at 0 and 1.

Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26, 1934; Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import betaincinv, gammaincinv

from analysis.costs.cost import cost_per_request
from analysis.endpoints.attribution import CONFIDENCE, Cost
from analysis.evidence.stacks import StackCounts

Floats = NDArray[np.float64]

LEAST_SHARE = 0.005
"""Of a function's CPU: endpoints that pay less of it are not listed."""
MOST_LISTED = 12
"""Of one function, those that pay most."""
NOBODY = -1
_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """CPU time and samples of stacks by endpoint: a row for each stack and each endpoint that was seen on it.

    `stack` and `endpoint` (rows,) are their places in `stacks` and `endpoints`, the latter NOBODY where no request is
    known; `cpu_us` and `samples` have the shape (rows, blocks). `ended` (endpoints, blocks) are their requests,
    `level_tps` (blocks,) the blocks' planned rates.
    """

    stacks: StackCounts
    endpoints: tuple[str, ...]
    stack: NDArray[np.intp]
    endpoint: NDArray[np.intp]
    cpu_us: Floats
    samples: Floats
    ended: Floats
    level_tps: Floats

    @property
    def joined_share(self) -> float:
        """Of all CPU time, how much was sampled while its thread served a request that is known of."""
        return float(self.cpu_us[self.endpoint != NOBODY].sum()) / max(float(self.cpu_us.sum()), 1.0)


def paid_costs(served: Served, some: Mapping[str, NDArray[np.bool_]]) -> dict[str, tuple[Cost, ...]]:
    """Costs by endpoint of what is on the stacks that a mask (stacks,) of each label names, the dearest first."""
    labels = list(some)
    shape = len(labels), len(served.stacks.counts)
    masks = sparse.csr_array(np.array([some[label] for label in labels], np.bool_).reshape(shape)).astype(np.float64)
    asked = max(float(served.ended.sum()), 1.0)

    def of(rows: NDArray[np.intp], values: Floats) -> Floats:
        """Sums over the rows on the stacks of each label, shape (labels, blocks)."""
        return np.asarray(masks[:, served.stack[rows]] @ values[rows])

    every, nobody = np.arange(len(served.stack)), np.flatnonzero(served.endpoint == NOBODY)
    all_us, all_samples = of(every, served.cpu_us), of(every, served.samples).sum(axis=1)
    unknown = of(nobody, served.cpu_us).sum(axis=1) / np.maximum(all_us.sum(axis=1), 1.0)
    found: dict[str, list[Cost]] = {label: [] for label in labels}
    for endpoint, name in enumerate(served.endpoints):
        rows, ended = np.flatnonzero(served.endpoint == endpoint), served.ended[endpoint]
        if not len(rows) or not ended.any():
            continue
        us, samples = of(rows, served.cpu_us), of(rows, served.samples).sum(axis=1)
        for place in np.flatnonzero(us.sum(axis=1) > LEAST_SHARE * all_us.sum(axis=1)).tolist():
            requests_share, levels = float(ended.sum()) / asked, served.level_tps
            cost, share = cost_per_request(us[place], ended, levels), cost_per_request(us[place], all_us[place], levels)
            assert cost is not None
            assert share is not None
            rare, often = _poisson(float(samples[place]))
            least, most = _binomial(share.us, float(all_samples[place]))
            found[labels[place]].append(
                Cost(
                    endpoint=name,
                    us=cost.us,
                    us_low=min(cost.us * rare, cost.us if cost.low is None else cost.low),
                    us_high=max(cost.us * often, cost.us if cost.high is None else cost.high),
                    share=share.us,
                    share_low=min(least, 1.0 if share.low is None else share.low),
                    share_high=min(1.0, max(most, 0.0 if share.high is None else share.high)),
                    requests_share=requests_share,
                    unknown_share=float(unknown[place]),
                )
            )
    return {label: tuple(sorted(costs, key=lambda cost: -cost.share)[:MOST_LISTED]) for label, costs in found.items()}


def _poisson(count: float) -> tuple[float, float]:
    """Both ends of the interval of a count's mean, over the count."""
    return float(gammaincinv(count, _TAIL)) / count, float(gammaincinv(count + 1, 1 - _TAIL)) / count


def _binomial(share: float, count: float) -> tuple[float, float]:
    """Both ends of the interval of a share of so many."""
    hits = min(share, 1.0) * count
    misses = count - hits
    low = float(betaincinv(hits, misses + 1, _TAIL)) if hits > 0 else 0.0
    return low, float(betaincinv(hits + 1, misses, 1 - _TAIL)) if misses > 1e-9 else 1.0


def joined_in_words(share: float) -> str:
    """What is to be known of such costs beside their figures, in a sentence, by the share that was joined."""
    return (
        f"Costs by endpoint are as seen: {share:.0%} of the CPU was sampled on threads while these served a request "
        f"that the middleware told of. Of the other {1 - share:.0%} no request is known, and no endpoint has any of it."
    )
