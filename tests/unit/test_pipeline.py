"""Records in, work out: what is stored, announced and committed, and when."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.admission import AHEAD_US
from processors.announcements import letter_headers, letter_value, window_event
from processors.flushing import FlushJoin, write_flush
from processors.pipeline import Pipeline
from processors.records import Flush, Place
from processors.windows import GRACE_US
from schemas.batches import Batch, Headers
from schemas.codec import LIMITS, encode
from schemas.events import MAX_EVENT_BYTES, RunEnded, from_message, to_message
from schemas.joined import JoinedWindow
from schemas.topics import BULK
from schemas.windows import partition_of
from sinks.errors import RowsGoneError, StoreUnreachableError
from sinks.memory import MemoryStore
from tests.support.batches import RUN, WINDOW, WINDOW_US, Request, Sample, request_batch, stack_batch, stack_of
from tests.support.joined import joined_endpoint, joined_function, joined_window
from tests.support.records import NOW_US, TOPICS, Log
from tests.support.simulation import Simulation

PARTITIONS = TOPICS.partitions
HERE = partition_of(RUN, WINDOW, PARTITIONS)


def load(**named: object) -> Batch:
    return request_batch([Request()], **({"partitions": PARTITIONS, "final": True} | named))


def agent(**named: object) -> Batch:
    return stack_batch([Sample(stack_of("main"))], **({"partitions": PARTITIONS, "final": True} | named))


def flush(simulation: Simulation) -> Flush:
    simulation.begin_flush()
    found = simulation.flush
    assert found is not None
    assert simulation.store_flush()
    simulation.finish_flush()
    return found


def written(store: MemoryStore, simulation: Simulation) -> list[JoinedWindow]:
    """What waits in a worker goes into a store."""
    taken = simulation.worker.take()
    return write_flush(store, taken, FlushJoin(taken, WINDOW_US))


def after(*batches: Batch, now_us: int = NOW_US) -> Simulation:
    """A worker that has read these batches."""
    simulation = Simulation(Log(now_us=now_us))
    for batch in batches:
        simulation.send(batch)
    simulation.read_all()
    return simulation


def time_passes(simulation: Simulation, us: int) -> None:
    """Broker time; the worker hears of it by ticks."""
    simulation.log.now_us += us
    simulation.now_s += 1.0
    simulation.tick()
    simulation.read_all()


def test_a_batch_is_stored_by_the_next_flush_and_committed_once_its_window_is_announced() -> None:
    simulation = after(load(), agent())
    taken = flush(simulation)
    assert len(taken.batches) == 2
    assert not taken.closed
    assert simulation.committed.total() == 0
    time_passes(simulation, WINDOW_US + GRACE_US)
    (closed,) = flush(simulation).closed
    assert (closed.key, closed.closed_by) == ((RUN, WINDOW), "grace")
    assert simulation.committed == dict.fromkeys(simulation.log.pair(HERE), 2)  # the batch and the tick
    simulation.assert_exact()


def test_both_topics_must_have_come_so_far_before_a_window_closes() -> None:
    simulation = after(load())
    simulation.log.now_us += WINDOW_US + GRACE_US
    simulation.log.tick(simulation.log.place("requests", HERE))
    simulation.read_all()
    assert not flush(simulation).closed
    simulation.log.tick(simulation.log.place("stacks", HERE))
    simulation.read_all()
    assert len(flush(simulation).closed) == 1


def test_ticks_are_wanted_on_both_topics_of_partitions_with_open_windows_only() -> None:
    simulation = after(load())
    simulation.now_s += 1
    assert simulation.worker.ticks(simulation.now_s) == simulation.log.pair(HERE)
    assert Pipeline(TOPICS, WINDOW_US).ticks(1.0) == []


def test_a_tick_is_neither_stored_nor_does_it_keep_an_offset() -> None:
    simulation = after()
    place = simulation.log.place("requests", 0)
    simulation.log.tick(place)
    simulation.read_all()
    assert not simulation.worker.has_work
    assert simulation.worker.committable() == {place: 1}


def test_the_same_batch_again_is_not_stored_again() -> None:
    simulation = after(load(), load(), load())
    assert len(flush(simulation).batches) == 1


def test_a_late_batch_is_stored_its_window_joined_again_and_announced_again() -> None:
    simulation = after(load())
    time_passes(simulation, WINDOW_US + GRACE_US)
    flush(simulation)
    simulation.send(agent())
    simulation.read_all()
    taken = flush(simulation)
    assert (len(taken.batches), taken.late) == (1, {(RUN, WINDOW)})
    states = [(one.batches_covered, one.closed_by) for one in simulation.announced[RUN, WINDOW]]
    assert states == [(1, "grace"), (2, "late")]
    assert simulation.committed[simulation.log.place("stacks", HERE)] == 2
    simulation.assert_exact()


def test_data_of_any_age_is_stored() -> None:
    simulation = after(load(), now_us=NOW_US + 86_400 * 30 * 1_000_000)
    simulation.drain()
    simulation.assert_exact()


def test_a_batch_that_comes_late_into_the_flush_of_its_window_is_in_that_window_once() -> None:
    simulation = after(load())
    time_passes(simulation, WINDOW_US + GRACE_US)
    simulation.send(agent())
    simulation.read_all()
    flush(simulation)
    assert [one.batches_covered for one in simulation.announced[RUN, WINDOW]] == [2]


def damaged(batch: Batch, **changes: bytes | None) -> Headers:
    """A batch's headers with some changed, or left out (None)."""
    found = dict(batch.header.to_kafka()) | changes
    return [(name, value) for name, value in found.items() if value is not None]


