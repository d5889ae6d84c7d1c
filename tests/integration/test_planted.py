"""One planted defect, in a real run of twelve seconds: a service whose function grows, through `loadflame run`."""

import pytest

from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import accused
from benchmarks.planted.playing import play
from benchmarks.planted.results import Task
from benchmarks.planted.serving import Design

SEED = next(seed for seed in range(100) if draw("superlinear", seed).effect == 2.0)
SHORT = Design(levels_tps=(60, 120, 240), visits=2, each_s=2.0, settle_s=1.0, limit_s=4.0)


@pytest.mark.alone
@pytest.mark.broker
@pytest.mark.slow
def test_a_growing_function_is_planted_and_run() -> None:
    """Whether so short a run finds it is chance, and the campaign's affair; its interval does not exclude the truth far
    away, and nobody else is accused.
    """
    result = play(Task("superlinear", SEED, clean=False), SHORT, commit="here")
    assert result.samples > 0
    # Of a busy machine it may say that the host, or the load, was the limit: that accuses no function.
    assert [one for one in accused(result) if "was not the limit but" not in one] == []
    if result.judged and result.growth is not None:
        assert result.growth[2] > 1.2, result
