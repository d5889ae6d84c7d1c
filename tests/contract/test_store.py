"""What every store promises; each sentence is checked on the one in memory and on ClickHouse."""

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.batches import Batch
from schemas.events import RunEnded, RunJudged, RunStarted
from schemas.rows import REQUESTS, RequestFacts, StackFacts
from sinks.errors import StoreError
from sinks.store import Coverage, DeadLetter, LetterCount, Store, StoredBatch, WindowBatches
from tests.support.batches import (
    RUN,
    WINDOW,
    Request,
    Sample,
    many_requests,
    many_samples,
    request_batch,
    request_rows,
    stack_batch,
    stack_of,
)
from tests.support.joined import joined_endpoint, joined_function, joined_window
from tests.support.stores import StoreUnderTest

STARTED = RunStarted(
    run_id=RUN, service="shop", target="http://127.0.0.1:1", started_at_us=1, window_us=1_000_000, partitions=4,
    engine="aiohttp", plan={"stages": []},
)  # fmt: skip


def write(store: Store, *batches: Batch) -> None:
    store.write_batches([StoredBatch(batch, 1, offset) for offset, batch in enumerate(batches)])


def rows_of(rows: pa.RecordBatch) -> Counter[tuple[object, ...]]:
    return Counter(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def content(read: WindowBatches) -> list[tuple[object, ...]]:
    """Everything that a window holds, in a form in which the order of rows does not matter."""
    return [(one.header, one.facts, one.rows.schema, rows_of(one.rows)) for one in [*read.requests, *read.stacks]]


def sequences(read: WindowBatches) -> list[tuple[str, int]]:
    return [(one.header.key.producer_id, one.header.key.seq) for one in [*read.requests, *read.stacks]]


def with_endpoints(indices: list[int], texts: list[str]) -> pa.RecordBatch:
    """Rows whose endpoints are encoded in this very way."""
    rows = request_rows([Request()] * len(indices))
    at = REQUESTS.get_field_index("endpoint")
    column = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int16()), texts)
    return rows.set_column(at, REQUESTS.field(at), column)


REQUEST_BATCHES = {
    "no rows but facts": request_batch(facts=RequestFacts(engine="wire", scheduled=3, dropped=3), final=True),
    "an error beside a success": request_batch([Request(), Request(status=0, error="timeout")]),
    "an error text that is empty is not the absence of an error": request_batch([Request(error=""), Request()]),
    "the same row twice": request_batch([Request(), Request()]),
    "the widest numbers": request_batch(
        [Request(0, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**16 - 1, "e", "p", 2**64 - 1, 2**64 - 1, "s")]
    ),
    "names that are awkward in SQL and JSON": request_batch(
        [Request(endpoint="a'b\\`\"\n\t;--", stage="map[3]", error="é☃\x00")], run="r'; DROP TABLE batches--"
    ),
    "a goodbye": request_batch([Request()], seq=2, final=True, goodbye=True, partitions=7),
    "the widest header": request_batch(
        [Request()], window=10**18 - 1, seq=10**18 - 1, partitions=10**18 - 1, facts=RequestFacts(sent=2**53 - 1)
    ),
    "times far from now": request_batch([Request(-1), Request(0), Request(2**56)]),
    "a text that stands twice in its dictionary": request_batch(with_endpoints([0, 1, 2], ["a", "a", "b"])),
    "a text in the dictionary that no row has": request_batch(with_endpoints([1], ["a", "b"])),
    "as many texts as rows": request_batch([Request(endpoint=str(n)) for n in range(2_000)]),
    "many rows": request_batch(many_requests(3_000)),
}
STACK_BATCHES = {
    "no rows but facts": stack_batch(facts=StackFacts(service="shop", instance="i", cpu_us=70_000), final=True),
    "cpu beside waiting": stack_batch(
        [Sample(stack_of("main", "sweep")), Sample(stack_of("main", "wait"), mode="wall")]
    ),
    "an empty stack, which nobody can place": stack_batch([Sample("")]),
    "samples of which some are joined with requests": stack_batch(
        [Sample("a", endpoint="GET /"), Sample("a"), Sample("a", mode="wall"), Sample("b", endpoint="é;'")]
    ),
    "every fact": stack_batch(
        [Sample("a (b.py)")],
        facts=StackFacts(
            service="s", instance="i", pid=1, backend="py-spy", timing="window", cpu_us=2, busiest_thread_us=3,
            run_queue_us=4, rss_bytes=5, threads=6, covered_us=7, period_us=8, agent_cpu_us=9, own_cpu_us=10,
            host_cpu_us=11,
        ),
    ),
    "many samples of many stacks": stack_batch(many_samples(3_000, distinct=500)),
}  # fmt: skip