GOOD = load()
BYTES = encode(GOOD.rows, GOOD.facts)
AHEAD = WINDOW + AHEAD_US // WINDOW_US
DEAD_LETTERS = {
    "no headers": ([], BYTES, "header kind is missing"),
    "an unknown kind": (damaged(GOOD, kind=b"other"), BYTES, "neither data nor tick"),
    "a header is missing": (damaged(GOOD, window=None), BYTES, "header window is missing"),
    "a header is no number": (damaged(GOOD, seq=b"-1"), BYTES, "header seq is '-1'"),
    "nobody's run": (damaged(GOOD, run=b""), BYTES, "header run is empty"),
    "no partitions": (damaged(GOOD, partitions=b"0"), BYTES, "belongs to partition -1"),
    "of another partition": (damaged(GOOD, window=b"%d" % (WINDOW + 1)), BYTES, "belongs to partition"),
    "no bytes": (damaged(GOOD), b"", "no Arrow stream"),
    "other bytes": (damaged(GOOD), b"\x00" * 99, "no Arrow stream"),
    "cut short": (damaged(GOOD), BYTES[:-40], ""),
    "fewer rows than announced": (damaged(GOOD, rows=b"2"), BYTES, "1 rows where its header announces 2"),
    "too long": (damaged(GOOD), b"\x00" * (LIMITS.message_bytes + 1), "more than"),
    "a window too far ahead of the broker's time": (
        damaged(GOOD, window=b"%d" % (AHEAD + PARTITIONS)),
        BYTES,
        "begins 32 s after the broker's time",
    ),
}


@pytest.mark.parametrize(("headers", "value", "error"), DEAD_LETTERS.values(), ids=DEAD_LETTERS)
def test_what_cannot_be_read_becomes_a_dead_letter(headers: Headers, value: bytes, error: str) -> None:
    simulation = after()
    place = simulation.log.place("requests", HERE)
    record = simulation.log.append(place, headers, value)
    simulation.read_all()
    assert simulation.worker.committable() == {place: 0}, "held until it is acknowledged"
    simulation.begin_flush()
    (letter,) = simulation.flush.letters
    assert error in letter.error
    assert letter.record == record
    assert simulation.store_flush()
    assert list(simulation.store.dead_letters) == [(*place, 0, NOW_US)]
    simulation.worker.on_flushed(simulation.stored.pop()[0])
    assert simulation.worker.committable() == {place: 1}


