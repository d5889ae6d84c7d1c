"""How stages become segments: no gaps, every level as often, early as well as late."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.plan import Plan, Request
from producers.load.segments import segments_of
from producers.load.stages import Hold, Levels, Ramp, Sine, Soak, Spike, Step


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


def test_a_staircase_is_a_hold_a_step():
    steps = segments(Step(name="up", step=(20, 100), steps=5, each_s=2.0))
    assert [(s.label, s.form, s.rate_from_tps, s.offset_s) for s in steps] == [
        (f"up[{n + 1}]", "hold", 20.0 * (n + 1), 2.0 * n) for n in range(5)
    ]


def test_a_spike_has_its_peak_in_the_middle():
    (spike,) = segments(Spike(name="s", spike=(10, 1000), for_s=20.0, peak_s=4.0, rise_s=1.0))
    assert [(p.duration_s, p.rate_from_tps, p.rate_to_tps) for p in spike.pieces] == [
        (7.0, 10, 10),
        (1.0, 10, 1000),
        (4.0, 1000, 1000),
        (1.0, 1000, 10),
        (7.0, 10, 10),
    ]


def test_a_soak_is_a_hold_for_long():
    (soak,) = segments(Soak(name="s", soak=300, for_s=86_400.0))
    assert (soak.form, soak.arrivals) == ("hold", 300 * 86_400)


@given(low=st.floats(0, 500), swing=st.floats(0, 500), period=st.floats(1.0, 100.0), turns=st.integers(1, 40))
def test_a_sine_has_the_mean_of_its_ends_over_whole_periods_and_stays_between_them(low, swing, period, turns):
    (sine,) = segments(Sine(name="s", sine=(low, low + swing), period_s=period, for_s=period * turns))
    assert sine.arrivals == pytest.approx((low + swing / 2) * period * turns, rel=1e-6, abs=1e-6)
    rates = [piece.rate_from_tps for piece in sine.pieces]
    assert min(rates) == pytest.approx(low, abs=1e-9)
    assert max(rates) <= low + swing + 1e-9


def test_half_a_sine_is_within_a_thousandth_of_its_integral():
    (sine,) = segments(Sine(name="s", sine=(0, 100), period_s=64.0, for_s=32.0))
    assert sine.arrivals == pytest.approx(50 * 32, rel=1e-3)


def test_of_a_warm_up_nothing_is_left_for_findings():
    warm, hold = segments(Hold(name="w", hold=10, for_s=5.0, role="warm-up"), Hold(name="h", hold=10, for_s=5.0))
    assert (warm.settle_s, hold.settle_s) == (5.0, 0.0)
    assert (warm.role, hold.role) == ("warm-up", "measure")


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"spike": [1, 2], "for": "2s", "peak": "1s"}, "leave no time for the base"),
        ({"sine": [1, 2], "for": "2h", "period": "1s"}, "over 1000 periods"),
        ({"step": [1], "each": "1s"}, "give two rates"),
        ({"hold": 1, "for": "1s", "role": "rest"}, "warm-up"),
    ],
)
def test_a_stage_that_does_not_fit_is_said(stage, said):
    plan = {"target": "http://h", "stages": [{"name": "s"} | stage], "requests": [{"name": "r", "path": "/"}]}
    with pytest.raises(ValueError, match=said):
        Plan.model_validate(plan)