@pytest.mark.parametrize(
    "batch",
    [*REQUEST_BATCHES.values(), *STACK_BATCHES.values()],
    ids=[*(f"requests: {one}" for one in REQUEST_BATCHES), *(f"stacks: {one}" for one in STACK_BATCHES)],
)
def test_a_batch_is_read_back_exactly_as_it_was_written(any_store: StoreUnderTest, batch: Batch) -> None:
    write(any_store.store, batch)
    key = batch.header.key
    read = any_store.store.read_window(key.run_id, key.window)
    expected = WindowBatches([batch], []) if key.topic == "requests" else WindowBatches([], [batch])
    assert content(read) == content(expected)


def test_batches_with_and_without_endpoints_are_stored_together_and_each_reads_as_it_was(
    any_store: StoreUnderTest,
) -> None:
    batches = [
        stack_batch([Sample("a", endpoint="GET /")] * 2, seq=0),
        stack_batch([Sample("a")] * 3, seq=1),
        stack_batch([Sample("b", endpoint="GET /b"), Sample("b")], seq=2),
    ]
    write(any_store.store, *batches)
    read = any_store.store.read_window(RUN, WINDOW)
    assert content(read) == content(WindowBatches([], batches))


def test_a_window_of_which_nothing_is_known_is_empty(any_store: StoreUnderTest) -> None:
    assert any_store.store.read_window(RUN, WINDOW) == WindowBatches([], [])


def test_a_window_is_read_without_its_neighbours_and_other_runs(any_store: StoreUnderTest) -> None:
    mine = request_batch([Request(latency_us=1)])
    write(
        any_store.store,
        mine,
        request_batch([Request(latency_us=2)], window=WINDOW + 1),
        request_batch([Request(latency_us=3)], run="run-2"),
    )
    assert content(any_store.store.read_window(RUN, WINDOW)) == content(WindowBatches([mine], []))


def test_a_batch_is_stored_once_however_often_it_is_written(any_store: StoreUnderTest) -> None:
    batches = [request_batch([Request()] * 3), stack_batch([Sample("a (b.py)")] * 2)]
    for _ in range(3):
        write(any_store.store, *batches)
    write(any_store.store, *batches, *batches)
    write(any_store.reopened(), *batches)
    assert content(any_store.store.read_window(RUN, WINDOW)) == content(WindowBatches(batches[:1], batches[1:]))


def test_a_batch_that_is_sent_again_alone_does_not_double_its_neighbours_of_the_first_write(
    any_store: StoreUnderTest,
) -> None:
    neighbours = [request_batch([Request(latency_us=seq)] * 5, seq=seq) for seq in range(4)]
    write(any_store.store, *neighbours)
    write(any_store.store, neighbours[2])
    assert content(any_store.store.read_window(RUN, WINDOW)) == content(WindowBatches(neighbours, []))


def test_batches_of_several_producers_come_ordered_by_producer_and_seq(any_store: StoreUnderTest) -> None:
    for producer, seq in [("b", 1), ("a", 0), ("b", 0), ("a", 10), ("a", 9)]:
        write(any_store.store, request_batch([Request()], producer=producer, seq=seq))
    read = any_store.store.read_window(RUN, WINDOW)
    assert sequences(read) == [("a", 0), ("a", 9), ("a", 10), ("b", 0), ("b", 1)]


def test_batches_of_one_write_may_have_many_texts_together(any_store: StoreUnderTest) -> None:
    """More than the 16-bit indices of each of them could tell apart."""
    texts = [[f"{seq}/{n}" for n in range(17_000)] for seq in range(2)]
    batches = [request_batch(with_endpoints(list(range(17_000)), some), seq=seq) for seq, some in enumerate(texts)]
    write(any_store.store, *batches)
    read = any_store.store.read_window(RUN, WINDOW).requests
    assert [sorted(one.rows["endpoint"].to_pylist()) for one in read] == [sorted(some) for some in texts]


