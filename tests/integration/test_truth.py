"""The truth benchmark in its short form, with bounds as wide as a few seconds on a busy machine need."""

import uvloop

from benchmarks.truth import NOTABLE_SHARE, measure


def test_every_notable_function_is_found_with_about_the_cpu_that_it_used() -> None:
    result = uvloop.run(measure("async", "austin", seconds=3, rates_tps=(200, 400)))
    notable = {name for name, share in result.shares.items() if share >= NOTABLE_SHARE}
    assert {"grows", "build_page", "sort_rows"} <= notable
    for name in notable:
        assert 0.6 < result.ratios[name].value < 1.5, result
    assert 0.6 < result.drifts["all"].value < 1.6, result
    assert 0 < result.agent_share < 0.2, result
