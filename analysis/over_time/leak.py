"""Whether the memory of a process grows steadily.

Resident memory is no noise about a level: what a process once took it seldom gives back, so it wanders, and a line
through it has a slope whatever happened. So the eight parts of a stretch are compared, each with the one before: a leak
adds to every one of them. Their mean increase is judged by Student's t with 6 degrees; its error is widened by the root
of 1.5, for means of neighbouring parts of a random walk share half of their steps (Working, "Note on the correlation of
first differences of averages in a random chain", Econometrica 28, 1960).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import t_above, t_quantile

Floats = NDArray[np.float64]

PARTS = 8
SHARED_STEPS = 1.5
FALSE_CLAIMS = 0.001
LEAST_BYTES, LEAST_SHARE = 4 << 20, 0.02
LATER_PARTS, LEVELS_OFF = 3, 0.5


@dataclass(frozen=True, slots=True)
class Leak:
    """How the memory of one process ran; per hour with its 95% interval. `claimed` when it grows steadily."""

    process: str
    bytes_per_hour: float
    low: float
    high: float
    first_bytes: float
    last_bytes: float
    claimed: bool


def leak(process: str, rss_bytes: Floats, hours: Floats, processes: int = 1) -> Leak | None:
    """From resident memory at times in hours, both of shape (units,); one of so many processes of its service.

    Claimed when the increase is not by chance (1 in 1,000 services), comes to 4 MiB and 2%, and goes on: the last three
    increases are at least half of the mean, else something has filled up and is full. None with under 16 units.
    """
    if len(rss_bytes) < 2 * PARTS:
        return None
    means, middles = (
        np.array([part.mean() for part in np.array_split(values, PARTS)]) for values in (rss_bytes, hours)
    )
    rates = np.diff(means) / np.diff(middles)
    mean, error = float(rates.mean()), float(rates.std(ddof=1) * (SHARED_STEPS / len(rates)) ** 0.5)
    degrees = len(rates) - 1
    half = t_quantile(0.975, degrees) * error
    p = t_above(mean / error, degrees) if error > 0 else float(mean <= 0)
    grown = mean * float(hours[-1] - hours[0])
    goes_on = float(rates[-LATER_PARTS:].mean()) >= LEVELS_OFF * mean
    matters = grown >= max(LEAST_BYTES, LEAST_SHARE * float(means[0]))
    return Leak(
        process,
        mean,
        mean - half,
        mean + half,
        float(means[0]),
        float(means[-1]),
        claimed=p <= FALSE_CLAIMS / processes and goes_on and matters,
    )
