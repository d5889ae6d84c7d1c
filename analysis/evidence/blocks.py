"""From windows to the units of statistics: a visit of a level, not a second, is one observation.

Seconds of one visit share its caches, its neighbours and its time of day, so they are no independent observations.
Where nobody visited levels, a stretch of a ramp or of a hold stands in ("batch means"), and claims less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.evidence.limits import Floats, Ints, Mask, Windows, generator_limited, host_limited
from analysis.evidence.overrun import Overrun, first_overrun, mostly_fit

Form = Literal["hold", "ramp", "level"]
Design = Literal["levels", "ramp", "steady", "unfit"]

SETTLE_S = 2.0
SETTLE_SHARE = 0.4
ERROR_SHARE = 0.01
BACKLOG_SHARE, BACKLOG_REQUESTS = 0.02, 10
BUSY_SHARE = 0.85
STEADY_RANGE = 1.3
STRETCHES = 12

NO_PROFILE = "no profile"
GENERATOR = "generator-limited"
HOST = "host-limited"
AFTER = "a higher rate after a limited one"
ERRORS = "over 1% errors"
BACKLOG = "growing backlog"
BUSY = "a thread over 85% busy"
TOO_FEW = "too few windows left"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the plan as it ran: a whole stage, or one visit of a level. Times in microseconds, Unix epoch.

    `settle_us` of its beginning are left out of findings; None: 2 s, at most 40% of it.
    """

    label: str
    stage: str
    form: Form
    visit: int
    starts_us: int
    ends_us: int
    rate_from_tps: float
    rate_to_tps: float
    settle_us: int | None = None
    role: str = "measure"
    modulated: bool = False
    """Whether its mix of requests is swung about the plan's."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One unit of statistics: whole windows of one segment (`rows`: their positions), and what they come to.

    `level_tps` is the planned rate of a level, or the mean planned rate; `tps` is what was answered as asked.
    """

    label: str
    level_tps: float
    rows: Ints
    mid_us: float
    seconds: float
    completed: int

    @property
    def tps(self) -> float:
        """Answers per second."""
        return self.completed / self.seconds


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Windows that no finding rests on, and why."""

    label: str
    level_tps: float
    reason: str
    windows: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The blocks of a run. `design` says what they can prove: only `levels` tells the rate from the time.

    `unfit`: nothing was left by the rules, so every profiled window was taken; costs are shown, nothing is claimed.
    """

    design: Design
    blocks: tuple[Block, ...]
    left_out: tuple[LeftOut, ...]
    limited_tps: frozenset[float] = frozenset()
    """Rates of levels of which too many windows were limited: nothing is extrapolated from them."""

    @property
    def level_tps(self) -> tuple[float, ...]:
        """The distinct planned rates among the blocks, ascending."""
        return tuple(sorted({block.level_tps for block in self.blocks}))


def select(windows: Windows, segments: Sequence[Segment], *, every_mix: bool = False) -> Selection:
    """Choose the windows that findings may rest on, and group them.

    Visits with a swung mix are taken only when there are no others, or with `every_mix`.

    Of each segment the start is left out while things settle (see `Segment`), and so are windows
    without a profile, generator-limited ones and host-limited ones, and without levels what comes after the first
    sustained stretch of these at a higher rate. A whole visit (or stretch) is left out for over 1%
    errors, a growing backlog or a thread over 85% busy. These three are judged over the visit, never by the window:
    leaving out single busy windows of a level near that bound would keep its cheap ones and so fake a lower cost.
    """
    levels = _levels(segments, every_mix=every_mix)
    unfit = {
        NO_PROFILE: windows.instances == 0,
        GENERATOR: generator_limited(windows),
        HOST: host_limited(windows),
    }
    overrun = overrun_of(windows, segments)
    if overrun is not None and not levels:
        unfit[AFTER] = overrun.leaves_out(windows, asked_tps(windows, segments))
    blocks: list[Block] = []
    left_out: list[LeftOut] = []
    for segment in levels or segments:
        for stretch in _stretches(settled(windows, segment), segment.form):
            rows, reasons = _fit(windows, stretch, unfit)
            rate_tps = _planned_rate(windows.at(stretch), segment)
            left_out += [LeftOut(segment.label, rate_tps, reason, count) for reason, count in reasons.items()]
            if len(rows):
                blocks.append(_block(windows, rows, segment.label, rate_tps))
    blocks = [block for block in blocks if block.completed]
    if not blocks:
        every = _stretches(np.flatnonzero(windows.instances > 0), "hold")
        blocks = [_block(windows, rows, "", 0.0) for rows in every]
        return Selection("unfit", tuple(block for block in blocks if block.completed), tuple(left_out))
    rates = [block.tps for block in blocks]
    design: Design = "levels" if levels else "ramp" if max(rates) > STEADY_RANGE * min(rates) else "steady"
    return Selection(design, tuple(blocks), tuple(left_out), _limited_levels(windows, levels))


