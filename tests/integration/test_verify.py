"""`verify` finds what it is there to find: each invariant holds on a healthy run, and says so when it is broken."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from clickhouse_connect.driver.exceptions import OperationalError

from processors import verify
from processors.committed import below_commits
from processors.join import join_window
from processors.verify import Check, Topic, verify_run
from schemas.batches import Batch
from schemas.codec import encode
from schemas.events import LoadTotals, ProducerEnded, RunStarted
from schemas.topics import Topics
from schemas.windows import partition_of
from sinks.clickhouse import ClickHouseStore
from sinks.errors import StoreUnreachableError
from sinks.store import DeadLetter, StoredBatch
from tests.support.batches import (
    RUN,
    WINDOW,
    WINDOW_US,
    Request,
    Sample,
    many_requests,
    many_samples,
    request_batch,
    stack_batch,
)
from tests.support.brokers import Broker
from tests.support.joined import joined_window

WINDOWS = range(WINDOW, WINDOW + 2)
BATCHES = [
    *[request_batch(many_requests(20, window=window), window=window, final=True) for window in WINDOWS],
    *[stack_batch(many_samples(9, window=window, distinct=3), window=window, final=True) for window in WINDOWS],
]
FAILED = sum(batch.rows["error"].is_valid().sum().as_py() for batch in BATCHES[:2])
STARTED = RunStarted(
    run_id=RUN, service="shop", target="http://127.0.0.1:1", started_at_us=WINDOW * WINDOW_US, window_us=WINDOW_US,
    partitions=4, engine="aiohttp", plan={},
)  # fmt: skip
TOTALS = LoadTotals(scheduled=44, sent=40, completed=40 - FAILED, failed=FAILED, dropped=4, target_counted=40)
LOAD = ProducerEnded(
    run_id=RUN, producer_id="load-1", role="load", batches_acknowledged=2, rows_acknowledged=40, totals=TOTALS
)
AGENT = ProducerEnded(run_id=RUN, producer_id="agent-1", role="profiler", batches_acknowledged=2, rows_acknowledged=18)
LETTER = DeadLetter("t.requests", 1, 7, "no Arrow stream", WINDOW * WINDOW_US + 5, 12, RUN, 20)


def write(store: ClickHouseStore, *batches: Batch) -> None:
    store.write_batches([StoredBatch(batch, 1, offset) for offset, batch in enumerate(batches)])


def healthy(store: ClickHouseStore, batches: list[Batch] = BATCHES, *, load: ProducerEnded = LOAD) -> None:
    """A run as the worker leaves it."""
    write(store, *batches)
    for window in WINDOWS:
        truth = store.read_window(RUN, window)
        store.write_windows([join_window(RUN, window, WINDOW_US, truth.requests, truth.stacks, closed_by="producers")])
    store.write_minutes(store.unmade_minutes())
    store.write_events([STARTED, load, AGENT], [1, 2, 3])


def checks_of(store: ClickHouseStore, where: Topic | None = None) -> dict[str, Check]:
    return {check.name: check for check in verify_run(store, RUN, where)}


def test_a_healthy_run_holds_every_invariant_and_says_its_figures(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store)
    checks = checks_of(clickhouse_store)
    assert {name: check.ok for name, check in checks.items()} == {
        "I0": True, "I1": True, "I2": True, "I3": True, "I4": None,
    }  # fmt: skip
    assert checks["I0"].sentence == "40 requests were sent, the target counted 40"
    assert checks["I1"].sentence == ("4 batches (58 rows) were acknowledged, 4 (58 rows) are visible, 0 dead letters")
    assert checks["I2"].sentence == (
        "2 joined windows computed again from the batches, 0 differ; 1 minutes from the windows, 0 differ"
    )
    assert checks["I3"].sentence == (
        f"44 scheduled = {40 - FAILED} completed + {FAILED} failed + 4 dropped + 0 in flight; 40 stored"
    )
    assert "not checked: no broker" in checks["I4"].sentence


def test_storing_a_batch_again_changes_nothing(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store)
    write(clickhouse_store, *BATCHES)
    assert [check.name for check in checks_of(clickhouse_store).values() if check.ok is not True] == ["I4"]


Damage = Callable[[ClickHouseStore], None]


def mutate(sql: str) -> Damage:
    return lambda store: store.client.command(sql, settings={"mutations_sync": 1})


def more_rows(store: ClickHouseStore) -> None:
    store.client.command("INSERT INTO requests_stored SELECT * FROM requests_stored LIMIT 1")


def another_window(store: ClickHouseStore) -> None:
    joined = store.read_joined(RUN, WINDOW)
    assert joined is not None
    store.write_windows([replace(joined, completed=joined.completed + 1)])


def late_and_not_joined(store: ClickHouseStore) -> None:
    write(store, request_batch([Request()], window=WINDOW, seq=1))


def killed(store: ClickHouseStore) -> None:
    write(store, stack_batch([Sample("a")], window=WINDOW, producer="killed"))


def aged(store: ClickHouseStore) -> None:
    mutate("ALTER TABLE batches_stored UPDATE stored_at = now() - INTERVAL 8 DAY WHERE 1")(store)
    mutate("ALTER TABLE samples_stored DELETE WHERE 1")(store)


FIRST_ROW = "DELETE WHERE rowNumberInAllBlocks() = 0"
Broken = dict[str, bool | None]
DAMAGES: dict[str, tuple[Damage, Broken]] = {
    "a batch is missing": (
        mutate("ALTER TABLE batches_stored DELETE WHERE topic = 'requests' AND window % 2 = 0"),
        {"I1": False, "I2": False, "I3": False},
    ),
    "a row is missing": (
        mutate(f"ALTER TABLE requests_stored {FIRST_ROW}"),
        {"I1": False, "I2": None, "I3": False},
    ),
    "a sample is missing": (mutate(f"ALTER TABLE samples_stored {FIRST_ROW}"), {"I1": False, "I2": None}),
    "a row is there twice": (more_rows, {"I1": False, "I2": None, "I3": False}),
    "a joined window says something else": (another_window, {"I2": False}),
    "a minute says something else": (
        mutate("ALTER TABLE minutes_stored UPDATE completed = completed + 1 WHERE 1"),
        {"I2": False},
    ),
    "a stack of a minute has other CPU": (
        mutate(f"ALTER TABLE minute_stacks_stored {FIRST_ROW.replace('DELETE', 'UPDATE cpu_us = cpu_us + 1')}"),
        {"I2": False},
    ),
    "a function of a minute is missing": (mutate(f"ALTER TABLE minute_functions_stored {FIRST_ROW}"), {"I2": False}),
    "a minute was not made": (mutate("ALTER TABLE minutes_stored DELETE WHERE 1"), {"I2": None}),
    "a window was not joined": (mutate("ALTER TABLE windows_stored DELETE WHERE window % 2 = 1"), {"I2": False}),
    "a window without a batch": (lambda store: store.write_windows([joined_window(window=1)]), {"I2": False}),
    "a late batch is not in its window": (late_and_not_joined, {"I1": False, "I2": False, "I3": False}),
    "a producer never said its end": (killed, {"I1": None, "I2": False}),
    "rows have outlived their time": (aged, {"I1": None, "I2": None}),
}


def broken_in(store: ClickHouseStore) -> Broken:
    return {check.name: check.ok for check in checks_of(store).values() if check.name != "I4" and check.ok is not True}


@pytest.mark.parametrize(("damage", "broken"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_broken_in_the_store_is_found(
    clickhouse_store: ClickHouseStore, damage: Damage, broken: Broken
) -> None:
    healthy(clickhouse_store)
    damage(clickhouse_store)
    assert broken_in(clickhouse_store) == broken


def changed(event: ProducerEnded, totals: dict[str, int | None] | None = None, **fields: int) -> ProducerEnded:
    more = {} if totals is None else {"totals": TOTALS.model_copy(update=totals)}
    return event.model_copy(update=fields | more)


SAID: dict[str, tuple[ProducerEnded, Broken]] = {
    "the target counted more": (changed(LOAD, {"target_counted": 41}), {"I0": False}),
    "the target does not count": (changed(LOAD, {"target_counted": None}), {"I0": None}),
    "the totals do not add up": (changed(LOAD, {"dropped": 3}), {"I3": False}),
    "more was completed than is stored": (
        changed(LOAD, {"completed": TOTALS.completed + 1, "scheduled": TOTALS.scheduled + 1}),
        {"I3": False},
    ),
    "more was acknowledged": (changed(AGENT, batches_acknowledged=3), {"I1": False}),
    "less was acknowledged": (changed(AGENT, batches_acknowledged=1), {"I1": False}),
    "less was, and the rest declared lost": (changed(AGENT, batches_acknowledged=1, batches_lost=1), {}),
}


def test_what_the_producers_said_is_held_against_what_is_stored(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store)
    found = {}
    for at, (name, (event, _)) in enumerate(SAID.items(), start=10):
        clickhouse_store.write_events([LOAD, AGENT], [2 * at, 2 * at])
        clickhouse_store.write_events([event], [2 * at + 1])
        found[name] = broken_in(clickhouse_store)
    assert found == {name: broken for name, (_, broken) in SAID.items()}


def test_a_batch_that_is_a_dead_letter_is_accounted_for(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store, BATCHES[1:])
    clickhouse_store.write_dead_letters([LETTER])
    checks = checks_of(clickhouse_store)
    assert [checks[name].ok for name in ("I1", "I2", "I3")] == [True, True, True]
    assert "1 dead letters" in checks["I1"].sentence
    assert "20 not (0 were declared lost, 20 are in dead letters)" in checks["I3"].sentence


@pytest.mark.parametrize(("run", "ok"), [("another-run", False), ("", None)])
def test_a_dead_letter_of_another_run_excuses_nothing_and_one_of_unknown_run_leaves_it_open(
    clickhouse_store: ClickHouseStore, run: str, ok: bool | None
) -> None:
    healthy(clickhouse_store, BATCHES[1:])
    clickhouse_store.write_dead_letters([replace(LETTER, run_id=run)])
    checks = checks_of(clickhouse_store)
    assert [checks[name].ok for name in ("I1", "I3")] == [ok, ok]


def test_a_dead_letter_excuses_no_more_rows_than_it_brought(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store, BATCHES[1:])
    clickhouse_store.write_dead_letters([replace(LETTER, rows=19)])
    checks = checks_of(clickhouse_store)
    assert [checks[name].ok for name in ("I1", "I3")] == [False, False]


def test_rows_that_were_declared_lost_are_accounted_for(clickhouse_store: ClickHouseStore) -> None:
    lost = {"batches_acknowledged": 1, "rows_acknowledged": 20, "batches_lost": 1, "rows_lost": 20}
    healthy(clickhouse_store, BATCHES[1:], load=LOAD.model_copy(update=lost))
    checks = checks_of(clickhouse_store)
    assert [checks[name].ok for name in ("I1", "I2", "I3")] == [True, True, True]
    assert "1 batches were given up and declared lost" in checks["I1"].sentence


def test_batches_that_came_late_from_a_producers_disk_are_acknowledged_ones_and_told(
    clickhouse_store: ClickHouseStore,
) -> None:
    healthy(clickhouse_store, load=LOAD.model_copy(update={"batches_spooled": 1, "rows_spooled": 20}))
    check = checks_of(clickhouse_store)["I1"]
    assert check.ok
    assert "1 batches waited on a producer's disk when it ended, and came later" in check.sentence


def test_of_a_run_that_nobody_knows_nothing_can_be_checked(clickhouse_store: ClickHouseStore) -> None:
    assert [check.ok for check in verify_run(clickhouse_store, "nobody's")] == [None] * 5


async def send_and_commit(broker: Broker, topics: Topics, batches: list[Batch], committed: int) -> None:
    """Put batches into their topics, damage included, and commit the first ones of them."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    offsets: dict[TopicPartition, int] = {}
    try:
        for number, batch in enumerate(batches):
            key = batch.header.key
            place = TopicPartition(topics.name(key.topic), partition_of(RUN, key.window, topics.partitions))
            record = await producer.send_and_wait(
                place.topic, encode(batch.rows, batch.facts), partition=place.partition, headers=batch.header.to_kafka()
            )
            if number < committed:
                offsets[place] = record.offset + 1
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=topics.prefix, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