def test_a_late_batch_is_visible_beside_those_that_came_in_time(any_store: StoreUnderTest) -> None:
    write(any_store.store, request_batch([Request()], seq=0), stack_batch([Sample("a (b.py)")]))
    any_store.store.write_windows([joined_window(batches_covered=2)])
    write(any_store.reopened(), request_batch([Request()], seq=1), stack_batch([Sample("a (b.py)")], producer="late"))
    read = any_store.store.read_window(RUN, WINDOW)
    assert sequences(read) == [("load-1", 0), ("load-1", 1), ("agent-1", 0), ("late", 0)]


@pytest.mark.parametrize(
    ("writing", "visible"),
    [
        (
            lambda store: write(store, request_batch([Request()])),
            lambda one: one.store.read_window(RUN, WINDOW).requests,
        ),
        (lambda store: write(store, stack_batch([Sample("a")])), lambda one: one.store.read_window(RUN, WINDOW).stacks),
        (lambda store: store.write_windows([joined_window()]), lambda one: one.store.read_joined(RUN, WINDOW)),
        (lambda store: store.write_events([STARTED], [1]), lambda one: one.events()),
        (lambda store: store.write_dead_letters([LETTER]), lambda one: one.dead_letters()),
    ],
    ids=["requests", "stacks", "windows", "events", "dead letters"],
)
def test_a_write_that_fails_is_retriable_and_shows_nothing_until_it_is_repeated(
    any_store: StoreUnderTest, writing, visible
) -> None:
    any_store.break_next_write()
    with pytest.raises(StoreError) as caught:
        writing(any_store.store)
    assert caught.value.retriable
    assert caught.value.retry_after_s > 0
    assert not visible(any_store)
    writing(any_store.store)
    assert visible(any_store)


def test_rows_of_a_failed_write_stay_invisible_when_the_write_is_repeated(any_store: StoreUnderTest) -> None:
    batch = request_batch([Request()] * 4)
    any_store.break_next_write()
    with pytest.raises(StoreError):
        write(any_store.store, batch)
    write(any_store.store, batch)
    assert content(any_store.store.read_window(RUN, WINDOW)) == content(WindowBatches([batch], []))


@pytest.mark.parametrize("batches", [0, 1])
def test_what_there_is_to_do_meanwhile_is_done_once(any_store: StoreUnderTest, batches: int) -> None:
    done: list[str] = []
    any_store.store.write_batches([StoredBatch(request_batch(), 0, 0)] * batches, lambda: done.append("once"))
    assert done == ["once"]
    assert len(any_store.store.read_window(RUN, WINDOW).requests) == batches


def test_writing_nothing_is_allowed(any_store: StoreUnderTest) -> None:
    any_store.store.write_batches([])
    any_store.store.write_windows([])
    any_store.store.write_events([], [])
    any_store.store.write_dead_letters([])
    assert any_store.store.read_window(RUN, WINDOW) == WindowBatches([], [])


def test_a_joined_window_is_read_back_exactly_with_its_parts_ordered_by_name(any_store: StoreUnderTest) -> None:
    written = joined_window(
        endpoints=(joined_endpoint("search"), joined_endpoint("checkout"), joined_endpoint("search", stage="a")),
        functions=(joined_function("sweep"), joined_function("parse", self_cpu_us=0)),
    )
    any_store.store.write_windows([written])
    ordered = replace(
        written,
        endpoints=(written.endpoints[2], written.endpoints[1], written.endpoints[0]),
        functions=(written.functions[1], written.functions[0]),
    )
    assert any_store.store.read_joined(RUN, WINDOW) == ordered


def test_a_joined_window_may_have_no_endpoint_and_no_function(any_store: StoreUnderTest) -> None:
    empty = joined_window(endpoints=(), functions=())
    any_store.store.write_windows([empty])
    assert any_store.store.read_joined(RUN, WINDOW) == empty


def test_no_joined_window_is_known_before_one_is_written(any_store: StoreUnderTest) -> None:
    assert any_store.store.read_joined(RUN, WINDOW) is None


