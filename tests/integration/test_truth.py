"""The truth benchmark in its short form, with bounds as wide as a few seconds on a busy machine need."""

import pytest
import uvloop

from benchmarks.truth import NOTABLE_SHARE, Effort, measure


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(
    ("kind", "backend", "low_s"),
    [("async", "py-spy", 0), ("threads", "austin", 0), ("processes", "austin", 3)],
)
def test_every_notable_function_is_found_with_about_the_cpu_that_it_used(kind: str, backend: str, low_s: float) -> None:
    """Each kind of service and each sampler once. A slice of three seconds is watched and one is not, at the high rate;
    of processes another at the low rate.
    """
    result = uvloop.run(measure(kind, backend, Effort(pairs=1, longer_s=0, low_s=low_s)))
    notable = {name for name, share in result.shares.items() if share >= NOTABLE_SHARE}
    assert {"grows", "build_page", "sort_rows"} <= notable
    for name in notable:
        assert result.found[name].value > 0.2, result
        assert result.found[name].says(0.5, 1.6) != "OUTSIDE", result
    assert 0 < result.cost.value < 0.3, result
    assert -0.5 < result.slow_down.value < 1.0, result
    assert set(result.rates) == ({"all", *result.found} if low_s else set())
    if low_s:
        assert 0.4 < result.rates["all"].value < 2.5, result
