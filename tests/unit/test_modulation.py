"""How the mix of requests swings from visit to visit: balanced, bounded, and so that every endpoint can be told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.endpoints.attribution import Mix
from producers.load.modulation import mix_stages, modulated
from producers.load.plan import Plan, Request
from producers.load.segments import segments_of
from producers.load.stages import Levels

weights = st.lists(st.floats(0.01, 100), min_size=2, max_size=6)
levels, visits, seeds, swings = st.integers(1, 4), st.integers(2, 9), st.integers(0, 99), st.floats(0.1, 0.9)


def shares(given_weights, count, of_visits, swing=0.9, seed=1):
    swung = modulated(given_weights, levels=count, visits=of_visits, swing=swing, seed=seed)
    return swung / sum(given_weights), np.array(given_weights) / sum(given_weights)


@settings(max_examples=40, deadline=None)
@given(weights, levels, visits, swings, seeds)
def test_the_mean_of_a_level_is_the_plans_mix_and_nobody_swings_further_than_asked(plain, count, of, swing, seed):
    swung, usual = shares(plain, count, of, swing, seed)
    assert swung.sum(axis=2) == pytest.approx(1)
    assert swung.mean(axis=1) == pytest.approx(np.tile(usual, (count, 1)), abs=1e-9)
    assert (swung <= usual * (1 + swing) + 1e-9).all()
    assert (swung >= usual * (1 - swing) - 1e-9).all()


@given(seed=seeds)
def test_each_endpoint_is_up_in_half_of_the_visits_of_each_level_and_no_two_go_together(seed):
    swung, usual = shares((9.0, 2.0, 1.5, 1.0, 0.5), 3, 8, seed=seed)
    signs = np.sign(swung - usual)[:, :, 1:]  # what these have more the first has less
    for level in signs:
        assert level.sum(axis=0).tolist() == [0] * 4
        assert (level.T @ level).tolist() == (8 * np.eye(4)).tolist()


@pytest.mark.parametrize(("endpoints", "of"), [(2, 2), (2, 4), (3, 4), (3, 6), (6, 8), (12, 16), (5, 7)])
def test_one_rate_with_enough_visits_tells_all_endpoints_apart(endpoints, of):
    swung, _ = shares([1.0] * endpoints, 1, of)
    plain = np.full((2, endpoints), 1 / endpoints)  # two visits with the plan's mix leave degrees of freedom
    requests = 1000 * np.concatenate([swung[0], plain]).T
    assert Mix(tuple(map(str, range(endpoints))), requests, np.full(of + 2, 50.0)).tells().all()


def test_two_endpoints_that_share_a_pattern_in_one_level_part_in_the_next():
    swung, _ = shares([1.0] * 6, 4, 4)
    mix = Mix(tuple("abcdef"), 1000 * swung.reshape(16, 6).T, np.repeat([10.0, 20.0, 40.0, 80.0], 4))
    assert mix.tells().all()


@pytest.mark.parametrize(("plain", "of", "swing"), [([3.0], 4, 0.9), ([3.0, 1.0], 1, 0.9), ([3.0, 1.0], 4, 0.0)])
def test_what_has_nothing_to_swing_against_keeps_its_weight(plain, of, swing):
    swung = modulated(plain, levels=2, visits=of, swing=swing, seed=1)
    assert swung.tolist() == [[plain] * of] * 2


def test_the_pattern_hangs_on_the_seed_alone():
    patterns = [shares((3, 2, 1), 4, 4, seed=seed)[0].tolist() for seed in (1, 1, 2)]
    assert patterns[0] == patterns[1] != patterns[2]


def test_so_many_endpoints_that_visits_cannot_tell_them_swing_all_the_same():
    swung, usual = shares([1.0] * 300, 2, 4)
    assert swung.mean(axis=1) == pytest.approx(np.tile(usual, (2, 1)))
    assert np.abs(swung / usual - 1).max() == pytest.approx(0.9)


# In a plan


REQUESTS = tuple(Request(name=name, path="/", weight=weight) for name, weight in (("a", 3.0), ("b", 2.0), ("c", 1.0)))


def test_a_visit_carries_its_mix_and_says_how_far_it_is_swung():
    stage = Levels(name="map", levels=(10, 20, 40), visits=4, each_s=3.0, seed=1, modulate=0.5)
    segments = segments_of(Plan(target="http://h", stages=(stage,), requests=REQUESTS))
    wanted = modulated((3.0, 2.0, 1.0), levels=3, visits=4, swing=0.5, seed=1)
    for place, rate in enumerate(stage.levels):
        found = [one.weights for one in segments if one.rate_from_tps == rate]
        assert found == [tuple(row) for row in wanted[place].tolist()]
    assert {one.modulate for one in segments} == {0.5}


@pytest.mark.parametrize("requests", [REQUESTS, REQUESTS[:1]])
def test_a_visit_that_is_not_swung_has_the_plans_weights_and_says_so(requests):
    swing = 0.0 if len(requests) > 1 else 0.9
    stage = Levels(name="map", levels=(10, 20), visits=2, each_s=3.0, modulate=swing)
    segments = segments_of(Plan(target="http://h", stages=(stage,), requests=requests))
    assert {(one.weights, one.modulate) for one in segments} == {(tuple(one.weight for one in requests), 0.0)}


@pytest.mark.parametrize(("written", "meant"), [(True, 0.9), (False, 0.0), (0.25, 0.25), (0, 0.0)])
def test_modulate_is_a_part_of_the_weights_or_true(written, meant):
    stage = Levels.model_validate({"name": "map", "levels": [1], "each": "1s", "modulate": written})
    assert stage.modulate == meant


def test_a_weight_that_would_swing_below_nothing_is_refused():
    with pytest.raises(ValueError, match=r"less than or equal to 0\.9"):
        Levels.model_validate({"name": "map", "levels": [1], "each": "1s", "modulate": 1.2})


@pytest.mark.parametrize(("endpoints", "stages"), [(1, 0), (2, 1), (12, 1), (13, 0)])
def test_a_made_up_plan_swings_the_mix_where_there_is_something_to_tell_in_few_visits(endpoints, stages):
    assert len(mix_stages(endpoints, 160, visits=8, each="2s")) == stages
