"""What a limit of our own makes unfit to be judged: a stage that is full of it, and higher rates that come after it.

Once the generator or the host was the limit for a while, a later and higher rate has gone through the same limit, even
where its own windows do not show it: connections were not opened, arrivals came in bursts, caches stayed cold. A later
rate that is not higher is judged by its own windows.
"""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.limits import LIMITED_SHARE, Floats, Ints, Mask, Windows, generator_limited, host_limited

SUSTAINED_WINDOWS = 3
"""Neighbours that make a stretch: one or two late windows are a collection of garbage or a neighbour's job."""
HIGHER = 1.05


@dataclass(frozen=True, slots=True)
class Overrun:
    """The first sustained stretch of limited windows: its begin (microseconds, Unix epoch), the highest rate asked in
    it, and the positions of its windows.
    """

    since_us: int
    tps: float
    rows: tuple[int, ...]

    def leaves_out(self, windows: Windows, asked_tps: Floats) -> Mask:
        """Windows that come after its begin and at a higher rate; `asked_tps` is what each of them was asked."""
        return np.asarray((windows.starts_us >= self.since_us) & (asked_tps > HIGHER * self.tps))


def limited(windows: Windows) -> Mask:
    """Windows that the generator or the host limited."""
    return np.asarray(generator_limited(windows) | host_limited(windows))


def mostly_fit(windows: Windows) -> bool:
    """Whether a stage or level may be judged by its windows: at most 10% of them are limited, as of a whole run.

    Of a short one a single window is over 10%, and yet no more than a hiccup.
    """
    return bool(limited(windows).sum() <= max(1, LIMITED_SHARE * len(windows)))


def first_overrun(windows: Windows, rows: Ints, asked_tps: Floats) -> Overrun | None:
    """The first stretch among some windows (`rows`: their positions, in time order); None when there is none.

    Windows of two stages are neighbours where nothing lies between these, a warm-up for instance.
    """
    mask = limited(windows)[rows]
    for at in range(len(rows) - SUSTAINED_WINDOWS + 1):
        stretch = rows[at : at + SUSTAINED_WINDOWS]
        if mask[at : at + SUSTAINED_WINDOWS].all() and (np.diff(stretch) == 1).all():
            return Overrun(int(windows.starts_us[stretch[0]]), float(asked_tps[stretch].max()), tuple(stretch.tolist()))
    return None
