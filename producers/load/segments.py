"""From a plan's stages to segments: stretches of time over which the arrival rate is constant or linear."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Literal

import numpy as np

from producers.load.modulation import modulated
from producers.load.plan import Plan
from producers.load.rates import BytesPerS
from producers.load.stages import Hold, Levels, Ramp, Role, Sine, Soak, Spike, Step, Users

PlanStage = Hold | Ramp | Levels | Step | Spike | Sine | Soak | Users
_PIECES_A_PERIOD = 64
"""Chords of a sine: over half a period their integral is 0.08% of the swing too low, over a whole one exact."""

FASTEST_ANSWER_S = 1e-3
"""An answer over a network takes as long at least, so users cannot come faster than this lets them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """So many seconds in which the rate runs linearly from one to another, in arrivals per second."""

    duration_s: float
    rate_from_tps: float
    rate_to_tps: float

    @property
    def arrivals(self) -> float:
        """The integral of the rate: how many arrivals are due, as a real number."""
        return (self.rate_from_tps + self.rate_to_tps) / 2 * self.duration_s


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch. `label` names it in every row and event: the stage's name, or `map[3]` for a third visit.

    `form` is `ramp` wherever the rate is not one planned number: users of the closed model make their own.
    `visit` counts a levels stage's visits and a staircase's steps from 1 in their order of time; it is 0 for the other
    forms. `offset_s` is seconds from the run's start; the first `settle_s` are for settling.
    """

    label: str
    stage: str
    form: Literal["hold", "ramp", "level"]
    visit: int
    offset_s: float
    pieces: tuple[Piece, ...]
    settle_s: float = 0.0
    weights: tuple[float, ...] = ()
    """Of the plan's requests, in their order, in this stretch."""
    modulate: float = 0.0
    """How far they are swung, as a part of them; see `modulation`."""
    users: int = 0
    think_s: float = 0.0
    """Of the closed model: users, and how long each thinks between an answer and the next request."""
    role: Role = "measure"

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return sum(piece.duration_s for piece in self.pieces)

    @property
    def end_s(self) -> float:
        """Seconds from the run's start."""
        return self.offset_s + self.duration_s

    @property
    def rate_from_tps(self) -> float:
        """At the beginning."""
        return self.pieces[0].rate_from_tps

    @property
    def rate_to_tps(self) -> float:
        """At the end."""
        return self.pieces[-1].rate_to_tps

    @property
    def arrivals(self) -> float:
        """See Piece."""
        return sum(piece.arrivals for piece in self.pieces)

    @property
    def peak_tps(self) -> float:
        """The highest rate; of users of the closed model, what they come to when every answer takes a millisecond."""
        of_users = self.users / (self.think_s + FASTEST_ANSWER_S)
        return max(of_users, *(max(piece.rate_from_tps, piece.rate_to_tps) for piece in self.pieces))


def peak_tps(segments: Iterable[Segment]) -> float:
    """The highest rate of a plan, in requests per second."""
    return max(segment.peak_tps for segment in segments)


def segments_of(plan: Plan) -> tuple[Segment, ...]:
    """The segments of a settled plan (see `settled`), in order and without gaps."""
    segments: list[Segment] = []
    offset_s = 0.0
    plain = tuple(request.weight for request in plan.requests)
    for stage in plan.stages:
        for segment in _of_stage(stage, offset_s, plain):
            # Findings rest on what comes after settling: of a warm-up that is nothing.
            settles_s = segment.settle_s if stage.role == "measure" else segment.duration_s
            segments.append(replace(segment, settle_s=settles_s, role=stage.role, weights=segment.weights or plain))
            offset_s = segment.end_s
    return tuple(segments)


def _of_stage(stage: PlanStage, offset_s: float, plain: tuple[float, ...]) -> Iterable[Segment]:
    name = stage.name
    match stage:
        case Hold(hold=rate) | Soak(soak=rate):
            yield Segment(name, name, "hold", 0, offset_s, _constant(stage.duration_s, rate))
        case Ramp():
            yield Segment(name, name, "ramp", 0, offset_s, (Piece(stage.duration_s, *_both(stage.ramp)),))
        case Users():
            nobody = (Piece(stage.duration_s, 0.0, 0.0),)
            yield Segment(name, name, "ramp", 0, offset_s, nobody, users=stage.users, think_s=stage.think_s)
        case Sine():
            yield Segment(name, name, "ramp", 0, offset_s, _sine(stage))
        case Spike():
            yield Segment(name, name, "ramp", 0, offset_s, _spike(stage))
        case Step():
            for visit, rate in enumerate(np.linspace(*_both(stage.step), stage.steps).tolist(), 1):
                start_s = offset_s + (visit - 1) * stage.each_s
                yield Segment(f"{name}[{visit}]", name, "hold", visit, start_s, (Piece(stage.each_s, rate, rate),))
        case Levels():
            yield from _visits(stage, offset_s, plain)


def _visits(stage: Levels, offset_s: float, plain: tuple[float, ...]) -> Iterable[Segment]:
    weights = modulated(
        plain, levels=len(stage.levels), visits=stage.visits, swing=stage.modulate, seed=stage.seed
    ).tolist()
    swing = stage.modulate if len(plain) > 1 else 0.0
    for place, rate in enumerate(visiting_order(stage)):
        # Visits go round by round: in each round every level once.
        mix = weights[stage.levels.index(rate)][place // len(stage.levels)]
        yield Segment(
            f"{stage.name}[{place + 1}]",
            stage.name,
            "level",
            place + 1,
            offset_s + place * stage.each_s,
            (Piece(stage.each_s, rate, rate),),
            stage.settle_s,
            tuple(mix),
            swing,
        )


def _tps(rate: float | BytesPerS) -> float:
    assert not isinstance(rate, BytesPerS), "a plan is settled before it is cut"
    return rate


def _both(rates: tuple[float | BytesPerS, float | BytesPerS]) -> tuple[float, float]:
    return _tps(rates[0]), _tps(rates[1])


def _constant(duration_s: float, rate: float | BytesPerS) -> tuple[Piece, ...]:
    return (Piece(duration_s, _tps(rate), _tps(rate)),)


def _sine(stage: Sine) -> tuple[Piece, ...]:
    low, high = _both(stage.sine)
    count = max(1, ceil(stage.duration_s / stage.period_s * _PIECES_A_PERIOD))
    turns = np.linspace(0, stage.duration_s / stage.period_s, count + 1)
    rates = (low + (high - low) * (1 - np.cos(2 * np.pi * turns)) / 2).tolist()
    return tuple(Piece(stage.duration_s / count, *ends) for ends in pairwise(rates))


def _spike(stage: Spike) -> tuple[Piece, ...]:
    base, peak = _both(stage.spike)
    rest_s = (stage.duration_s - stage.peak_s - 2 * stage.rise_s) / 2
    rise, fall = Piece(stage.rise_s, base, peak), Piece(stage.rise_s, peak, base)
    rest = Piece(rest_s, base, base)
    return rest, rise, Piece(stage.peak_s, peak, peak), fall, rest


def visiting_order(stage: Levels) -> list[float]:
    """The rates of all visits in order: round by round, each round a seeded shuffle of all levels.

    Shuffled within rounds (randomised blocks) and not as a whole: a service that warms up or leaks then meets every
    level early and late, so that time and rate stay apart.
    """
    rng = random.Random(stage.seed)  # noqa: S311  an experiment's order, no secret
    rates = [_tps(rate) for rate in stage.levels]
    return [rate for _ in range(stage.visits) for rate in rng.sample(rates, len(rates))]
