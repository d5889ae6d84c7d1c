"""How outcomes become rows: in the window in which they ended, with figures that add up at every window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.recorder import Recorder
from schemas.precision import latencies_us
from schemas.rows import REQUESTS

SECOND = 1_000_000


def recorder() -> Recorder:
    return Recorder(["search", "checkout"], ["warm", "map[1]", "map[2]"], window_us=SECOND)


def end(into: Recorder, due_us: int, ended_us: int, *, error: str | None = None, **more: int) -> None:
    row = {"endpoint": 0, "stage": 0, "dispatched_us": due_us, "written_us": due_us, "status": 200}
    row |= {"bytes_sent": 1, "bytes_received": 2} | more
    into.ended(due_us=due_us, ended_us=ended_us, error=error, **row)


def test_a_row_says_all_of_a_request_with_its_times_from_the_scheduled_start():
    into = recorder()
    into.arrived(5_000_100, dropped=False)
    into.was_sent(5_000_400)
    into.ended(
        endpoint=1,
        stage=2,
        due_us=5_000_100,
        dispatched_us=5_000_130,
        written_us=5_000_400,
        ended_us=5_009_100,
        status=503,
        error="http 503",
        bytes_sent=321,
        bytes_received=2**33,
    )
    record = into.take(5)
    assert record.rows.schema.equals(REQUESTS)
    (row,) = record.rows.to_pylist()
    assert row.pop("scheduled_at").timestamp() == pytest.approx(5.0001)
    assert row == {
        "dispatch_lag_us": 30,
        "write_lag_us": 324,  # 300, rounded as lags are (see schemas.precision)
        "latency_us": 8_993,  # 9,000, rounded as latencies are
        "status": 503,
        "error": "http 503",
        "endpoint": "checkout",
        "bytes_sent": 321,
        "bytes_received": 2**33,
        "stage": "map[2]",
    }
    assert (record.scheduled, record.sent, record.dropped, record.failed, record.in_flight) == (1, 1, 0, 1, 0)


def test_a_request_belongs_to_the_window_in_which_it_ended():
    into = recorder()
    into.arrived(5_999_999, dropped=False)
    end(into, 5_999_999, 6_000_000)
    before, after = into.take(5), into.take(6)
    assert (before.scheduled, before.rows.num_rows, before.in_flight) == (1, 0, 1)
    assert (after.scheduled, after.rows.num_rows, after.in_flight) == (0, 1, 0)


def test_what_fell_due_before_a_border_counts_before_it_though_the_generator_is_late():
    into = recorder()
    end(into, 4_500_000, 6_000_001)
    into.arrived(5_999_000, dropped=False)
    into.arrived(5_999_500, dropped=True)
    record = into.take(5)
    assert (record.scheduled, record.dropped) == (2, 1)


def test_a_window_without_anything_is_empty_and_whole():
    record = recorder().take(7)
    assert record.rows.schema.equals(REQUESTS)
    assert (record.rows.num_rows, record.scheduled, record.sent, record.dropped, record.in_flight) == (0, 0, 0, 0, 0)


def test_nothing_is_recorded_into_a_window_that_was_given_away():
    into = recorder()
    into.take(5)
    with pytest.raises(AssertionError, match="given away before its time was over"):
        into.arrived(5_500_000, dropped=False)


def test_rows_come_by_stage_endpoint_and_time_and_each_keeps_its_own_stage_endpoint_and_error():
    into = recorder()
    for index in range(1000):
        into.arrived(index, dropped=False)
        end(into, index, 500_000 + index, stage=index % 3, endpoint=index % 2, error=None if index % 10 else "timeout")
    rows = into.take(0).rows
    rows.validate(full=True)
    assert rows.column("latency_us").to_pylist() == latencies_us(np.full(1000, 500_000)).tolist()
    got = list(
        zip(*(rows.column(name).to_pylist() for name in ("stage", "endpoint", "scheduled_at", "error")), strict=True)
    )
    assert got == sorted(got, key=lambda row: row[:3])
    by_time = sorted(got, key=lambda row: row[2])
    assert [row[0] for row in by_time] == ["warm", "map[1]", "map[2]"] * 333 + ["warm"]
    assert [row[1] for row in by_time] == ["search", "checkout"] * 500
    assert [row[3] for row in by_time] == [None if index % 10 else "timeout" for index in range(1000)]


def test_only_the_stages_of_a_window_travel_with_it():
    into = Recorder(["r"], [f"map[{i}]" for i in range(30_000)], window_us=SECOND)
    end(into, 10, 20, stage=29_999)
    column = into.take(0).rows.column("stage")
    assert (column.to_pylist(), len(column.dictionary)) == (["map[29999]"], 1)


def test_a_latency_beyond_an_hour_is_kept_at_the_most_that_a_row_can_say():
    into = recorder()
    end(into, 0, 2**33)
    assert into.take(2**33 // SECOND).rows.column("latency_us").to_pylist() == latencies_us(np.array([2**32])).tolist()


@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, 5 * SECOND), st.one_of(st.none(), st.integers(0, 4 * SECOND))), max_size=60
    )
)
def test_at_every_window_scheduled_is_ended_and_dropped_and_in_flight(arrivals):
    """Arrivals are (due, how long it took), None: dropped. Played in the order of time, as it happens."""
    into = recorder()
    happenings = [(due, 0, due, took) for due, took in arrivals]
    happenings += [(due + took, 1, due, took) for due, took in arrivals if took is not None]
    for at, ends, due, took in sorted(happenings, key=lambda h: h[:3]):
        if ends:
            end(into, due, at, error="timeout" if took % 2 else None)
        else:
            into.arrived(due, dropped=took is None)
    scheduled = ended = dropped = 0
    for window in range(10):
        record = into.take(window)
        scheduled, ended, dropped = scheduled + record.scheduled, ended + record.rows.num_rows, dropped + record.dropped
        assert scheduled == ended + dropped + record.in_flight
        latency_us = record.rows.column("latency_us").to_numpy()
        times = record.rows.column("scheduled_at").cast("int64").to_numpy() + latency_us
        rounding_us = 0.0051 * latency_us + 1
        assert ((times + rounding_us) // SECOND >= window).all()
        assert ((times - rounding_us) // SECOND <= window).all()
        assert record.failed == np.sum(record.rows.column("error").is_valid().to_numpy(zero_copy_only=False))
    assert (scheduled, ended + dropped) == (len(arrivals), len(arrivals))
    assert into.in_flight == 0
