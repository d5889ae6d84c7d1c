import numpy as np
import pytest

from analysis.costs.cost import cost_at, cost_per_request

LEVELS = np.repeat([25.0, 50.0, 100.0, 200.0], 4)
REQUESTS = LEVELS * 5


def test_cost_is_all_cpu_time_over_all_answers() -> None:
    cost = cost_per_request(np.array([100.0, 300.0]), np.array([1.0, 1.0]), np.array([50.0, 50.0]))
    assert cost is not None
    assert cost.us == 200


def test_a_function_that_grows_is_not_uncertain_for_it() -> None:
    """The spread that counts is that between visits of one level; that between levels is the finding itself."""
    growing = cost_per_request(REQUESTS * LEVELS, REQUESTS, LEVELS)
    assert growing is not None
    assert growing.low == pytest.approx(growing.us)
    assert growing.high == pytest.approx(growing.us)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        requests = random.poisson(REQUESTS).astype(float)
        cost = cost_per_request(random.poisson(requests * 0.4) * 1_000.0, requests, LEVELS)
        assert cost is not None
        assert cost.low is not None
        assert cost.high is not None
        held += cost.low <= 400 <= cost.high
    assert 0.91 <= held / 300 <= 0.985


@pytest.mark.parametrize(
    ("cpu_us", "requests", "levels", "us", "has_interval"),
    [
        pytest.param([100.0], [1.0], [50.0], 100, False, id="one block gives no interval"),
        pytest.param([100.0, 120.0], [1.0, 1.0], [50.0, 60.0], 110, True, id="unrepeated rates repeat each other"),
        pytest.param([100.0, 50.0, 9.0], [1.0, 1.0, 0.0], [50.0] * 3, 75, True, id="a block without answers is none"),
    ],
)
def test_what_few_blocks_give(
    cpu_us: list[float], requests: list[float], levels: list[float], us: float, has_interval: bool
) -> None:
    cost = cost_per_request(np.array(cpu_us), np.array(requests), np.array(levels))
    assert cost is not None
    assert cost.us == us
    assert (cost.low is not None) == (cost.high is not None) == has_interval


def test_without_answers_there_is_no_cost() -> None:
    assert cost_per_request(np.array([5.0]), np.array([0.0]), np.array([50.0])) is None


def test_cost_at_one_level_rests_on_its_visits_alone() -> None:
    cost = cost_at(200.0, REQUESTS * LEVELS, REQUESTS, LEVELS)
    assert cost is not None
    assert cost.us == 200
