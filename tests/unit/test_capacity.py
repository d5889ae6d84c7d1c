import numpy as np
import pytest
from scipy.optimize import brentq

from analysis.bounds.capacity import Prediction, measured, modelled
from analysis.bounds.ceiling import ceiling
from analysis.costs.folding import growths
from tests.support.experiments import Costs, experiment, service


def true_limit(costs: Costs, cores: float = 1.0) -> float:
    return float(brentq(lambda tps: sum(cost(tps) for cost in costs.values()) * tps / 1e6 - cores, 1, 1e5))


def predicted(costs: Costs, *, cores: float = 1.0, seed: int = 1, **setting: float) -> Prediction:
    stacks, measured_costs = experiment(costs, seed=seed, **setting)
    growing = {
        name: measured_costs.cpu_us * stacks.inclusive()[stacks.functions.index(name)] / stacks.total
        for name in growths(stacks, measured_costs).culprits
    }
    service_as_curves = modelled(measured_costs, growing, seed=1)
    assert service_as_curves is not None
    found = service_as_curves.prediction(cores)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sweep", "fixed"),
    [
        pytest.param(lambda tps: 4 * tps, 12_000.0, id="a list as long as the traffic"),
        pytest.param(lambda tps: 100 + 2.5 * tps, 12_000.0, id="a fixed part and a growing one"),
        pytest.param(lambda tps: 0.012 * tps**2, 12_000.0, id="the cube"),
        pytest.param(lambda _: 400.0, 12_000.0, id="nothing grows"),
        pytest.param(lambda _: 400.0, 80_000.0, id="nothing grows and much is fixed"),
    ],
)
def test_the_limit_is_found_beyond_the_highest_rate_tried(sweep, fixed: float) -> None:
    costs = service(sweep=sweep, fixed_us_per_s=fixed)
    truth = true_limit(costs)
    found = predicted(costs, seconds=8.0)
    assert found.limit.tps == pytest.approx(truth, rel=0.05)
    assert found.limit.low is not None
    assert found.limit.high is not None
    assert found.limit.low * 0.98 <= truth <= found.limit.high * 1.02
    assert found.beyond == pytest.approx(found.limit.tps / 320, rel=0.05)


def test_what_if_the_growing_function_were_linear_is_what_its_clean_twin_does() -> None:
    found = predicted(service(sweep=lambda tps: 4 * tps), seconds=8.0)
    (change,) = found.what_ifs
    twin = true_limit(service(sweep=lambda _: 160.0))
    assert change.function == "sweep"
    assert change.us == pytest.approx(160, rel=0.3)  # some 75 samples at the lowest level
    assert change.limit.tps == pytest.approx(twin, rel=0.06)
    assert change.limit.low is not None
    assert change.limit.high is not None
    assert change.limit.low <= twin <= change.limit.high
    assert found.shares["sweep"] == pytest.approx(4 * found.limit.tps**2 / 1e6, rel=0.1)


def test_two_processes_go_twice_as_far_when_nothing_grows() -> None:
    costs = service(sweep=lambda _: 400.0, fixed_us_per_s=0)
    assert predicted(costs, cores=2.0).limit.tps == pytest.approx(2 * predicted(costs).limit.tps, rel=0.01)


def test_the_same_run_gives_the_same_intervals() -> None:
    costs = service(sweep=lambda tps: 4 * tps)
    assert predicted(costs) == predicted(costs)


def test_a_level_visited_once_gives_a_limit_without_an_interval() -> None:
    found = predicted(service(sweep=lambda _: 400.0), rates=(25, 50, 75, 100, 150, 200), visits=1, hz=4000)
    assert (found.limit.low, found.limit.high) == (None, None)


@pytest.mark.parametrize(
    ("setting", "cores"),
    [
        pytest.param({"rates": (100, 110, 120)}, 1.0, id="rates too close together"),
        pytest.param({}, 1e6, id="a limit out of sight"),
    ],
)
def test_what_cannot_be_told_is_none(setting: dict[str, tuple[float, ...]], cores: float) -> None:
    _, costs = experiment(service(sweep=lambda _: 400.0), **setting)
    curves = modelled(costs, {}, seed=1)
    assert curves is None or curves.prediction(cores) is None


@pytest.mark.parametrize(
    ("cpu_us", "peak_cores", "host_cores", "cores", "words"),
    [
        pytest.param([5e6], 0.7, None, 1.0, "one interpreter lock", id="one process, threads or not"),
        pytest.param([5e6, 5e6], 1.4, None, 2.0, "2 interpreter locks", id="two that share alike"),
        pytest.param([6e6, 2e6], 0.9, None, 4 / 3, "takes 75%", id="the busier of two fills up first"),
        pytest.param([1e4, 5e6, 5e6], 1.4, None, 2.0, "2 interpreter locks", id="a master that only watches"),
        pytest.param([5e6] * 4, 1.4, 2, 2.0, "the host's 2 cores", id="more processes than cores"),
        pytest.param([5e6], 1.6, 2, 2.0, "the host's 2 cores", id="code that releases the lock"),
    ],
)
def test_ceiling(cpu_us: list[float], peak_cores: float, host_cores: int | None, cores: float, words: str) -> None:
    found = ceiling(cpu_us, peak_cores, host_cores)
    assert found is not None
    assert found.cores == pytest.approx(cores, rel=0.01)
    assert words in found.limited_by


@pytest.mark.parametrize(("cpu_us", "peak_cores"), [([5e6], 1.6), ([], 0.0), ([0.0], 0.0)])
def test_no_known_bound_is_none(cpu_us: list[float], peak_cores: float) -> None:
    assert ceiling(cpu_us, peak_cores, None) is None


def test_measured_capacity_is_the_highest_rate_that_held() -> None:
    assert measured([(40.0, True), (160.0, True), (310.0, False)]) == 160
    assert measured([(40.0, False)]) is None
    assert measured([]) is None


def test_shares_of_a_limit_never_exceed_it() -> None:
    found = predicted(service(sweep=lambda tps: 0.05 * tps**2), seconds=8.0)
    assert 0 < found.shares["sweep"] <= 1
    assert np.isfinite(found.limit.tps)