def _levels(segments: Sequence[Segment], *, every_mix: bool) -> list[Segment]:
    levels = [segment for segment in segments if segment.form == "level"]
    return [segment for segment in levels if every_mix or not segment.modulated] or levels


def _limited_levels(windows: Windows, levels: Sequence[Segment]) -> frozenset[float]:
    """The rates of levels that are too limited to be judged, all their visits together."""
    found = set()
    for rate_tps in {segment.rate_from_tps for segment in levels}:
        visits = (inside(windows, segment) for segment in levels if segment.rate_from_tps == rate_tps)
        if not mostly_fit(windows.at(np.concatenate(list(visits)))):
            found.add(rate_tps)
    return frozenset(found)


def overrun_of(windows: Windows, segments: Sequence[Segment]) -> Overrun | None:
    """Where a run first met a limit of our own: of its measured stages, but for levels, whose order is random."""
    rows = [inside(windows, one) for one in segments if one.form != "level" and one.role == "measure"]
    return first_overrun(windows, np.concatenate(rows), asked_tps(windows, segments)) if rows else None


def asked_tps(windows: Windows, segments: Sequence[Segment]) -> Floats:
    """The rate that each window was asked: the plan's where that is one number, for arrivals at random moments are now
    more and now fewer; else what was scheduled.
    """
    rates = windows.scheduled * 1e6 / windows.window_us
    for one in segments:
        if one.form != "ramp":
            rates[inside(windows, one)] = one.rate_from_tps
    return rates


def inside(windows: Windows, segment: Segment) -> Ints:
    """Positions of the windows that lie, for the most part, in a segment."""
    middle_us = windows.starts_us + windows.window_us // 2
    return np.flatnonzero((middle_us >= segment.starts_us) & (middle_us < segment.ends_us))


def windows_inside(windows: Windows, starts_us: int, ends_us: int) -> Ints:
    """Positions of the windows that lie wholly between two times."""
    return np.flatnonzero((windows.starts_us >= starts_us) & (windows.ends_us <= ends_us))


def backlog_grows(windows: Windows) -> bool:
    """Whether requests pile up over some windows in time order: more come in than go out.

    The rise is that of a straight line through `in_flight`, so that one slow second at the end is no rise.
    """
    if len(windows) < 2:
        return False
    slope = float(np.polyfit(np.arange(len(windows)), windows.in_flight, 1)[0])
    rise = slope * (len(windows) - 1)
    return rise > max(BACKLOG_REQUESTS, BACKLOG_SHARE * float(windows.scheduled.sum()))


def settled(windows: Windows, segment: Segment) -> Ints:
    """Positions of the windows of a segment after things have settled (see `select`)."""
    length_us = segment.ends_us - segment.starts_us
    by_default_us = int(min(SETTLE_S * 1e6, SETTLE_SHARE * length_us))
    settle_us = by_default_us if segment.settle_us is None else segment.settle_us
    return windows_inside(windows, segment.starts_us + settle_us, segment.ends_us)


def _stretches(rows: Ints, form: Form) -> list[Ints]:
    """A visit stays whole; a ramp or a hold is cut into at most twelve pieces of two windows or more."""
    if not len(rows):
        return []
    if form == "level":
        return [rows]
    return np.array_split(rows, min(STRETCHES, max(1, len(rows) // 2)))


def _fit(windows: Windows, stretch: Ints, unfit: dict[str, Mask]) -> tuple[Ints, dict[str, int]]:
    """The rows that may be used, and how many were left out for each reason."""
    rows, reasons = stretch, {}
    for reason, mask in unfit.items():
        reasons[reason] = int(mask[rows].sum())
        rows = rows[~mask[rows]]
    whole = _unfit_as_a_whole(windows.at(rows)) if 2 * len(rows) >= len(stretch) else TOO_FEW
    if whole and len(rows):
        reasons[whole] = len(rows)
        rows = rows[:0]
    return rows, {reason: count for reason, count in reasons.items() if count}


def _unfit_as_a_whole(windows: Windows) -> str | None:
    if windows.failed.sum() > ERROR_SHARE * (windows.completed + windows.failed).sum():
        return ERRORS
    if backlog_grows(windows):
        return BACKLOG
    return BUSY if windows.busiest_thread_us.sum() > BUSY_SHARE * windows.window_us.sum() else None


def _planned_rate(windows: Windows, segment: Segment) -> float:
    if segment.form != "ramp":
        return segment.rate_from_tps
    return float(windows.scheduled.sum() / (windows.window_us.sum() / 1e6))


def _block(windows: Windows, rows: Ints, label: str, level_tps: float) -> Block:
    part = windows.at(rows)
    mid_us = float((part.starts_us + part.window_us / 2).mean())
    return Block(label, level_tps, rows, mid_us, float(part.window_us.sum() / 1e6), int(part.completed.sum()))
