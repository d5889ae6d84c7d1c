from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.costs.folding import growths
from analysis.costs.growth import Experiment
from analysis.evidence.stacks import StackCounts
from analysis.over_time.with_time import growing_with_time, told
from tests.support.experiments import experiment, service


def run(seed: int, more: Callable[[np.ndarray], np.ndarray], **setting: float) -> tuple[StackCounts, Experiment]:
    """A service whose `sweep` costs so many times more at each visit; its share along the run goes in."""
    stacks, measured = experiment(service(sweep=lambda _: 400.0), seed=seed, seconds=6.0, **setting)
    along = measured.minutes / measured.minutes.max()
    factor = more(along)
    on = np.array([label == "sweep" for label in stacks.leaves])
    share = stacks.counts[on].sum(axis=0) / stacks.total
    counts = stacks.counts.copy()
    counts[on] = np.random.default_rng(seed).poisson(counts[on] * factor)
    return replace(stacks, counts=counts), replace(measured, cpu_us=measured.cpu_us * (1 + share * (factor - 1)))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(lambda along: 1 + 2 * along, id="a list that is filled steadily"),
        pytest.param(lambda along: np.exp(1.2 * along), id="by a factor"),
        pytest.param(lambda along: 0.2 + 4 * along, id="from almost nothing"),
    ],
)
def test_what_grows_with_time_is_told_so_and_never_called_superlinear(more) -> None:
    for seed in range(10):
        stacks, measured = run(seed, more)
        found = growing_with_time(stacks, measured)
        assert [one.function for one in found] == ["sweep"]
        assert found[0].low <= found[0].rise <= found[0].high
        assert growths(stacks, measured).culprits == ()


def test_a_service_that_does_neither_is_left_alone() -> None:
    found = [growing_with_time(*run(seed, np.ones_like)) for seed in range(40)]
    assert sum(bool(one) for one in found) <= 1


def test_what_grows_with_the_rate_does_not_grow_with_time() -> None:
    for seed in range(10):
        assert growing_with_time(*experiment(service(sweep=lambda tps: 4 * tps), seed=seed)) == ()


def test_along_a_ramp_nothing_is_told() -> None:
    assert growing_with_time(*experiment(service(sweep=lambda tps: 4 * tps), randomised=False)) == ()


def test_the_sentence() -> None:
    finding = told(growing_with_time(*run(1, lambda along: 1 + 2 * along))[0])
    assert finding.kind == "drift"
    assert finding.summary.startswith("`sweep`, in its own code, gets dearer with time and not with the rate: by ")
    assert finding.evidence["measure"] == "function"
