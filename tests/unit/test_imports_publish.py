"""Outcomes of another tool, published: every one once, in its window, with facts that add up, in any order."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.endpoint_names import OTHER
from producers.imports import Dropped, Imported, ImportFileError, Outcome, publish_outcomes
from producers.imports import windows as module
from producers.imports.windows import OutcomeWindows
from producers.publisher import MemoryPublisher
from schemas.events import StageEntered
from schemas.rows import RequestFacts

SECOND = 1_000_000
START_US = 1_795_467_601_000_000


def outcome(at_us: int, latency_us: int = 10_000, **more: object) -> Outcome:
    row: dict[str, object] = {"status": 200, "error": None, "endpoint": "GET /"} | more
    return Outcome(START_US + at_us, latency_us, **row)  # type: ignore[arg-type]


async def publish(
    outcomes: Sequence[Outcome | Dropped],
    *,
    publisher: MemoryPublisher | None = None,
    stop: asyncio.Event | None = None,
) -> tuple[MemoryPublisher, Imported | None]:
    publisher = publisher or MemoryPublisher()
    imported = await publish_outcomes(
        iter(outcomes),
        publisher=publisher,
        run_id="run-1",
        engine="k6",
        window_us=SECOND,
        stop=stop or asyncio.Event(),
    )
    return publisher, imported


async def test_a_row_says_all_that_the_tool_told_and_no_lag():
    told = outcome(0, 1_500_000, status=503, error="http 503", endpoint="GET /a", bytes_sent=3, bytes_received=2**40)
    publisher, imported = await publish([told])
    assert imported is not None
    assert (imported.started_at_us, imported.ended_at_us) == (START_US, START_US + 1_500_000)
    first, second = publisher.batches
    assert (first.rows.num_rows, second.rows.num_rows) == (0, 1)
    (row,) = second.rows.to_pylist()
    assert row.pop("scheduled_at").timestamp() == START_US / 1e6
    assert row == {
        "dispatch_lag_us": 0,
        "write_lag_us": 0,
        "latency_us": 1_503_377,  # rounded: see schemas.precision
        "status": 503,
        "error": "http 503",
        "endpoint": "GET /a",
        "bytes_sent": 3,
        "bytes_received": 2**40,
        "stage": "k6",
    }
    assert first.facts == RequestFacts(engine="k6", scheduled=1, sent=1, in_flight=1)
    assert second.facts == RequestFacts(engine="k6")


async def test_totals_close_and_one_stage_covers_all_that_was_sent():
    outcomes = [outcome(at * 50_000, error=None if at % 4 else "timeout") for at in range(100)]
    publisher, imported = await publish(outcomes)
    assert imported is not None
    totals = imported.totals
    assert (totals.scheduled, totals.sent, totals.completed, totals.failed) == (100, 100, 75, 25)
    (stage,) = publisher.events
    assert isinstance(stage, StageEntered)
    assert (stage.label, stage.form, stage.starts_at_us) == ("k6", "ramp", START_US)
    assert stage.ends_at_us == START_US + 99 * 50_000
    assert stage.rate_from_tps == pytest.approx(100 / 4.95)


async def test_dropped_arrivals_count_in_the_window_in_which_they_were_due_and_make_it_long_enough():
    told = [
        Dropped(START_US, 2),
        outcome(SECOND + 500_000),
        Dropped(START_US + 3 * SECOND, 1),
        Dropped(START_US + 3 * SECOND, 4),
    ]
    publisher, imported = await publish(told)
    assert imported is not None
    totals = imported.totals
    assert (totals.scheduled, totals.sent, totals.completed, totals.dropped) == (8, 1, 1, 7)
    assert (imported.started_at_us, imported.ended_at_us) == (START_US, START_US + 3 * SECOND)
    facts = [(batch.facts.scheduled, batch.facts.sent, batch.facts.dropped) for batch in publisher.batches]
    assert facts == [(2, 0, 2), (1, 1, 0), (0, 0, 0), (5, 0, 5)]
    (stage,) = publisher.events
    assert isinstance(stage, StageEntered)
    assert stage.ends_at_us == START_US + 3 * SECOND
    assert stage.rate_from_tps == pytest.approx(8 / 3)


async def test_a_file_of_nothing_but_dropped_arrivals_tells_of_no_request():
    publisher, imported = await publish([Dropped(START_US, 2)])
    assert imported is None
    assert not publisher.sent


async def test_nothing_is_published_for_a_file_without_a_request():
    publisher, imported = await publish([])
    assert imported is None
    assert not publisher.sent


async def test_a_stop_ends_the_reading_and_leaves_what_was_published_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("producers.imports.publish.CHUNK", 10)
    stop = asyncio.Event()

    def endless():
        at = 0
        while True:
            if at == 25:
                stop.set()
            yield outcome(at * 100_000)
            at += 1

    publisher = MemoryPublisher()
    imported = await publish_outcomes(
        endless(), publisher=publisher, run_id="run-1", engine="k6", window_us=SECOND, stop=stop
    )
    assert imported is not None
    assert imported.totals.scheduled == 30
    assert sum(batch.rows.num_rows for batch in publisher.batches) == 30
    assert publisher.batches[-1].header.goodbye


async def test_what_kafka_does_not_take_ends_the_import_with_a_sentence():
    publisher = MemoryPublisher()
    publisher.reachable = False
    with pytest.raises(ImportFileError, match="import again"):
        await publish([outcome(0)], publisher=publisher)


@settings(max_examples=30)
@given(
    moments=st.lists(st.tuples(st.integers(0, 150 * SECOND), st.integers(0, 30 * SECOND)), min_size=1, max_size=60),
    chunk=st.integers(1, 7),
)
def test_in_any_order_each_request_is_in_its_window_once_and_the_facts_are_exact(
    moments: list[tuple[int, int]], chunk: int
) -> None:
    outcomes = [outcome(at_us, latency_us, endpoint=f"/{place}") for place, (at_us, latency_us) in enumerate(moments)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producers.imports.publish.CHUNK", chunk)
        publisher, _ = asyncio.run(publish(outcomes))
    found, scheduled, in_flight, last = Counter(), Counter(), {}, defaultdict(int)
    for batch in publisher.batches:
        window = batch.header.key.window
        assert batch.header.key.seq == last[window]  # numbered without a gap, and final only as the last
        last[window] += 1
        found.update((window, endpoint) for endpoint in batch.rows["endpoint"].to_pylist())
        scheduled[window] += batch.facts.scheduled
        if batch.header.final:
            in_flight[window] = batch.facts.in_flight
            last[window] = -(10**6)
    assert found == Counter((one.ended_at_us // SECOND, one.endpoint) for one in outcomes)
    sent = Counter(one.sent_at_us // SECOND for one in outcomes)
    assert +scheduled == sent
    first, until = min(sent), max(one.ended_at_us // SECOND for one in outcomes)
    assert sorted(in_flight) == list(range(first, until + 1))
    for window, count in in_flight.items():
        end_us = (window + 1) * SECOND
        assert count == sum(one.sent_at_us < end_us <= one.ended_at_us for one in outcomes)
    assert [batch.header.key.window for batch in publisher.batches if batch.header.goodbye] == [until]


def test_rows_wait_for_a_minute_of_the_file_and_not_longer():
    windows = OutcomeWindows("k6", window_us=SECOND)
    for at in range(0, 61 * SECOND, SECOND):
        windows.add(outcome(at))
    assert [window - START_US // SECOND for window, _ in windows.ripe()] == []
    windows.add(outcome(61 * SECOND))
    assert [window - START_US // SECOND for window, _ in windows.ripe()] == [0]


def test_with_many_rows_in_memory_none_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ROWS", 9)
    windows = OutcomeWindows("k6", window_us=SECOND)
    for at in range(10):
        windows.add(outcome(at * SECOND))
    assert sum(rows.num_rows for _, rows in windows.ripe()) == 10


def test_more_endpoints_and_errors_than_anyone_reads_are_put_together():
    windows = OutcomeWindows("k6", window_us=SECOND)
    for number in range(module.MOST_ENDPOINTS + 3):
        windows.add(outcome(0, endpoint=f"/{number}", error=f"error {number}"))
    windows.add(outcome(0, endpoint="/0", error="error 0"))
    (end,) = windows.rest()
    endpoints, errors = end.rows["endpoint"].to_pylist(), end.rows["error"].to_pylist()
    assert endpoints.count(OTHER) == 3
    assert errors.count(OTHER) == module.MOST_ENDPOINTS + 3 - module.MOST_ERRORS
    assert (endpoints[-1], errors[-1]) == ("/0", "error 0")
