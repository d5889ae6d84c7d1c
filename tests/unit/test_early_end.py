"""When a run is ended early: never by one bad window, by late news, or by a stage that a threshold is not about."""

from math import inf

import pytest

from loadflame.early_end import EarlyEnd, value_in
from schemas.events import EndpointOutcome, WindowJoined
from schemas.thresholds import parse_threshold

STAGE_OF = {"warm": "warm", "map[1]": "map", "map[2]": "map"}


def row(
    stage: str = "map[1]",
    endpoint: str = "search",
    *,
    p99_ms: float | None = 10.0,
    failed: int = 0,
    unanswered: int = 0,
    completed: int = 90,
):
    return EndpointOutcome(
        stage=stage,
        endpoint=endpoint,
        completed=completed,
        failed=failed + unanswered,
        unanswered=unanswered,
        p50_ms=1.0,
        p95_ms=5.0,
        p99_ms=p99_ms,
        p999_ms=40.0,
        mean_ms=2.0,
        max_ms=50.0,
    )


def window(number: int, *rows: EndpointOutcome, p99_ms: float | None = 10.0, dropped: int = 0) -> WindowJoined:
    rows = rows or (row(p99_ms=p99_ms),)
    return WindowJoined(
        run_id="run-1",
        window=number,
        starts_at_us=number * 1_000_000,
        window_us=1_000_000,
        batches_covered=1,
        closed_by="producers",
        stages=sorted({one.stage for one in rows}),
        offered_tps=100.0,
        tps=90.0,
        completed=sum(one.completed for one in rows),
        failed=sum(one.failed for one in rows),
        unanswered=sum(one.unanswered for one in rows),
        dropped=dropped,
        in_flight=0,
        p50_ms=1.0,
        p95_ms=5.0,
        p99_ms=p99_ms,
        p999_ms=40.0,
        mean_ms=2.0,
        max_ms=50.0,
        cpu_us=None,
        profile_coverage=None,
        functions=[],
        endpoints=list(rows),
    )


def note_after(threshold: str, *windows: WindowJoined) -> str:
    early = EarlyEnd([parse_threshold(threshold)], STAGE_OF)
    for one in windows:
        early.hears(one)
    assert early.broken.is_set() == bool(early.note)
    return early.note


SLOW, FAST = 900.0, 10.0


@pytest.mark.parametrize(
    ("p99s_ms", "is_broken"),
    [
        ({1: SLOW, 2: SLOW, 3: SLOW}, True),
        ({1: SLOW, 3: SLOW, 2: SLOW}, True),
        ({1: SLOW, 2: SLOW}, False),
        ({1: SLOW, 2: SLOW, 3: FAST, 4: SLOW, 5: SLOW}, False),
        ({1: SLOW, 2: SLOW, 4: SLOW}, False),
        ({1: SLOW, 2: None, 3: SLOW, 4: SLOW}, False),
    ],
)
def test_a_run_ends_once_so_many_neighbours_in_any_order_were_broken(
    p99s_ms: dict[int, float | None], is_broken: bool
) -> None:
    note = note_after("p99 < 250ms for 3s", *(window(at, p99_ms=p99) for at, p99 in p99s_ms.items()))
    assert note == ("ended early: `p99 < 250ms for 3s` had not held for 3s" if is_broken else "")


def test_late_news_that_a_window_was_well_ends_its_stretch() -> None:
    windows = [window(1, p99_ms=SLOW), window(2, p99_ms=SLOW), window(2, p99_ms=FAST), window(3, p99_ms=SLOW)]
    assert not note_after("p99 < 250ms for 3s", *windows)