COVERING = {
    "a rebuild after a late batch covers more and wins": ([2, 3], 3),
    "a partial rebuild after a rewind covers fewer and loses": ([3, 2], 3),
    "of equals the later one stays": ([2, 2], 2),
    "the order of writing does not matter": ([1, 4, 2, 3], 4),
}


@pytest.mark.parametrize("in_one_write", [False, True], ids=["write by write", "in one write"])
@pytest.mark.parametrize(("covered", "winner"), COVERING.values(), ids=COVERING)
def test_of_several_records_of_one_window_the_one_that_covers_most_wins_with_all_its_parts(
    any_store: StoreUnderTest, covered: list[int], winner: int, *, in_one_write: bool
) -> None:
    records = [
        joined_window(
            batches_covered=count,
            closed_by=f"{at}",
            endpoints=(joined_endpoint(f"of {at}"),),
            functions=(joined_function(f"of {at}"),),
        )
        for at, count in enumerate(covered)
    ]
    if in_one_write:
        any_store.store.write_windows(records)
    else:
        for record in records:
            any_store.store.write_windows([record])
    expected = [record for record in records if record.batches_covered == winner][-1]
    assert any_store.store.read_joined(RUN, WINDOW) == expected


def test_an_event_is_stored_once_per_id(any_store: StoreUnderTest) -> None:
    ended = RunEnded(run_id=RUN, ended_at_us=9, reason="finished", producers=2)
    any_store.store.write_events([STARTED, ended], [1, 9])
    any_store.store.write_events([ended, ended], [9, 9])
    any_store.reopened().write_events([STARTED], [1])
    assert sorted(any_store.events()) == [(ended.event_id(), 9), (STARTED.event_id(), 1)]


def test_of_two_events_of_one_id_the_latest_is_kept_whatever_comes_last(any_store: StoreUnderTest) -> None:
    judged = [RunJudged(run_id=RUN, verdict=verdict) for verdict in ("passed", "aborted")]
    any_store.store.write_events([judged[1]], [20])
    any_store.store.write_events([judged[0]], [10])
    assert any_store.events() == [(judged[1].event_id(), 20)]


def test_the_events_of_a_run_are_read_back_in_the_order_of_their_times(any_store: StoreUnderTest) -> None:
    ended = RunEnded(run_id=RUN, ended_at_us=9, reason="finished", producers=2)
    of_another_run = RunEnded(run_id="run-2", ended_at_us=1, reason="error", producers=0, note='it\'s; "over"')
    any_store.store.write_events([ended, of_another_run, STARTED, ended], [9, 5, 1, 9])
    assert any_store.store.read_events(RUN) == [STARTED, ended]
    assert any_store.store.read_events("run-2") == [of_another_run]
    assert any_store.store.read_events("run-3") == []


def test_visible_batches_are_counted_by_producer(any_store: StoreUnderTest) -> None:
    assert any_store.store.count_batches(RUN) == {}
    batches = [request_batch(seq=0), request_batch(seq=1), stack_batch(), request_batch(run="run-2")]
    write(any_store.store, *batches)
    write(any_store.store, *batches)
    assert any_store.store.count_batches(RUN) == {"load-1": 2, "agent-1": 1}


def test_coverage_sets_the_visible_batches_of_a_window_beside_those_that_its_joined_record_covers(
    any_store: StoreUnderTest,
) -> None:
    store = any_store.store
    assert store.read_coverage(RUN) == {}
    write(store, *[request_batch(window=window, seq=seq) for window in (1, 2, 3) for seq in range(window)])
    write(store, request_batch(window=3), stack_batch(window=3), request_batch(run="run-2", window=1))
    store.write_windows([joined_window(window=window, batches_covered=1) for window in (1, 3, 4)])
    store.write_windows([joined_window(window=3, batches_covered=2), joined_window(window=2, run="run-2")])
    assert store.read_coverage(RUN) == {1: Coverage(1, 1), 2: Coverage(2, 0), 3: Coverage(4, 2)}