@pytest.fixture
def where(broker: Broker, topics: Topics) -> Topic:
    """Topics with the run's batches, all of them committed."""
    asyncio.run(send_and_commit(broker, topics, BATCHES, committed=4))
    return Topic(broker.bootstrap, topics, topics.prefix)


@pytest.mark.parametrize("at", ["_rows", "_recomputed", "_accounted"])
def test_a_store_that_goes_away_meanwhile_is_said_in_one_sentence(
    clickhouse_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    healthy(clickhouse_store)
    monkeypatch.setattr(verify, at, away)
    with pytest.raises(StoreUnreachableError, match="does not answer; is the server still up"):
        checks_of(clickhouse_store)


def test_what_lies_below_the_commits_is_stored(clickhouse_store: ClickHouseStore, where: Topic) -> None:
    healthy(clickhouse_store)
    check = checks_of(clickhouse_store, where)["I4"]
    assert (check.ok, check.sentence) == (
        True,
        "4 batches lie below the committed offsets, 0 of them are not stored",
    )


def test_a_batch_that_was_committed_and_not_stored_is_found_unless_it_is_that_dead_letter(
    clickhouse_store: ClickHouseStore, where: Topic
) -> None:
    healthy(clickhouse_store, BATCHES[1:])
    clickhouse_store.write_dead_letters([LETTER])
    check = checks_of(clickhouse_store, where)["I4"]
    assert (check.ok, check.sentence) == (
        False,
        "4 batches lie below the committed offsets, 1 of them are not stored",
    )
    (lies,) = [seen for seen in asyncio.run(below_commits(where, RUN)) if seen.key == BATCHES[0].header.key]
    at = (*lies.place, lies.offset, "damaged")
    clickhouse_store.write_dead_letters([DeadLetter(*at, lies.timestamp_us - 60_000_000, 12)])
    assert not checks_of(clickhouse_store, where)["I4"].ok, "it lay there in another broker's topic"
    clickhouse_store.write_dead_letters([DeadLetter(*at, lies.timestamp_us, 12)])
    assert checks_of(clickhouse_store, where)["I4"].ok


def test_without_a_broker_that_answers_it_is_not_checked(clickhouse_store: ClickHouseStore) -> None:
    healthy(clickhouse_store)
    check = checks_of(clickhouse_store, Topic("127.0.0.1:1", Topics(), "g"))["I4"]
    assert check.ok is None
    assert check.sentence.startswith("not checked: the topics could not be read (")
