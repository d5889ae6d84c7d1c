"""One planted defect, in a real run of half a minute: a service whose function grows, found by `loadflame run`."""

import pytest

from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import accused, rank
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.playing import play
from benchmarks.planted.results import Task
from benchmarks.planted.serving import Design

SEED = next(seed for seed in range(100) if draw("superlinear", seed).effect == 2.0)
SHORT = Design(levels_tps=(60, 120, 240), visits=3, each_s=2.0, settle_s=1.0, limit_s=4.0)


@pytest.mark.alone
@pytest.mark.broker
@pytest.mark.slow
def test_a_growing_function_is_planted_run_and_found() -> None:
    """On a machine too busy to judge it may say so, and then accuses nobody."""
    result = play(Task("superlinear", SEED, clean=False), SHORT, commit="here")
    assert result.samples > 0
    assert accused(result) == ()
    if result.judged and result.verdict == "passed":
        assert rank(result, KINDS["superlinear"]) in (1, 2), result
        assert result.what_if_tps is not None
        assert result.twin_tps is not None
        assert result.what_if_tps[0] == pytest.approx(result.twin_tps, rel=0.5)