def test_visible_batches_are_counted_for_the_windows_that_are_asked_for_each_batch_once(
    any_store: StoreUnderTest,
) -> None:
    store = any_store.store
    for _ in range(2):
        write(store, *[request_batch(window=window, seq=seq) for window in (1, 2, 3) for seq in range(window)])
    write(
        store, request_batch(window=3, producer="load-2"), stack_batch(window=3), request_batch(run="run-2", window=1)
    )
    assert store.count_visible(RUN, [2, 3, 4]) == {2: 2, 3: 5}
    assert store.count_visible(RUN, []) == {}
    # After an outage a flush closes hundreds at once: more than fit an address.
    assert store.count_visible(RUN, range(WINDOW, WINDOW + 2_000)) == {}
    assert store.count_visible(RUN, [*range(WINDOW, WINDOW + 2_000), 2]) == {2: 2}


def test_dead_letters_are_counted_by_run_and_those_of_no_run_from_a_time_on(any_store: StoreUnderTest) -> None:
    at_us = LETTER.received_at_us
    any_store.store.write_dead_letters([LETTER, LETTER, replace(LETTER, offset=8, received_at_us=at_us + 5)])
    of_run = replace(LETTER, offset=9, run_id=RUN, rows=7)
    any_store.store.write_dead_letters([of_run, replace(of_run, offset=10), replace(of_run, offset=11, run_id="run-2")])
    counts = [any_store.store.count_dead_letters(RUN, since_us=at_us + later) for later in (-1, 0, 1, 5, 6)]
    assert [count.unknown for count in counts] == [2, 2, 1, 1, 0]
    assert {(count.batches, count.rows) for count in counts} == {(2, 14)}


LETTER = DeadLetter("loadflame.requests", 1, 7, "no Arrow stream that can be read", 1_790_000_000_000_000, 12)


def test_a_dead_letter_is_stored_once_and_one_of_a_topic_made_anew_beside_it(any_store: StoreUnderTest) -> None:
    of_another_life = replace(LETTER, received_at_us=LETTER.received_at_us + 1, size_bytes=13)
    any_store.store.write_dead_letters([LETTER, LETTER])
    any_store.store.write_dead_letters([LETTER, of_another_life])
    assert sorted(any_store.dead_letters(), key=lambda one: one.received_at_us) == [LETTER, of_another_life]


OF_BATCH = replace(LETTER, run_id=RUN, rows=20, window=WINDOW, producer="load-1", seq=0)
COUNTED: dict[str, tuple[list[DeadLetter], list[Batch], LetterCount]] = {
    "one whose batch is named": ([OF_BATCH], [], LetterCount(1, 20, 0)),
    "the same batch, put aside twice": ([OF_BATCH, replace(OF_BATCH, offset=8)], [], LetterCount(1, 20, 0)),
    "of two batches": ([OF_BATCH, replace(OF_BATCH, offset=8, seq=1)], [], LetterCount(2, 40, 0)),
    "of two topics": ([OF_BATCH, replace(OF_BATCH, topic="loadflame.stacks")], [], LetterCount(2, 40, 0)),
    "one that was sent again and stored": ([OF_BATCH], [request_batch()], LetterCount(0, 0, 0, recovered=1)),
    "so was its twin": ([OF_BATCH, replace(OF_BATCH, offset=8)], [request_batch()], LetterCount(0, 0, 0, recovered=1)),
    "another batch of its window": ([OF_BATCH], [request_batch(seq=1)], LetterCount(1, 20, 0)),
    "the same one of another run": ([OF_BATCH], [request_batch(run="run-2")], LetterCount(1, 20, 0)),
    "the same one of the other topic": ([OF_BATCH], [stack_batch(producer="load-1")], LetterCount(1, 20, 0)),
    "two whose batch nobody knows": (
        [replace(LETTER, run_id=RUN, rows=3), replace(LETTER, run_id=RUN, rows=4, offset=8)],
        [request_batch()],
        LetterCount(2, 7, 0),
    ),
}


@pytest.mark.parametrize(("letters", "batches", "count"), COUNTED.values(), ids=COUNTED)
def test_dead_letters_count_as_the_batches_that_they_stand_for(
    any_store: StoreUnderTest, letters: list[DeadLetter], batches: list[Batch], count: LetterCount
) -> None:
    any_store.store.write_dead_letters(letters)
    write(any_store.store, *batches)
    assert any_store.store.count_dead_letters(RUN, since_us=0) == count
