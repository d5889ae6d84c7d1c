"""One rate of a search, judged by the windows that the load published of it."""

import numpy as np
import pyarrow as pa
import pytest

from loadflame.limit import Step, judged_step
from producers.load.recorder import Recorder
from schemas.rows import RequestFacts
from schemas.thresholds import parse_threshold

S = 1_000_000
FIRST = 1_000


def step(
    *thresholds: str,
    latency_us: int = 5_000,
    failed: int = 0,
    dropped: int = 0,
    lag_us: int = 10,
    answered: int = 100,
    head: int = 0,
) -> Step:
    """Nine seconds at 100 requests a second; in the first three everything is ten times as slow."""
    recorder = Recorder(["search", "buy"], ["find"], window_us=S)
    batches: list[tuple[int, pa.RecordBatch, RequestFacts]] = []
    for second in range(9):
        start_us = (FIRST + second) * S
        for number in range(answered):
            took_us = latency_us * (10 if second < 3 else 1)
            error = "timeout" if number < failed else None
            end_us = start_us + min(took_us + lag_us, S - 1)
            status = 200 if error is None else head
            row = (number % 2, 0, start_us, start_us + lag_us, start_us + lag_us, end_us, status)
            recorder.ended(*row, error, 1, 1)
        facts = RequestFacts(engine="wire", scheduled=100, sent=100 - dropped, dropped=dropped)
        batches.append((FIRST + second, recorder.take(FIRST + second).rows, facts))
    return judged_step(
        batches, ["search", "buy"], [parse_threshold(one) for one in thresholds], tps=100, each_s=9.0, window_us=S
    )


def test_a_rate_that_holds_is_judged_by_what_came_after_settling() -> None:
    one = step("p99 < 20ms", "errors < 1%")
    assert (one.broken, one.late, one.achieved_tps) == (None, False, 100)
    assert one.p99_ms == pytest.approx(5.01, rel=0.02)


@pytest.mark.parametrize(
    ("thresholds", "what", "broken"),
    [
        (["p99 < 4ms"], {}, "p99 < 4ms"),
        (["p99(buy) < 4ms"], {}, "p99(buy) < 4ms"),
        ([], {"failed": 2}, "errors < 1%"),
        (["errors < 3%"], {"failed": 2}, None),
        (["p99 < 900ms"], {"dropped": 2}, "p99 < 900ms"),  # those would have taken longer than anything seen
        ([], {"answered": 90}, "95% of what was offered got through"),
        (["p99 < 900ms", "errors < 3%"], {"failed": 2}, "p99 < 900ms"),  # no answer: a bound, as a drop is
        (["p99 < 900ms", "errors < 3%"], {"failed": 2, "head": 200}, "p99 < 900ms"),  # also when its head had come
        (["tps > 200"], {}, None),  # a rate is not broken by being low
    ],
)
def test_what_breaks_a_rate(thresholds: list[str], what: dict[str, int], broken: str | None) -> None:
    assert step(*thresholds, **what).broken == broken


def test_a_generator_that_is_late_says_nothing_of_the_service() -> None:
    assert step(lag_us=20_000).late
    assert not step(lag_us=9_000).late


def test_a_rate_at_which_nothing_came_back_did_not_hold() -> None:
    one = step(answered=0)
    assert one.broken is not None
    assert one.p99_ms is None or np.isfinite(one.p99_ms)
