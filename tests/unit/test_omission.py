"""What the benchmark of coordinated omission compares with, against a simulation of the same stalls."""

import numpy as np
import pytest

from analysis.statistics.percentiles import Percentile
from benchmarks.omission import PERIOD_S, QUANTILES, STALL_S, Figures, agree, expected_drop_share, expected_us


def waits_us(tps: float, periods: int) -> np.ndarray:
    at_s = (np.arange(tps * PERIOD_S * periods) + 0.5) / tps % PERIOD_S
    return np.where(at_s > PERIOD_S - STALL_S, PERIOD_S - at_s, 0.0) * 1e6


@pytest.mark.parametrize(("q", "expected"), [(0.5, 0), (0.9, 0), (0.95, 250e3), (0.99, 450e3), (0.999, 495e3)])
def test_a_quantile_is_what_is_left_of_the_stall(q: float, expected: float) -> None:
    assert expected_us(q) == pytest.approx(expected, abs=1e-3)
    assert np.quantile(waits_us(1000, 4), q) == pytest.approx(expected, abs=1_500)


def test_of_each_stall_the_first_wait_and_the_rest_is_dropped() -> None:
    waiting = np.count_nonzero(waits_us(200, 3))
    assert expected_drop_share(200, 5) == pytest.approx((waiting - 3 * 5) / (200 * PERIOD_S * 3))
    assert expected_drop_share(200, 1000) == 0


def row(p99_us: float, p999_us: float, *, censored: bool = False) -> Figures:
    found = zip(
        QUANTILES, (Percentile(300.0), Percentile(p99_us, censored), Percentile(p999_us, censored)), strict=True
    )
    return Figures("a tool", 1000, dict(found))


@pytest.mark.parametrize(
    ("uncapped", "capped", "wanted"),
    [
        (row(450e3, 495e3), row(4e3, 490e3, censored=True), True),
        (row(470e3, 500e3), row(4e3, 490e3, censored=True), True),
        (row(400e3, 495e3), row(4e3, 490e3, censored=True), False),
        (row(450e3, 495e3), row(4e3, 490e3), False),
        (row(450e3, 495e3), row(600e3, 600e3, censored=True), False),
        (row(450e3, 495e3, censored=True), row(4e3, 490e3, censored=True), False),
    ],
)
def test_only_what_is_near_agrees_and_only_bounds_below_the_truth(
    uncapped: Figures, capped: Figures, *, wanted: bool
) -> None:
    assert agree([uncapped], [capped]) is wanted
