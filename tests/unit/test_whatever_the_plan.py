"""What holds of every plan: arrivals in order, as many as the rate's integral, and shards that sum to the whole.

The integrals are those of the forms as people think of them (base times height), not the ones that segments work out.
"""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import pi, sin

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.load.crowd import stints_of
from producers.load.pacer import Pacer
from producers.load.plan import Plan
from producers.load.pump import NEVER, Pump
from producers.load.recorder import Recorder
from producers.load.segments import Segment, segments_of
from producers.load.shards import WHOLE, Shard
from producers.load.stages import Hold, Levels, Ramp, Sine, Soak, Spike, Step, Users

START_US = 1_700_000_000_000_000


def integral_of_sine(stage: Sine) -> float:
    low, high = stage.sine
    turns = 2 * pi * stage.for_s / stage.period_s
    return low * stage.for_s + (high - low) / 2 * (stage.for_s - stage.period_s / (2 * pi) * sin(turns))


INTEGRALS: dict[type, Callable] = {
    Hold: lambda stage: stage.hold * stage.for_s,
    Soak: lambda stage: stage.soak * stage.for_s,
    Ramp: lambda stage: sum(stage.ramp) / 2 * stage.for_s,
    Step: lambda stage: sum(stage.step) / 2 * stage.steps * stage.each_s,
    Levels: lambda stage: sum(stage.levels) * stage.visits * stage.each_s,
    Spike: lambda stage: (
        stage.spike[0] * stage.for_s + (stage.spike[1] - stage.spike[0]) * (stage.peak_s + stage.rise_s)
    ),
    Sine: integral_of_sine,
    Users: lambda _: 0.0,
}
SINE_OFF = 0.0008
"""A sine is made of chords; see `segments`. The part of its swing that a stretch of it may be off."""

rates = st.one_of(st.sampled_from([0.0, 1.0, 100.0]), st.floats(0, 300))
lengths = st.one_of(st.sampled_from([0.1, 0.3, 1.0, 2.5]), st.floats(0.01, 3.0))
forms = st.one_of(
    st.builds(lambda rate, length: {"hold": rate, "for": length}, rates, lengths),
    st.builds(lambda rate, length: {"soak": rate, "for": length}, rates, lengths),
    st.builds(lambda ends, length: {"ramp": ends, "for": length}, st.tuples(rates, rates), lengths),
    st.builds(
        lambda ends, steps, each: {"step": ends, "steps": steps, "each": each},
        st.tuples(rates, rates),
        st.integers(2, 7),
        st.floats(0.01, 0.5),
    ),
    st.builds(
        lambda levels, visits, each, seed, modulate: {
            "levels": levels,
            "visits": visits,
            "each": each,
            "seed": seed,
            "modulate": modulate,
        },
        st.lists(st.floats(0.5, 300), min_size=1, max_size=4, unique=True),
        st.integers(1, 5),
        st.floats(0.01, 0.5),
        st.integers(0, 9),
        st.booleans(),
    ),
    st.builds(
        lambda ends, rest, peak, rise: {"spike": ends, "for": rest + peak + 2 * rise, "peak": peak, "rise": rise},
        st.tuples(rates, rates),
        *[st.floats(0.05, 1.0)] * 3,
    ),
    st.builds(
        lambda ends, period, turns: {"sine": ends, "period": period, "for": period * turns},
        st.tuples(rates, rates),
        st.floats(0.2, 2.0),
        st.floats(0.1, 3.0),
    ),
    st.builds(
        lambda users, think, length: {"users": users, "think": think, "for": length},
        st.integers(1, 50),
        st.sampled_from([0, 0.1]),
        lengths,
    ),
)
weights = st.lists(st.one_of(st.integers(1, 9).map(float), st.floats(0.01, 100)), min_size=1, max_size=4)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    stages = draw(st.lists(forms, min_size=1, max_size=5))
    return Plan.model_validate(
        {
            "target": "http://127.0.0.1",
            "stages": [{"name": f"s{number}"} | stage for number, stage in enumerate(stages)],
            "requests": [
                {"name": f"r{number}", "path": "/", "weight": weight} for number, weight in enumerate(draw(weights))
            ],
            "arrivals": draw(st.sampled_from(["even", "poisson"])),
            "seed": draw(st.integers(0, 99)),
        }
    )