def test_a_window_may_be_30_seconds_ahead() -> None:
    simulation = after(load(window=AHEAD))
    assert len(flush(simulation).batches) == 1


def test_a_dead_letter_moves_the_watermark_by_its_brokers_time_only() -> None:
    simulation = after(load())
    simulation.log.append(simulation.log.place("requests", HERE), damaged(GOOD, window=b"9" * 18), BYTES)
    time_passes(simulation, WINDOW_US)
    assert not flush(simulation).closed
    time_passes(simulation, GRACE_US)
    assert len(flush(simulation).closed) == 1


def test_a_dead_letter_says_whence_and_why_and_keeps_bytes_and_headers() -> None:
    simulation = after()
    simulation.log.append(simulation.log.place("stacks", 1), [("kind", b"data"), ("run", b"y" * 999)], b"bytes")
    simulation.read_all()
    simulation.begin_flush()
    (letter,) = simulation.flush.letters
    said = dict(letter_headers(letter))
    assert (said["topic"], said["partition"], said["offset"]) == (b"t.stacks", b"1", b"0")
    assert said["id"] == b"t.stacks/1/0"
    assert said["error"] == b"header 'run' has 999 bytes, more than 256"
    assert said["original-kind"] == b"data"
    assert letter_value(letter) == b"bytes"


def test_a_dead_letter_of_any_size_fits_the_largest_message() -> None:
    simulation = after()
    headers = [(f"{'n' * 200}{number}", b"v" * 5_000) for number in range(500)]
    simulation.log.append(simulation.log.place("requests", 0), headers, b"\x00" * (3 << 20))
    simulation.read_all()
    simulation.begin_flush()
    (letter,) = simulation.flush.letters
    sent = sum(len(name) + len(value) for name, value in letter_headers(letter)) + len(letter_value(letter))
    assert sent < (1 << 20) - 4_096
    assert dict(letter_headers(letter))["size"] == b"%d" % (3 << 20)


ENDED = RunEnded(run_id=RUN, ended_at_us=9, reason="finished", producers=2)
RUNS = Place(TOPICS.name("runs"), 0)


def test_an_event_is_stored_with_the_brokers_time_before_it_is_committed() -> None:
    simulation = after()
    simulation.log.event(ENDED)
    simulation.read_all(RUNS)
    assert simulation.worker.committable() == {RUNS: 0}
    simulation.begin_flush()
    assert simulation.store_flush()
    simulation.worker.on_flushed(simulation.stored.pop()[0])
    assert simulation.worker.committable() == {RUNS: 1}
    assert simulation.store.events == {ENDED.event_id(): (NOW_US, ENDED)}


