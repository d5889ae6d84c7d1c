"""What of some runs may be compared: their stages, and rates of levels, wherever all got through as much.

Cost per request and latency change with the rate, so two versions are only ever compared at the same one. A *cell* is a
stage, or all visits of one rate of a `levels` stage. A cell that one side could not be measured in, or in which the
sides got through different rates, is refused with its reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import wording
from analysis.evidence.blocks import (
    BACKLOG,
    ERROR_SHARE,
    ERRORS,
    GENERATOR,
    HOST,
    NO_PROFILE,
    Segment,
    backlog_grows,
    settled,
)
from analysis.evidence.limits import Ints, Windows, generator_limited, host_limited

Mask = NDArray[np.bool_]

EQUAL_TPS = 0.05
"""Rates that differ by no more count as equal."""
ABSENT = "not part of the run"
TOO_SHORT = "no whole window after settling"
UNANSWERED = "nothing was answered"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A stage or rate of one run: `rows` are the positions of the windows that may be used, `labels` its segments.

    `why` says why nothing of it may be used, empty when it may. `tps` is what was answered as asked, per second.
    """

    name: str
    labels: tuple[str, ...]
    rows: Ints
    tps: float
    completed: int
    cpu_us: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A cell on both sides: mean throughputs (None where no run has one), and why it is refused, empty if it is not.

    `one_sided`: the sides differ in it, so that something may hide there; else neither could be measured.
    """

    name: str
    base_tps: float | None
    new_tps: float | None
    why: str = ""
    one_sided: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """The cells that are compared, and the runs (positions) that have them all; `left_out` says why others do not."""

    levels: tuple[Level, ...]
    runs: tuple[int, ...]
    left_out: Mapping[int, str]

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the cells that are compared."""
        return tuple(level.name for level in self.levels if not level.why)


def cells_of(windows: Windows, segments: Sequence[Segment]) -> tuple[Cell, ...]:
    """The cells of a run in the order of their first segment; what is no measured stage is none.

    Left out of each are the beginning while things settle, windows without a profile and those that generator or host
    limited; the cell as a whole for more than half of its windows, over 1% errors, or a growing backlog. A busy thread
    is no reason, as it is for growth: where both sides keep the same rate up they are as busy as they are.
    """
    groups: dict[str, list[Segment]] = {}
    for one in segments:
        if one.role == "measure":
            name = f"{one.stage}@{one.rate_from_tps:g}" if one.form == "level" else one.label
            groups.setdefault(name, []).append(one)
    unfit = {NO_PROFILE: windows.instances == 0, GENERATOR: generator_limited(windows), HOST: host_limited(windows)}
    return tuple(_cell(name, windows, group, unfit) for name, group in groups.items())


def _cell(name: str, windows: Windows, segments: Sequence[Segment], unfit: Mapping[str, Mask]) -> Cell:
    every = [settled(windows, one) for one in segments]
    rows = np.concatenate(every)
    reasons = {reason: int(mask[rows].sum()) for reason, mask in unfit.items()}
    kept = rows[~np.logical_or.reduce([mask[rows] for mask in unfit.values()])]
    part = windows.at(kept)
    completed, seconds = int(part.completed.sum()), float(part.window_us.sum()) / 1e6
    why = ""
    if not len(rows):
        why = TOO_SHORT
    elif 2 * len(kept) < len(rows):
        why = max(reasons, key=lambda reason: reasons[reason])
    elif part.failed.sum() > ERROR_SHARE * (part.completed + part.failed).sum():
        why = ERRORS
    elif not completed:
        why = UNANSWERED
    elif any(backlog_grows(windows.at(some)) for some in every):
        why = BACKLOG
    tps = completed / seconds if seconds else 0.0
    return Cell(name, tuple(one.label for one in segments), kept, tps, completed, float(part.cpu_us.sum()), why)


def shared_cells(runs: Sequence[Sequence[Cell]], is_new: Mask) -> Shared:
    """Which cells of some runs are compared, and with which of the runs; `is_new` (runs,) tells the sides apart.

    A cell counts where more than half of either side's runs have it; a run that then lacks one of them is left out.
    """
    by_name = [{cell.name: cell for cell in cells} for cells in runs]
    names = list(dict.fromkeys(cell.name for cells in runs for cell in cells))
    levels, lacking = [], dict[int, str]()
    for name in names:
        mine = [cells.get(name) for cells in by_name]
        level, without = _level(name, mine, is_new)
        levels.append(level)
        if not level.why:
            lacking = {**without, **lacking}
    kept = tuple(place for place in range(len(runs)) if place not in lacking)
    return Shared(tuple(levels), kept, lacking)


def _level(name: str, cells: Sequence[Cell | None], is_new: Mask) -> tuple[Level, dict[int, str]]:
    """A level, and the runs in which it is not as in the others of their side, with the reasons."""
    odd: dict[int, str] = {}
    tps: list[float | None] = []
    refused: list[str] = []
    for side, called in ((False, "base"), (True, "new")):
        of_side = {place: cells[place] for place in np.flatnonzero(is_new == side).tolist()}
        usable = {place: cell for place, cell in of_side.items() if cell and not cell.why}
        bad = {place: cell.why if cell else ABSENT for place, cell in of_side.items() if place not in usable}
        usual_tps, usual_windows = _medians(list(usable.values()))
        for place, cell in usable.items():
            if 2 * len(cell.rows) < usual_windows:
                bad[place] = f"cut short after {wording.count(len(cell.rows), 'window')}"
            elif not _equal(cell.tps, usual_tps):
                bad[place] = f"{wording.tps(cell.tps)} TPS, and {wording.tps(usual_tps)} in others of its side"
        alike = [cell.tps for place, cell in usable.items() if place not in bad]
        if bad and 2 * len(bad) >= len(of_side):
            reason = Counter(bad.values()).most_common(1)[0][0]
            refused.append(f"{reason} in {wording.count(len(bad), f'{called} run')}")
        odd |= {place: f"{name}: {reason}" for place, reason in bad.items()}
        tps.append(float(np.mean(alike)) if alike else None)
    base, new = tps
    if refused:
        return Level(name, base, new, "; ".join(refused), one_sided=len(refused) == 1), {}
    assert base is not None  # more than half of either side's runs are alike
    assert new is not None
    if not _equal(base, new):
        why = f"base got through {wording.tps(base)} TPS and new through {wording.tps(new)}"
        return Level(name, base, new, why, one_sided=True), {}
    return Level(name, base, new), odd


def _medians(cells: Sequence[Cell]) -> tuple[float, float]:
    """Of the rates, and of the numbers of windows."""
    if not cells:
        return 0.0, 0.0
    return float(np.median([cell.tps for cell in cells])), float(np.median([len(cell.rows) for cell in cells]))


def _equal(one: float, other: float) -> bool:
    return abs(one - other) <= EQUAL_TPS * max(one, other)
