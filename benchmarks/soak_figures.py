"""What a soak says: growth, and a verdict for each aim. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

SETTLED_MIN = 5
"""Pools, caches and the interpreter's arenas fill before that minute."""
FEWEST_MIN = 3
"""Whole minutes from then on without which nothing is said of growth."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Moment:
    """What was read at one time: `at_s` from the first arrival, resident bytes by process, messages that the group has
    not committed past, and the size of the store's folder when `outcomes` were joined.
    """

    at_s: float
    rss_bytes: dict[str, int] = field(default_factory=dict)
    lag: int = 0
    store_bytes: int = 0
    outcomes: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim: None when it cannot be told."""

    aim: str
    found: str
    ok: bool | None


def minute_medians(times_s: Sequence[float], values: Sequence[float]) -> list[tuple[int, float]]:
    """Number and median of each minute in which something was read, the last one left out: it is not whole."""
    minutes = np.asarray(times_s, np.float64) // 60
    found = np.asarray(values, np.float64)
    last = minutes.max() if len(minutes) else 0
    whole = [int(minute) for minute in np.unique(minutes) if 0 <= minute < last]
    return [(minute, float(np.median(found[minutes == minute]))) for minute in whole]


def growth(times_s: Sequence[float], values: Sequence[float], settled_min: int = SETTLED_MIN) -> float | None:
    """By what share values grow from the settled minute to the last: the line through the medians of the minutes.

    Its slope is the median of the slopes of all pairs, which a few odd minutes do not move (Theil 1950, Sen 1968).
    None while there are too few minutes.
    """
    medians = [one for one in minute_medians(times_s, values) if one[0] >= settled_min]
    if len(medians) < FEWEST_MIN:
        return None
    slope = float(np.median([(b - a) / (later - sooner) for (sooner, a), (later, b) in combinations(medians, 2)]))
    start = float(np.median([value - slope * (minute - medians[0][0]) for minute, value in medians]))
    return slope * (medians[-1][0] - medians[0][0]) / start


def memory_verdicts(moments: Sequence[Moment], limit: float, worker_mib: float) -> list[Verdict]:
    """Growth of each process that was there all the time, and the most that the worker had."""
    names = sorted({name for moment in moments for name in moment.rss_bytes})
    found = []
    for name in names:
        seen = [(moment.at_s, moment.rss_bytes[name]) for moment in moments if name in moment.rss_bytes]
        grown = growth(*zip(*seen, strict=True))
        text = f"too short: needs {SETTLED_MIN + FEWEST_MIN + 1} minutes" if grown is None else f"{grown:+.2%}"
        ok = None if grown is None else grown < limit
        found.append(Verdict(f"{name}: resident memory grows by under {limit:.0%} from minute {SETTLED_MIN}", text, ok))
    most = max((moment.rss_bytes.get("worker", 0) for moment in moments), default=0) / MIB
    found.append(Verdict(f"worker: at most {worker_mib:.0f} MiB", f"{most:.0f} MiB", most <= worker_mib))
    return found


def at_most(aim: str, value: float, limit: float, unit: str) -> Verdict:
    """A figure with a limit; not a number is not known."""
    return Verdict(
        f"{aim} at most {limit:g} {unit}", f"{value:.2f} {unit}", None if np.isnan(value) else value <= limit
    )