def test_an_event_of_a_type_that_this_version_does_not_know_is_passed_over() -> None:
    simulation = after()
    message = to_message(ENDED, source="tests", time_us=NOW_US)
    simulation.log.append(RUNS, [*message.headers, ("ce_type", b"loadflame.run.sung.v9")], message.value)
    simulation.read_all(RUNS)
    assert simulation.worker.committable() == {RUNS: 1}
    assert not simulation.worker.has_work


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"run_id": 1}', b"\xff", b'{"run_id": "\\ud800"}'])
def test_a_damaged_event_becomes_a_dead_letter(value: bytes) -> None:
    simulation = after()
    simulation.log.append(RUNS, to_message(ENDED, source="tests", time_us=NOW_US).headers, value)
    simulation.read_all(RUNS)
    simulation.begin_flush()
    assert len(simulation.flush.letters) == 1


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [*dict(GOOD.header.to_kafka()), "ce_type", "ce_id", "ce_source", "ce_specversion", "ce_time", "x"]
        ),
        st.binary(max_size=20)
        | st.sampled_from([b"data", b"tick", b"0", b"1", b"1.0", ENDED.type.encode(), RUN.encode()]),
    ),
    max_size=14,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([RUNS, *(Place(TOPICS.name(kind), number) for kind in BULK for number in range(2))]),
            HEADERS | HEADERS.map(lambda more: [*GOOD.header.to_kafka(), *more]),
            st.binary(max_size=60) | st.just(BYTES) | st.just(ENDED.model_dump_json().encode()),
        ),
        max_size=8,
    )
)
def test_no_message_whatsoever_stops_the_worker(messages: list[tuple[Place, Headers, bytes]]) -> None:
    simulation = Simulation()
    for place, headers, value in messages:
        simulation.log.append(place, headers, value)
    simulation.read_all(RUNS)
    time_passes(simulation, 60_000_000)
    taken = simulation.worker.take()
    for window in write_flush(simulation.store, taken, FlushJoin(taken, WINDOW_US)):
        to_message(window_event(window), source="tests", time_us=NOW_US)
    for letter in taken.letters:
        letter_headers(letter)
    simulation.worker.on_flushed(taken)
    read = {place: len(records) for place, records in simulation.log.records.items()}
    assert {place: offset for place, offset in simulation.worker.committable().items() if offset < read[place]} == {}


def test_memory_that_is_not_in_the_store_yet_is_counted() -> None:
    simulation = after(load(), agent())
    simulation.log.append(simulation.log.place("requests", 0), [], b"\x00" * 100_000)
    simulation.read_all()
    waiting = simulation.worker.unflushed_bytes
    assert waiting > 100_000
    simulation.begin_flush()
    assert simulation.worker.unflushed_bytes == waiting, "still, while it is being stored"
    simulation.store_flush()
    simulation.worker.on_flushed(simulation.stored.pop()[0])
    assert simulation.worker.unflushed_bytes == 0


def test_partitions_that_were_taken_away_are_forgotten_and_read_again_from_the_commit() -> None:
    simulation = after(load(), agent())
    simulation.revoke()
    assert simulation.worker.idle
    assert simulation.worker.committable() == {}
    assert simulation.worker.unflushed_bytes == 0
    simulation.drain()
    simulation.assert_exact()


def test_only_the_partitions_that_were_taken_away_are_forgotten() -> None:
    simulation = after(load(), load(window=WINDOW + 1))
    for partition in range(PARTITIONS):
        simulation.log.append(simulation.log.place("stacks", partition), [], b"")
    simulation.read_all()
    simulation.worker.on_revoked(simulation.log.pair(HERE))
    kept = simulation.worker.take()
    assert [stored.batch.header.key.window for stored in kept.batches] == [WINDOW + 1]
    assert [letter.record.place.partition for letter in kept.letters] == [1 - HERE]


def test_a_flush_that_ends_after_its_partitions_were_taken_away_commits_nothing() -> None:
    simulation = after(load(), agent())
    taken = simulation.worker.take()
    simulation.revoke()
    simulation.read_all()
    simulation.worker.on_flushed(taken)
    assert flush(simulation).batches, "they are stored by whoever owns them now"
    assert simulation.committed.total() == 0, "and their window is not announced"
    simulation.drain()
    simulation.assert_exact()


def test_what_was_fetched_before_a_rebalance_is_no_beginning_also_when_nothing_was_committed_yet() -> None:
    simulation = Simulation()
    for seq in range(4):
        simulation.send(load(seq=seq, final=False))
    place = simulation.log.place("requests", HERE)
    for _ in range(2):
        simulation.read(place)
    simulation.revoke(fetched=1)
    assert simulation.worker.next_offset(place) == 0
    simulation.drain()
    simulation.assert_exact()


