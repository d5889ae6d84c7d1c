"""Plain traffic: every request in its second, once, with a latency or without, and facts that add up."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.endpoint_names import OTHER
from producers.natural import STAGE, AccessLog, Seen, Tally, observe
from producers.natural.windows import MOST_ENDPOINTS, NaturalWindows
from producers.publisher import MemoryPublisher
from schemas.events import StageEntered
from schemas.precision import UNKNOWN_US

SECOND = 1_000_000
START_US = 1_795_467_601 * SECOND
CLF = "23/Nov/2026:21:00:0{} +0000"


def seen(at_us: int, latency_us: int | None = 10_000, status: int = 200, endpoint: str = "GET /") -> Seen:
    return Seen(START_US + at_us, latency_us, status, "http 500" if status >= 500 else None, endpoint)


def windows_of(tally: Tally) -> NaturalWindows:
    return NaturalWindows(STAGE, start_us=START_US, window_us=SECOND, tally=tally)


def test_a_window_is_handed_on_once_it_is_over_and_an_empty_one_too() -> None:
    windows = windows_of(Tally())
    windows.add(seen(2_500_000))
    assert [rows.num_rows for _, rows in windows.over(START_US + 2_999_999)] == [0, 0]
    (window, rows), *more = windows.over(START_US + 3_000_000)
    assert (window, more) == (START_US // SECOND + 2, [])
    (row,) = rows.to_pylist()
    assert row.pop("scheduled_at").timestamp() == pytest.approx(START_US / 1e6 + 2.49)
    assert (row["status"], row["endpoint"], row["stage"], row["dispatch_lag_us"]) == (200, "GET /", STAGE, 0)
    assert row["latency_us"] == pytest.approx(10_000, rel=0.005)


def test_a_latency_that_nobody_took_is_unknown_and_not_nothing() -> None:
    tally = Tally()
    windows = windows_of(tally)
    windows.add(seen(0, None))
    windows.add(seen(1, 0))
    ((_, rows),) = windows.rest()
    assert rows["latency_us"].to_pylist() == [UNKNOWN_US, 0]
    assert tally.untimed == 1


def test_what_is_told_of_late_counts_in_the_first_window_that_is_open_and_is_counted() -> None:
    tally = Tally()
    windows = windows_of(tally)
    list(windows.over(START_US + 2 * SECOND))
    windows.add(seen(500_000))
    ((window, rows),) = windows.rest()
    assert (window, rows.num_rows) == (START_US // SECOND + 2, 1)
    assert (tally.requests, tally.late) == (1, 1)


def test_what_ended_before_the_beginning_is_none_of_ours() -> None:
    tally = Tally()
    windows = windows_of(tally)
    windows.add(seen(-1))
    assert [rows.num_rows for _, rows in windows.rest()] == [0]
    assert (tally.requests, tally.others) == (0, 1)


def test_what_ends_after_the_end_is_none_of_ours_either() -> None:
    windows = windows_of(tally := Tally())
    windows.until_us = START_US + 10
    windows.add(seen(10))
    windows.add(seen(11))
    assert (tally.requests, tally.others) == (1, 1)


def test_more_endpoints_than_anyone_reads_are_put_together() -> None:
    windows = windows_of(Tally())
    for number in range(MOST_ENDPOINTS + 3):
        windows.add(seen(0, endpoint=f"GET /{number:x}x"))
    ((_, rows),) = windows.rest()
    assert rows["endpoint"].to_pylist().count(OTHER) == 3


@given(st.lists(st.tuples(st.integers(-SECOND, 8 * SECOND), st.integers(0, 2 * SECOND)), max_size=40))
def test_each_request_is_published_once_in_its_window_unless_that_was_handed_on(
    moments: list[tuple[int, int]],
) -> None:
    tally, published = Tally(), Counter[int]()
    windows = windows_of(tally)
    last = START_US // SECOND - 1
    for at_us, told_after_us in sorted(moments, key=sum):
        windows.add(seen(at_us))
        for window, rows in windows.over(START_US + at_us + told_after_us - SECOND):
            assert window == last + 1
            last, published[window] = window, rows.num_rows
    published.update({window: rows.num_rows for window, rows in windows.rest()})
    ours = [at_us for at_us, _ in moments if at_us >= 0]
    assert published.total() == len(ours) == tally.requests
    if not tally.late:
        assert +published == Counter((START_US + at_us) // SECOND for at_us in ours)


class _HandClock:
    def __init__(self) -> None:
        self.time_us = START_US

    def now_us(self) -> int:
        return self.time_us


class _Scripted:
    """A source that tells what it is given, one look after the other, and asks to stop at the end."""

    name, note, behind, settle_us = "access log", "", False, 0

    def __init__(self, looks: Sequence[Sequence[Seen]], stop: asyncio.Event, clock: _HandClock) -> None:
        self.tally = Tally()
        self._clock = clock
        self._looks = list(looks)
        self._stop = stop

    def look(self, now_us: int) -> list[Seen]:
        self._clock.time_us += 50_000
        if not self._looks:
            self._stop.set()
            return []
        return list(self._looks.pop(0))

    def close(self) -> None:
        pass


async def test_traffic_is_published_with_one_final_batch_a_window_totals_that_close_and_one_stage() -> None:
    publisher, stop, start_us = MemoryPublisher(), asyncio.Event(), START_US
    publisher.clock = clock = _HandClock()

    def at(at_us: int, status: int = 200) -> Seen:
        return Seen(start_us + at_us, None, status, "http 500" if status >= 500 else None, "GET /")

    source = _Scripted([[at(1), at(2, 500)], [at(3)], [at(SECOND), at(4 * SECOND)]], stop, clock)
    observed = await observe(
        source, publisher=publisher, run_id="run-1", start_us=start_us, window_us=SECOND, stop=stop, wait_us=100_000
    )
    totals = observed.totals
    assert (totals.scheduled, totals.sent, totals.completed, totals.failed) == (5, 5, 4, 1)
    headers = [batch.header for batch in publisher.batches]
    assert [header.key.window - start_us // SECOND for header in headers] == list(range(5))
    assert [(header.rows, header.final) for header in headers] == [
        (3, True),
        (1, True),
        (0, True),
        (0, True),
        (1, True),
    ]
    assert [header.goodbye for header in headers] == [False] * 4 + [True]
    assert all(batch.facts.scheduled == batch.facts.sent == batch.header.rows for batch in publisher.batches)
    first, last = publisher.events
    assert isinstance(first, StageEntered)
    assert isinstance(last, StageEntered)
    assert first.event_id() == last.event_id()
    assert (first.form, last.starts_at_us, last.ends_at_us) == ("ramp", start_us, observed.ended_at_us)


LINE = '127.0.0.1 - - [{}] "GET /items/7?q=1 HTTP/1.1" {} 5 "-" "x" {}\n'
AT_S = 1_795_467_600  # 23 November 2026, 21:00:00 UTC


@pytest.mark.parametrize(
    ("read_s", "stamp", "ended_s"),
    [
        pytest.param(AT_S + 3.4, "end", AT_S + 3.4, id="read within its second: the time of reading is finer"),
        pytest.param(AT_S + 9.0, "end", AT_S + 3.999999, id="read later: what the log says holds"),
        pytest.param(AT_S + 2.9, "end", AT_S + 3.0, id="the writer's clock is a little ahead"),
        pytest.param(AT_S - 90.0, "end", AT_S - 90.0, id="the writer's clock is out of its mind"),
        pytest.param(AT_S + 9.0, "start", AT_S + 5.999999, id="the line has the time of the beginning"),
    ],
)
def test_a_request_ended_when_its_line_was_read_but_within_the_second_that_the_line_says(
    tmp_path: Path, read_s: float, stamp: str, ended_s: float
) -> None:
    path = tmp_path / "access.log"
    path.write_text("")
    log = AccessLog(path, 0, stamp=stamp)  # type: ignore[arg-type]
    path.write_text(LINE.format(CLF.format(3), 200, "2.000"))
    (found,) = log.look(round(read_s * 1e6))
    assert found == Seen(round(ended_s * 1e6), 2_000_000, 200, None, "GET /items/{id}", 5)
    log.close()


def test_lines_are_counted_by_what_became_of_them_and_what_was_not_understood_is_told(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("")
    log = AccessLog(path, 0, under=("/items",))
    path.write_text(
        LINE.format(CLF.format(3), 200, "")
        + LINE.format(CLF.format(3), 200, "").replace("/items", "/health")
        + "starting up\n"
        + '{"method": "GET", "path": "/items", "status": 503, "duration_ms": 8}\n'
    )
    timed, told = log.look(AT_S * SECOND), log.tally
    assert [(one.status, one.latency_us, one.error) for one in timed] == [(200, None, None), (503, 8_000, "http 503")]
    assert (told.told, told.others, told.unknown) == (4, 1, 1)
    assert log.note == "not understood: 1 of 4 lines (one is no line of an access log: 'starting up')"
    log.close()
