from dataclasses import replace

import pytest

from analysis.judging.verdict import Course, judge

HEALTHY = Course(
    reason="finished",
    windows=100,
    generator_limited=0,
    host_limited=0,
    ended_requests=5_000,
    lost_rows=0,
    thresholds=(True, True),
)


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        pytest.param({}, "passed", "2 of 2 thresholds held", id="healthy"),
        pytest.param({"thresholds": ()}, "passed", "the run went through; it set no thresholds", id="no thresholds"),
        pytest.param(
            {"thresholds": (), "observed": True},
            "passed",
            "traffic was observed, not loaded; it set no thresholds",
            id="nobody loaded it",
        ),
        pytest.param({"thresholds": (True, False)}, "failed", "1 of 2 thresholds did not hold", id="one broken"),
        pytest.param(
            {"thresholds": (True, None)}, "inconclusive", "1 of 2 thresholds could not be judged", id="one without data"
        ),
        pytest.param({"thresholds": (False, None)}, "failed", "1 of 2 thresholds did not hold", id="broken beats open"),
        pytest.param({"reason": "aborted"}, "aborted", "the run was ended before its plan was through", id="Ctrl-C"),
        pytest.param(
            {"reason": "aborted", "thresholds": (False,)},
            "aborted",
            "the run was ended before its plan was through",
            id="Ctrl-C beats a broken threshold",
        ),
        pytest.param(
            {"reason": "broken", "thresholds": (False,)},
            "failed",
            "1 of 1 thresholds did not hold, which ended the run before its plan was through",
            id="ended early by a threshold",
        ),
        pytest.param({"reason": "error"}, "inconclusive", "a part of loadflame failed during the run", id="our error"),
        pytest.param(
            {"broken": ("I3: 9 scheduled = 8 completed",), "thresholds": (False,)},
            "inconclusive",
            "not every outcome is accounted for: I3: 9 scheduled = 8 completed",
            id="a broken invariant: nothing is known for sure, not even that a threshold broke",
        ),
        pytest.param(
            {"broken": ("I1: a", "I2: b")},
            "inconclusive",
            "not every outcome is accounted for: I1: a; and 1 more",
            id="several broken invariants",
        ),
        pytest.param(
            {"reason": "aborted", "broken": ("I1: a",)},
            "aborted",
            "the run was ended before its plan was through",
            id="Ctrl-C is never a pass",
        ),
        pytest.param({"reason": ""}, "inconclusive", "the run has not ended", id="still on"),
        pytest.param(
            {"reason": "", "thresholds": (False,)}, "failed", "1 of 1 thresholds did not hold", id="on, broken"
        ),
        pytest.param(
            {"windows": 0}, "inconclusive", "no request ended, so there is nothing to judge", id="nothing joined"
        ),
        pytest.param(
            {"ended_requests": 0}, "inconclusive", "no request ended, so there is nothing to judge", id="nothing ended"
        ),
        pytest.param({"generator_limited": 10}, "passed", "2 of 2 thresholds held", id="10% of the windows are borne"),
        pytest.param(
            {"generator_limited": 11},
            "generator-limited",
            "11 of 100 windows were generator-limited",
            id="over 10% are not",
        ),
        pytest.param({"host_limited": 11}, "host-limited", "11 of 100 windows were host-limited", id="the host"),
        pytest.param(
            {"generator_limited": 50, "thresholds": (False,)},
            "generator-limited",
            "50 of 100 windows were generator-limited",
            id="what the generator broke is no failure of the service",
        ),
        pytest.param(
            {"load_processes": 4, "died": 1},
            "inconclusive",
            "1 of 4 load processes died, so part was not sent",
            id="part of the load died",
        ),
        pytest.param(
            {"load_processes": 4, "died": 1, "thresholds": (False,)},
            "inconclusive",
            "1 of 4 load processes died, so part was not sent",
            id="what was not sent is no failure of the service",
        ),
        pytest.param(
            {"reason": "aborted", "died": 1},
            "aborted",
            "the run was ended before its plan was through",
            id="Ctrl-C beats a load that died",
        ),
        pytest.param(
            {"reason": "", "is_broken_off": True},
            "inconclusive",
            "the run was broken off: nobody said its end, and nothing more was heard of it",
            id="a killed session",
        ),
        pytest.param(
            {"lost_rows": 3}, "inconclusive", "3 outcomes were lost on the way to the store", id="green by accident"
        ),
        pytest.param(
            {"lost_rows": 3, "thresholds": (False,)}, "failed", "1 of 1 thresholds did not hold", id="red anyway"
        ),
    ],
)
def test_verdict(changes: dict[str, object], verdict: str, why: str) -> None:
    assert judge(replace(HEALTHY, **changes)) == (verdict, why)