def test_records_that_the_client_skipped_are_asked_for_again() -> None:
    simulation = after()
    place = simulation.log.place("requests", HERE)
    records = [simulation.log.batch(load(seq=seq, final=False)) for seq in range(4)]
    answers = [simulation.worker.on_record(record, 0.0) for record in (records[0], records[3], *records[1:])]
    assert answers == [None, 1, None, None, None]
    assert simulation.worker.next_offset(place) == 4
    assert len(simulation.worker.take().batches) == 4


def test_a_window_that_memory_holds_in_part_is_joined_from_the_store() -> None:
    """After a crash the new worker begins in the middle of a window, whose other batches lie below the commit."""
    store = MemoryStore()
    before, simulation = after(load()), after(agent())
    written(store, before)
    time_passes(simulation, WINDOW_US + GRACE_US)
    (joined,) = written(store, simulation)
    assert (joined.batches_covered, joined.completed, joined.samples) == (2, 1, 1)


def test_a_window_whose_rows_have_outlived_their_time_stays_as_it_was_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = after(load())
    time_passes(simulation, WINDOW_US + GRACE_US)
    flush(simulation)

    def gone(*_: object) -> None:
        raise RowsGoneError("gone")

    monkeypatch.setattr(MemoryStore, "read_window", gone)
    simulation.send(agent())
    simulation.read_all()
    flush(simulation)
    assert simulation.store.windows[RUN, WINDOW].batches_covered == 1
    assert len(simulation.store.batches) == 2


def test_a_flush_that_the_store_refused_is_written_again_whole() -> None:
    simulation = after(load(), agent())
    time_passes(simulation, WINDOW_US + GRACE_US)
    simulation.begin_flush()
    for step in range(4):
        assert not simulation.store_flush(fails_at=step)
    simulation.store.failures.append(StoreUnreachableError("away"))
    assert not simulation.store_flush()
    assert simulation.store_flush()
    simulation.finish_flush()
    simulation.assert_exact()


def names(count: int, size: int) -> list[str]:
    return [f"{number}{'n' * size}" for number in range(count)]


def test_the_event_of_a_window_fits_a_message_whatever_its_names_are() -> None:
    window = joined_window(
        endpoints=tuple(joined_endpoint(stage=name) for name in names(500, 60_000)),
        functions=tuple(replace(joined_function(name), file=name) for name in names(500, 60_000)),
    )
    message = to_message(window_event(window), source="tests", time_us=NOW_US)
    assert len(message.value) < MAX_EVENT_BYTES
    assert from_message(message.headers, message.value) == window_event(window)


def test_the_event_of_a_window_says_how_many_were_not_answered_and_how_long_the_longest_took() -> None:
    slow = replace(joined_endpoint(latencies_us=(10_000, 20_000, 60_000)), completed=1, failed=2, unanswered=1)
    event = window_event(joined_window(endpoints=(slow,)))
    for of in (event, event.endpoints[0]):
        assert (of.unanswered, of.sent_bytes, of.received_bytes) == (1, 540, 7_200)
        assert of.mean_ms == pytest.approx(30, rel=0.01)
        assert of.max_ms == of.p999_ms == pytest.approx(60, rel=0.01)


def test_the_event_of_a_window_shows_the_hottest_functions_first_and_rates_per_second() -> None:
    functions = tuple(joined_function(f"f{number}", self_cpu_us=number * 10_000) for number in range(1, 31))
    window: JoinedWindow = replace(joined_window(functions=functions), window_us=500_000, scheduled=7)
    event = window_event(window)
    assert [function.self_cpu_us for function in event.functions[:2]] == [300_000, 290_000]
    assert len(event.functions) == 20
    assert (event.offered_tps, event.tps) == (14.0, 6.0)
    assert event.p50_ms == pytest.approx(12.0, rel=0.01)


def test_a_window_without_a_profile_says_so_instead_of_zero() -> None:
    event = window_event(replace(joined_window(), instances=0))
    assert (event.cpu_us, event.profile_coverage) == (None, None)
