"""One rate of a search, judged by the windows that the load published of it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from analysis.judging.limit_search import LimitSearch
from loadflame.found import FoundLimit
from loadflame.limit_steps import Step, StepWatch, judged_step
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
    cpu_us: int = 100_000,
    head: int = 0,
    late_in: Sequence[int] = range(9),
) -> Step:
    """Nine seconds at 100 requests a second; in the first three everything is ten times as slow."""
    recorder = Recorder(["search", "buy"], ["find"], window_us=S)
    batches: list[tuple[int, pa.RecordBatch, RequestFacts]] = []
    for second in range(9):
        start_us = (FIRST + second) * S
        late_us = lag_us if second in late_in else 0
        for number in range(answered):
            took_us = latency_us * (10 if second < 3 else 1)
            error = "timeout" if number < failed else None
            end_us = start_us + min(took_us + late_us, S - 1)
            status = 200 if error is None else head
            row = (number % 2, 0, start_us, start_us + late_us, start_us + late_us, end_us, status)
            recorder.ended(*row, error, 1, 1)
        facts = RequestFacts(engine="wire", scheduled=100, sent=100 - dropped, dropped=dropped, generator_cpu_us=cpu_us)
        batches.append((FIRST + second, recorder.take(FIRST + second).rows, facts))
    return judged_step(
        batches, ["search", "buy"], [parse_threshold(one) for one in thresholds], tps=100, count=9, window_us=S
    )


def test_a_rate_that_holds_is_judged_by_what_came_after_settling() -> None:
    one = step("p99 < 20ms", "errors < 1%")
    assert (one.broken, one.late, one.achieved_tps) == (None, None, 100)
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
    assert step(lag_us=20_000).late == "it sent 20 ms late"
    assert step(lag_us=9_000).late is None
    assert step(lag_us=20_000, late_in=[5]).late is None, "one hiccup is borne"
    assert step(lag_us=20_000, late_in=[5, 7]).late == "it sent 20 ms late"
    assert step(cpu_us=950_000).late == "its own core was 95% busy"
    assert step(cpu_us=900_000).late is None


def test_a_rate_at_which_nothing_came_back_did_not_hold() -> None:
    one = step(answered=0)
    assert one.broken is not None
    assert one.p99_ms is None or np.isfinite(one.p99_ms)


def watched(
    each_s: float, *seconds: tuple[int, int, int], failure: tuple[str, int] = ("http 500", 500)
) -> tuple[int, Step]:
    """Seconds of a step at 100 TPS: latency in us, failed and dropped; how many it took, and what came of it."""
    recorder = Recorder(["search"], ["find"], window_us=S)
    watch = StepWatch([], each_s, S)
    batches: list[tuple[int, pa.RecordBatch, RequestFacts]] = []
    for second, (latency_us, failed, dropped) in enumerate(seconds):
        start_us = (FIRST + second) * S
        for number in range(100 - dropped):
            error, status = failure if number < failed else (None, 200)
            row = (0, 0, start_us, start_us, start_us, start_us + min(latency_us, S - 1), status)
            recorder.ended(*row, error, 1, 1)
        facts = RequestFacts(engine="wire", scheduled=100, sent=100 - dropped, dropped=dropped)
        batches.append((FIRST + second, recorder.take(FIRST + second).rows, facts))
        if watch.is_over(batches):
            # What is under way is still waited for.
            batches.append((FIRST + second + 1, recorder.take(FIRST + second + 1).rows, RequestFacts(engine="wire")))
            assert watch.is_over(batches), "and stays so"
            break
    return second + 1, watch.judged(batches, ["search"], 100)


FINE, SLOW, BROKEN = (5_000, 0, 0), (50_000, 0, 0), (5_000, 10, 15)


def test_a_step_is_over_after_its_time_when_it_is_steady() -> None:
    took, step = watched(6, *[SLOW] * 2, *[FINE] * 20)
    assert (took, step.seconds, step.steady, step.broken) == (6, 6, True, None)


def test_a_step_that_is_not_steady_is_held_longer_until_it_is() -> None:
    took, step = watched(6, *[SLOW] * 4, *[FINE] * 20)
    assert 6 < took < 18
    assert (step.steady, step.seconds) == (True, took)


def test_answers_that_never_ended_are_none_by_which_steadiness_is_told() -> None:
    took, _ = watched(3, FINE, (5_000, 100, 0), *[FINE] * 20, failure=("timeout", 200))
    assert took > 3


def test_and_no_longer_than_three_times_its_time() -> None:
    took, step = watched(6, *((5_000 + 5_000 * second, 0, 0) for second in range(30)))
    assert (took, step.seconds, step.steady, step.broken) == (18, 18, False, None)


def test_a_step_that_is_plainly_broken_is_over_after_three_seconds_of_it() -> None:
    took, step = watched(9, FINE, FINE, *[BROKEN] * 20)
    assert (took, step.seconds) == (5, 5)
    assert step.broken == "errors < 1%"


def test_a_few_errors_are_no_reason_to_end_it_early() -> None:
    took, step = watched(6, *[(5_000, 5, 0)] * 20)
    assert (took, step.steady, step.broken) == (6, True, "errors < 1%")


def found(*steps: tuple[float, str | None], note: str = "", **more: float) -> FoundLimit:
    search = LimitSearch(100, **more)
    for tps, broken in steps:
        search.told(tps, held=broken is None)
    return FoundLimit.of(search, [Step(tps, tps, 1.0, broken) for tps, broken in steps], note)


BOUNDED = "no higher rate may be sent there; LOADFLAME_MAX_TPS allows more to another machine"
SENTENCES = [
    (
        found((410, None), (430, "p99 < 50ms"), (410, None), (430, "errors < 1%")),
        "held 410, broke at 430 TPS (p99 < 50ms); the limit lies in [410, 430]",
    ),
    (found(note="the generator was late"), "no rate could be judged; the generator was late"),
    (found((2, "p99 < 50ms"), (1, "p99 < 5ms")), "no rate held, broke at 1 TPS (p99 < 5ms)"),
    (found((100, None), note="the generator was late"), "held 100 TPS, and nothing broke; the generator was late"),
    (
        found((1000, None), (1000, None), highest_tps=1000),
        f"held 1,000 TPS, and nothing broke; {BOUNDED}",
    ),
    (
        found((90, None), (100, "x"), (120, "y"), (100, None)),
        "held 90, broke at 120 TPS (y); the limit lies in [90, 120]; at 100 TPS it held once and broke once",
    ),
    (found(), "no rate could be judged"),
]


@pytest.mark.parametrize(("limit", "sentence"), SENTENCES)
def test_what_was_found_is_one_sentence(limit: FoundLimit, sentence: str) -> None:
    assert limit.sentence == sentence
    assert limit.as_json()["sentence"] == sentence
    assert limit.as_json()["interval"] == limit.interval
