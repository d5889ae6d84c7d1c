"""The truth benchmark in its short form, with bounds as wide as a few seconds on a busy machine need."""

import uvloop

from benchmarks.truth import NOTABLE_SHARE, measure


def test_every_notable_function_is_found_with_about_the_cpu_that_it_used() -> None:
    result = uvloop.run(measure("async", "austin", seconds=4, rates_tps=(200, 400)))
    notable = {name for name, share in result.shares.items() if share >= NOTABLE_SHARE}
    assert {"grows", "build_page", "sort_rows"} <= notable
    for name in notable:
        assert 0.5 < result.ratios[name] < 1.7, result