@pytest.mark.parametrize(
    ("threshold", "of", "value"),
    [
        pytest.param("p99.9 < 1ms for 1s", window(1), 40.0, id="p99.9"),
        pytest.param("mean < 1ms for 1s", window(1), 2.0, id="the mean"),
        pytest.param("max(search) < 1ms for 1s", window(1), 50.0, id="the longest of an endpoint"),
        # 90 answered and 10 not: p90 is the last that is known
        pytest.param("p50 < 1ms for 1s", window(1, row(unanswered=10)), 1.0, id="half are answered"),
        pytest.param("p95 < 1ms for 1s", window(1, row(unanswered=10)), inf, id="under 95% are answered"),
        pytest.param("p95 < 1ms for 1s", window(1, dropped=10), inf, id="what was dropped is as long as that"),
        pytest.param("p95 < 1ms for 1s", window(1, dropped=4), 5.0, id="few were dropped"),
        pytest.param("p95 < 1ms for 1s", window(1, row(unanswered=3), dropped=3), inf, id="both together"),
        pytest.param("mean < 1ms for 1s", window(1, dropped=1), inf, id="a mean with one of them is a bound"),
        pytest.param("max < 1ms for 1s", window(1, row(unanswered=1)), inf, id="and so is the longest"),
        pytest.param("p95 > 1ms for 1s", window(1, row(unanswered=10)), 5.0, id="from below a bound is enough"),
        pytest.param(
            "p95(pay) < 1ms for 1s",
            window(1, row(), row(endpoint="pay", completed=10), dropped=9),
            5.0,
            id="of nine drops an endpoint with a tenth of what ended bears none",
        ),
        pytest.param(
            "p95(pay) < 1ms for 1s",
            window(1, row(), row(endpoint="pay", completed=10), dropped=10),
            inf,
            id="of ten it bears one, and of ten answers that is p95",
        ),
        pytest.param(
            "p95@map < 1ms for 1s", window(1, row("warm"), row(), dropped=90), 5.0, id="whose they are is not known"
        ),
        pytest.param(
            "p95 < 1ms for 1s", window(1, row(completed=0, p99_ms=None), dropped=5), inf, id="nothing came back at all"
        ),
    ],
)
def test_what_was_dropped_or_not_answered_is_beyond_every_limit(threshold: str, of: WindowJoined, value: float) -> None:
    assert value_in(parse_threshold(threshold), of, STAGE_OF) == value


@pytest.mark.parametrize(
    ("threshold", "of", "value"),
    [
        pytest.param("p99 < 1ms for 1s", window(1, p99_ms=7.0), 7.0, id="a whole window"),
        pytest.param("p99(pay) < 1ms for 1s", window(1, row(), row(endpoint="pay", p99_ms=3.0)), 3.0, id="an endpoint"),
        pytest.param("p99(pay) < 1ms for 1s", window(1), None, id="an endpoint that nobody asked for"),
        pytest.param("p99@map < 1ms for 1s", window(1, row("warm")), None, id="another stage"),
        pytest.param("p99@map < 1ms for 1s", window(1, row("map[1]"), row("map[2]"), p99_ms=8.0), 8.0, id="its visits"),
        pytest.param(
            "p99@map < 1ms for 1s",
            window(1, row("warm", p99_ms=2.0), row(p99_ms=6.0), row(endpoint="pay", p99_ms=4.0)),
            4.0,
            id="of rows that cannot be merged the mildest, from above",
        ),
        pytest.param(
            "p99@map > 1ms for 1s",
            window(1, row("warm", p99_ms=9.0), row(p99_ms=6.0), row(endpoint="pay", p99_ms=4.0)),
            6.0,
            id="and from below",
        ),
        pytest.param("errors < 1% for 1s", window(1, row(failed=10)), 0.1, id="errors"),
        pytest.param("errors(pay) < 1% for 1s", window(1, row(failed=10)), None, id="errors of nobody"),
        pytest.param("dropped < 1% for 1s", window(1, dropped=5), 0.05, id="dropped"),
        pytest.param("tps > 1 for 1s", window(1, row(failed=10)), 90.0, id="answered as asked"),
        pytest.param("tps(pay) > 1 for 1s", window(1), 0.0, id="an endpoint that is not answered"),
        pytest.param("tps@map > 1 for 1s", window(1, row("warm"), row()), None, id="the stage did not fill the window"),
    ],
)
def test_the_value_of_a_window(threshold: str, of: WindowJoined, value: float | None) -> None:
    assert value_in(parse_threshold(threshold), of, STAGE_OF) == pytest.approx(value)


def test_without_thresholds_nothing_is_ever_broken() -> None:
    early = EarlyEnd()
    early.hears(window(1, p99_ms=1e6))
    assert not early.note
