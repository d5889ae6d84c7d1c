from dataclasses import replace

import numpy as np
import pytest

from analysis.bounds.capacity import Modelled, modelled
from analysis.bounds.sizing import Sizing, sizing
from analysis.bounds.sizing_findings import right_size
from analysis.costs.growth import Experiment
from tests.support.experiments import Costs, experiment, service

FLAT = service(sweep=lambda _: 400.0)
EACH_US = 60 + 90 + 40 + 350 + 400 + 20 + 120
FOUR = [1.0, 1.0, 1.0, 1.0]


def levels(costs: Costs = FLAT) -> tuple[Experiment, Modelled]:
    _, measured = experiment(costs)
    model = modelled(measured, {}, seed=1)
    assert model is not None
    return measured, model


def steady(tps: float = 200) -> Experiment:
    random = np.random.default_rng(3)
    rates = np.full(12, tps)
    return Experiment(
        tps=rates,
        level_tps=rates,
        minutes=np.arange(12.0),
        seconds=np.full(12, 10.0),
        completed=rates * 10,
        cpu_us=rates * 10 * 4_000 * random.normal(1, 0.05, 12),
        randomised=False,
    )


def sized(at_tps: float | None = None, workers: list[float] = FOUR) -> Sizing:
    measured, model = levels()
    found = sizing(measured, "levels", model, workers, at_tps=at_tps, host_cores=8)
    assert found is not None
    return found


@pytest.mark.parametrize("tps", [100, 200, 400])
def test_the_cores_of_a_rate_are_what_it_costs(tps: float) -> None:
    found = sized(tps)
    truth = EACH_US * tps / 1e6 + 0.012
    assert found.cores == pytest.approx(truth, rel=0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low * 0.97 <= truth <= found.high * 1.03


def test_by_default_it_is_the_highest_rate_that_was_measured() -> None:
    assert sized().tps == 320


def test_growth_is_part_of_it() -> None:
    stacks, measured = experiment(service(sweep=lambda tps: 4 * tps), seconds=8.0)
    sweep_us = measured.cpu_us * stacks.inclusive()[stacks.functions.index("sweep")] / stacks.total
    found = sizing(measured, "levels", modelled(measured, {"sweep": sweep_us}, seed=1), [1.0], at_tps=600)
    assert found is not None
    assert found.cores == pytest.approx(0.012 + (680 + 4 * 600) * 600 / 1e6, rel=0.08)


def test_workers_that_would_be_idle_are_too_many() -> None:
    found = sized()
    assert (found.workers, found.needed, found.too_many) == (4, 1, 3)


def test_a_process_that_does_nothing_is_no_worker() -> None:
    assert sized(workers=[1.0, 1.0, 0.001]).workers == 2


def test_a_steady_rate_speaks_for_its_neighbours_only() -> None:
    found = sizing(steady(), "steady", None, FOUR)
    assert found is not None
    assert found.cores == pytest.approx(0.8, rel=0.05)
    assert found.low is not None
    assert found.low < 0.8 * 1.05
    assert (found.workers, found.needed) == (4, 2)
    nearby = sizing(steady(), "steady", None, FOUR, at_tps=250)
    assert nearby is not None
    assert nearby.cores == pytest.approx(found.cores * 250 / 200)
    assert sizing(steady(), "steady", None, FOUR, at_tps=400) is None


def test_what_the_load_limited_is_not_sized_and_neither_is_what_lies_far_off() -> None:
    measured, model = levels()
    assert sizing(measured, "unfit", model, FOUR) is None
    assert sizing(measured.at(measured.tps < 0), "levels", model, FOUR) is None
    assert sizing(measured, "levels", model, FOUR, at_tps=1_000) is None


def test_code_that_lets_go_of_the_lock_has_no_workers_of_one_core() -> None:
    found = sizing(replace(steady(), cpu_us=steady().cpu_us * 3), "steady", None, [1.0], host_cores=8)
    assert found is not None
    assert (found.workers, found.needed, found.too_many) == (None, None, 0)
    assert right_size("shop", found).summary.endswith(" cores; its host has 8.")


@pytest.mark.parametrize(
    ("workers", "needed", "end"),
    [
        (4, 2, "; it has 4 workers, and 2 would be 70% busy at most: 2 are too many."),
        (3, 2, "; it has 3 workers, and 2 would be 70% busy at most: 1 is too many."),
        (1, 1, "; its 1 worker is 70% busy at most, which is right."),
        (1, 2, "; its 1 worker would be over 70% busy: it takes 1 more to have headroom."),
    ],
)
def test_sentences(workers: int, needed: int, end: str) -> None:
    found = Sizing(200, 0.8, 0.7, 0.9, workers, needed, 8, highest_tps=200)
    assert right_size("shop", found).summary == f"At 200 TPS shop needs 0.80 [0.70, 0.90] cores{end}"


def test_a_rate_that_was_not_tried_is_said_to_be_reckoned() -> None:
    found = Sizing(300, 1.2, None, None, None, None, None, highest_tps=200)
    assert right_size("shop", found).summary == (
        "At 300 TPS shop needs 1.2 cores (reckoned from 200 TPS, the highest that was measured)."
    )