def pacer_of(plan: Plan, segments: tuple[Segment, ...]) -> Pacer:
    return Pacer(segments, plan.seed if plan.arrivals == "poisson" else None)


@given(plan=plans())
def test_arrivals_come_in_order_each_in_its_own_segment(plan: Plan) -> None:
    segments = segments_of(plan)
    pacer = pacer_of(plan, segments)
    numbers = np.arange(pacer.total)
    due, at = pacer.due_us(numbers), pacer.segment_of(numbers)
    assert (np.diff(due) >= 0).all()
    assert (np.diff(at) >= 0).all()
    starts, ends = (np.array([getattr(s, name) for s in segments]) * 1e6 for name in ("offset_s", "end_s"))
    assert ((starts[at] - 1 <= due) & (due <= ends[at] + 1)).all()


@given(plan=plans())
def test_there_are_as_many_arrivals_as_the_integral_of_the_rate_within_one(plan: Plan) -> None:
    segments = segments_of(plan)
    pacer = pacer_of(plan, segments)
    wanted = sum(INTEGRALS[type(stage)](stage) for stage in plan.stages)
    curved = sum(
        abs(stage.sine[1] - stage.sine[0]) * stage.period_s for stage in plan.stages if isinstance(stage, Sine)
    )
    assert abs(pacer.total - wanted) <= 1 + SINE_OFF * curved + 1e-6
    if plan.arrivals == "even":
        counts = np.bincount(pacer.segment_of(np.arange(pacer.total)), minlength=len(segments))
        assert (np.abs(counts - [segment.arrivals for segment in segments]) <= 1).all()


class NotingEngine:
    """Notes what it is told to send; every request ends at once."""

    name = "noting"
    in_flight = 0

    def __init__(self) -> None:
        self.fired: list[tuple[int, int, int]] = []

    async def open(self) -> None:
        pass

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        self.fired.append((endpoint, stage, due_us))

    async def close(self) -> None:
        pass


class AtTheEnd:
    """A clock for which all is over."""

    def now_us(self) -> int:
        return NEVER


def fired(plan: Plan, shard: Shard) -> list[tuple[int, int, int]]:
    """Endpoint, segment and due time of each arrival of the open model that a load with this part of the plan fires."""
    segments, engine = segments_of(plan), NotingEngine()
    pump = Pump(
        pacer_of(plan, segments),
        [segment.weights for segment in segments],
        engine=engine,
        recorder=Recorder([one.name for one in plan.requests], [one.label for one in segments], window_us=1_000_000),
        clock=AtTheEnd(),
        start_us=START_US,
        max_in_flight=1,
        shard=shard,
    )
    pump.dispatch(NEVER - 1)
    return engine.fired


@settings(deadline=None, max_examples=30)  # each fires a plan up to eight times over
@given(plan=plans(), count=st.integers(1, 7))
def test_any_split_over_shards_sums_to_the_whole(plan: Plan, count: int) -> None:
    whole = fired(plan, WHOLE)
    parts = [fired(plan, Shard(index, count)) for index in range(count)]
    assert Counter(arrival for part in parts for arrival in part) == Counter(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part in (whole, *parts):
        assert all(before[2] <= after[2] for before, after in pairwise(part))


@given(plan=plans(), count=st.integers(1, 7))
def test_shards_share_the_users_of_every_stage(plan: Plan, count: int) -> None:
    segments = segments_of(plan)
    whole = stints_of(segments, START_US, WHOLE)
    parts = [stint for index in range(count) for stint in stints_of(segments, START_US, Shard(index, count))]
    assert [stint.users for stint in whole] == [stage.users for stage in plan.stages if isinstance(stage, Users)]
    users: Counter[tuple[int, int, int, int]] = Counter()
    for stint in parts:
        users[stint.segment, stint.from_us, stint.to_us, stint.think_us] += stint.users
    assert users == {(one.segment, one.from_us, one.to_us, one.think_us): one.users for one in whole}
