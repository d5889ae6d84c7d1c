"""How stages become segments: no gaps, every level as often, early as well as late."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.plan import Plan, Request
from producers.load.segments import segments_of
from producers.load.stages import Hold, Levels, Ramp


def segments(*stages):
    return segments_of(Plan(target="http://h", stages=stages, requests=[Request(name="r", path="/")]))


def test_a_hold_and_a_ramp_are_one_segment_each_labelled_by_the_stage():
    hold, ramp = segments(Hold(name="warm", hold=50, for_s=2.0), Ramp(name="up", ramp=(50, 200), for_s=4.0))
    assert (hold.label, hold.form, hold.visit, hold.offset_s, hold.duration_s) == ("warm", "hold", 0, 0.0, 2.0)
    assert (hold.rate_from_tps, hold.rate_to_tps, hold.arrivals) == (50, 50, 100)
    assert (ramp.label, ramp.form, ramp.visit, ramp.offset_s, ramp.end_s) == ("up", "ramp", 0, 2.0, 6.0)
    assert (ramp.rate_from_tps, ramp.rate_to_tps, ramp.arrivals) == (50, 200, 500)


def test_visits_are_numbered_in_their_order_of_time_and_carry_the_number_in_the_label():
    visits = segments(Levels(name="map", levels=(10, 20), visits=2, each_s=3.0, seed=1))
    assert [segment.label for segment in visits] == ["map[1]", "map[2]", "map[3]", "map[4]"]
    assert [segment.visit for segment in visits] == [1, 2, 3, 4]
    assert [segment.offset_s for segment in visits] == [0.0, 3.0, 6.0, 9.0]
    assert all(s.rate_from_tps == s.rate_to_tps and s.form == "level" and s.stage == "map" for s in visits)
    assert {segment.settle_s for segment in visits} == {0.75}


levels_stages = st.builds(
    Levels,
    name=st.just("map"),
    levels=st.lists(st.floats(1, 1000), min_size=1, max_size=6, unique=True).map(tuple),
    visits=st.integers(1, 8),
    each=st.floats(0.01, 10.0),  # by its key in YAML, which is what `builds` sees
    seed=st.integers(0, 1000),
)


@given(stage=levels_stages)
def test_every_round_of_visits_holds_every_level_once(stage):
    rates = [segment.rate_from_tps for segment in segments(stage)]
    rounds = [rates[i : i + len(stage.levels)] for i in range(0, len(rates), len(stage.levels))]
    assert [Counter(round_) for round_ in rounds] == [Counter(stage.levels)] * stage.visits


@given(stage=levels_stages)
def test_the_order_hangs_on_the_seed_alone(stage):
    assert segments(stage) == segments(stage)


def test_another_seed_is_another_order():
    orders = {
        tuple(s.rate_from_tps for s in segments(Levels(name="m", levels=(1, 2, 3, 4), visits=3, each_s=1.0, seed=seed)))
        for seed in range(20)
    }
    assert len(orders) > 15


@given(stages=st.lists(st.floats(0.001, 50.0), min_size=1, max_size=8))
def test_there_are_no_gaps_between_segments(stages):
    made = segments(*(Hold(name=f"s{i}", hold=1, for_s=length) for i, length in enumerate(stages)))
    assert made[0].offset_s == 0
    assert all(after.offset_s == before.end_s for before, after in pairwise(made))


@pytest.mark.parametrize(("each", "settle", "expected"), [(8.0, None, 1.0), (2.0, None, 0.5), (8.0, 3.0, 3.0)])
def test_a_visit_settles_for_a_second_and_at_most_a_quarter_unless_the_plan_says_how_long(each, settle, expected):
    assert Levels(name="m", levels=(1,), each_s=each, settle=settle).settle_s == expected
