"""How the writer on ClickHouse goes about it: what a crash leaves, what is sent, and what it costs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from schemas.rows import StackFacts
from sinks.clickhouse import ClickHouseStore
from sinks.errors import RowsGoneError, StoreError, StoreUnreachableError
from sinks.flushes import STALE_US
from sinks.interning import stack_id
from sinks.orphans import sweep_orphans
from sinks.store import StoredBatch, WindowBatches
from tests.support.batches import (
    RUN,
    WINDOW,
    Request,
    Sample,
    even_requests,
    many_requests,
    many_samples,
    request_batch,
    stack_batch,
)
from tests.support.clickhouse_http import FakeServer
from tests.support.joined import joined_function, joined_window

HOUR_US = 3600 * 1_000_000
SECOND_US = 1_000_000
SOON_S = 60.0


class Recorder:
    """Stands between the store and its client: notes each insert, and may do something before one."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.inserts: list[tuple[str, Any, dict[str, Any]]] = []
        self.before: dict[str, Callable[[], None]] = {}
        insert, raw_insert = ClickHouseStore._insert, client.raw_insert

        def noted(store: ClickHouseStore, table: str, rows: pa.Table) -> None:
            self.before.pop(table, lambda: None)()
            if rows.num_rows:
                self.inserts.append((table, rows, {}))
            insert(store, table, rows)

        def sent(*arguments: Any, settings: dict[str, Any], **named: Any) -> Any:
            self.inserts[-1][2].update(settings)
            return raw_insert(*arguments, settings=settings, **named)

        monkeypatch.setattr(ClickHouseStore, "_insert", noted)
        monkeypatch.setattr(client, "raw_insert", sent)

    def tables(self) -> list[str]:
        return [table for table, _, _ in self.inserts]

    def count(self, table: str) -> int:
        return count(self.client, table)


@pytest.fixture
def recorder(store_client: Client, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(store_client, monkeypatch)


def count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def stored(*batches: Any) -> list[StoredBatch]:
    return [StoredBatch(batch, 0, offset) for offset, batch in enumerate(batches)]


def refuse() -> None:
    raise StoreUnreachableError("broken by the test")


def test_rows_come_before_the_record_that_names_them_in_one_insert_a_table(
    clickhouse_store: ClickHouseStore, recorder: Recorder
) -> None:
    clickhouse_store.write_batches(
        stored(*(request_batch([Request()], seq=n) for n in range(3)), stack_batch([Sample("a")]), stack_batch())
    )
    clickhouse_store.write_windows([joined_window(), joined_window(window=WINDOW + 1)])
    assert recorder.tables() == [
        "requests_stored", "stacks_stored", "samples_stored", "batches_stored",
        "endpoints_stored", "functions_stored", "windows_stored",
    ]  # fmt: skip


def test_much_is_written_in_pieces_which_become_visible_together(
    clickhouse_store: ClickHouseStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse._PIECE_BYTES", 2 * many_requests(100).nbytes)
    named = [request_batch(many_requests(100, seed=n), seq=n) for n in range(5)]
    samples = [stack_batch(many_samples(400, distinct=3, depth=3, seed=n), seq=n) for n in range(3)]
    recorder.before["batches_stored"] = lambda: seen.append(clickhouse_store.read_window(RUN, WINDOW))
    seen: list[WindowBatches] = []
    clickhouse_store.write_batches(stored(*named, *samples))
    assert [rows.num_rows for table, rows, _ in recorder.inserts if table == "requests_stored"] == [200, 200, 100]
    assert recorder.tables().count("samples_stored") > 1
    assert recorder.tables().count("stacks_stored") == 1, "each text once"
    assert recorder.tables()[-1] == "batches_stored"
    assert seen == [WindowBatches([], [])]
    found = clickhouse_store.read_window(RUN, WINDOW)
    assert [batch.rows.num_rows for batch in (*found.requests, *found.stacks)] == [100] * 5 + [400] * 3


def test_every_insert_is_answered_only_when_it_is_durable(
    clickhouse_store: ClickHouseStore, recorder: Recorder
) -> None:
    clickhouse_store.write_batches(stored(request_batch([Request()]), stack_batch([Sample("a")])))
    clickhouse_store.write_windows([joined_window()])
    assert all(settings["async_insert"] == 0 for _, _, settings in recorder.inserts)
    assert not any("deduplication_token" in name for _, _, settings in recorder.inserts for name in settings)


CRASHES = {
    "batches": ("batches_stored", {"requests_stored": "requests", "samples_stored": "samples"}),
    "joined windows": ("windows_stored", {"endpoints_stored": "endpoints", "functions_stored": "functions"}),
}


@pytest.mark.parametrize(("named_by", "view_of"), CRASHES.values(), ids=CRASHES)
def test_rows_that_a_crash_left_without_their_record_are_invisible_until_the_write_is_repeated(
    clickhouse_store: ClickHouseStore, recorder: Recorder, named_by: str, view_of: dict[str, str]
) -> None:
    def write() -> None:
        clickhouse_store.write_batches(stored(request_batch([Request()]), stack_batch([Sample("a")])))
        clickhouse_store.write_windows([joined_window()])

    recorder.before[named_by] = refuse
    with pytest.raises(StoreError):
        write()
    assert [recorder.count(table) for table in view_of] == [1, 1]
    assert [recorder.count(view) for view in view_of.values()] == [0, 0]
    write()
    assert [recorder.count(table) for table in view_of] == [2, 2]
    assert [recorder.count(view) for view in view_of.values()] == [1, 1]


def test_every_batch_of_every_attempt_has_a_flush_of_its_own(
    clickhouse_store: ClickHouseStore, recorder: Recorder
) -> None:
    batches = stored(*(request_batch([Request()] * 2, seq=seq) for seq in range(3)))
    for _ in range(2):
        clickhouse_store.write_batches(batches)
    flushes = [rows["flush"].to_pylist() for table, rows, _ in recorder.inserts if table == "batches_stored"]
    assert len({*flushes[0], *flushes[1]}) == 6


def test_an_insert_whose_answer_is_lost_is_never_sent_again_as_it_was(
    server_client: Client, fake_server: FakeServer
) -> None:
    """The driver repeats a request whose connection broke; with the same flush ids its rows would show twice."""
    store = ClickHouseStore(server_client)
    batches = stored(request_batch([Request()] * 3))
    fake_server.lose_connection_after = "`requests_stored`"
    with pytest.raises(StoreUnreachableError):
        store.write_batches(batches)
    assert count(server_client, "requests_stored") == 3
    fake_server.lose_connection_after = "`batches_stored`"
    with pytest.raises(StoreUnreachableError):
        store.write_batches(batches)
    fake_server.lose_connection_after = None
    store.write_batches(batches)
    assert count(server_client, "requests") == 3


def test_a_write_that_took_over_ten_minutes_is_done_again_before_anything_names_its_rows(
    store_client: Client, recorder: Recorder
) -> None:
    now = [WINDOW * SECOND_US * 2]

    def dawdle() -> None:
        now[0] += STALE_US + 1

    store = ClickHouseStore(store_client, lambda: now[0])
    recorder.before |= {"requests_stored": dawdle, "endpoints_stored": dawdle}
    store.write_batches(stored(request_batch([Request()])))
    store.write_windows([joined_window()])
    assert recorder.tables() == [
        "requests_stored", "requests_stored", "batches_stored",
        "endpoints_stored", "functions_stored", "endpoints_stored", "functions_stored", "windows_stored",
    ]  # fmt: skip
    first, second = (rows["flush"][0].as_py() for table, rows, _ in recorder.inserts if table == "requests_stored")
    assert recorder.inserts[2][1]["flush"].to_pylist() == [second]
    assert first < second


def test_the_text_of_a_stack_is_sent_once_a_run_and_day(store_client: Client, recorder: Recorder) -> None:
    now = [WINDOW * SECOND_US * 2]
    store = ClickHouseStore(store_client, lambda: now[0])
    texts: list[list[str]] = []
    for batch, later_us in [
        (stack_batch([Sample("a"), Sample("b"), Sample("a")]), 0),
        (stack_batch([Sample("b"), Sample("c")], seq=1), 0),
        (stack_batch([Sample("b")], run="run-2"), 0),
        (stack_batch([Sample("c")], seq=2), 24 * HOUR_US),
    ]:
        now[0] += later_us
        store.write_batches(stored(batch))
        texts.append(
            [
                text
                for table, rows, _ in recorder.inserts
                if table == "stacks_stored"
                for text in rows["stack"].to_pylist()
            ]
        )
        recorder.inserts.clear()
    assert [sorted(some) for some in texts] == [["a", "b"], ["c"], ["b"], ["c"]]


def test_a_text_whose_write_failed_is_sent_again(
    clickhouse_store: ClickHouseStore, store_client: Client, recorder: Recorder
) -> None:
    recorder.before["stacks_stored"] = refuse
    for _ in range(2):
        try:
            clickhouse_store.write_batches(stored(stack_batch([Sample("a")])))
        except StoreError:
            continue
    assert store_client.query("SELECT stack FROM samples").result_rows == [("a",)]


def test_the_id_of_a_stack_is_stable() -> None:
    assert stack_id("main (shop.py);sweep (shop.py)") == 14_183_186_567_478_415_675
    assert stack_id("") != stack_id(" ")


def test_rows_outlive_a_week_no_more_and_then_their_window_is_known_but_cannot_be_read_back(
    store_client: Client,
) -> None:
    eight_days_ago_us = time.time_ns() // 1000 - 8 * 24 * HOUR_US
    store = ClickHouseStore(store_client, lambda: eight_days_ago_us)
    store.write_batches(stored(request_batch([Request()])))
    store.write_windows([joined_window()])
    store_client.command("OPTIMIZE TABLE requests_stored FINAL")
    assert count(store_client, "requests") == 0
    assert [count(store_client, view) for view in ("batches", "windows", "endpoints")] == [1, 1, 1]
    with pytest.raises(RowsGoneError, match=f"window {WINDOW} of run {RUN} cannot be read back") as caught:
        store.read_window(RUN, WINDOW)
    assert not caught.value.retriable


def test_orphans_are_swept_when_old_and_never_what_is_named(
    clickhouse_store: ClickHouseStore, store_client: Client, recorder: Recorder
) -> None:
    visible = stored(request_batch([Request()] * 2), stack_batch([Sample("a")] * 3))
    for named_by in ("batches_stored", "windows_stored"):
        recorder.before[named_by] = refuse
        with suppress(StoreUnreachableError):
            clickhouse_store.write_batches(visible)
            clickhouse_store.write_windows([joined_window()])
    clickhouse_store.write_batches(visible)
    clickhouse_store.write_windows([joined_window(batches_covered=3)])
    clickhouse_store.write_windows([joined_window(batches_covered=2, functions=(joined_function("part"),) * 2)])
    before = clickhouse_store.read_window(RUN, WINDOW), clickhouse_store.read_joined(RUN, WINDOW)

    assert sweep_orphans(store_client) == 0, "too young to be swept"
    # A crashed write and a superseded one of the batches, a crashed and a losing one of the window.
    assert sweep_orphans(store_client, -1.0) == 2 * (2 + 3) + (1 + 1) + (1 + 2)
    assert sweep_orphans(store_client, -1.0) == 0
    tables = ("requests_stored", "samples_stored", "endpoints_stored", "functions_stored")
    assert [count(store_client, table) for table in tables] == [2, 3, 1, 1]
    after = clickhouse_store.read_window(RUN, WINDOW), clickhouse_store.read_joined(RUN, WINDOW)
    assert after == before


def test_what_a_row_costs_on_disk(
    clickhouse_store: ClickHouseStore, store_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of requests that fall due evenly at one endpoint only the times differ, and these are on their grids."""
    seconds = range(60)
    facts = StackFacts(service="shop", instance="pid-1")
    clickhouse_store.write_batches(
        stored(
            *(request_batch(even_requests(2_000, window=WINDOW + n, seed=n), window=WINDOW + n) for n in seconds),
            *(
                stack_batch(many_samples(1_000, window=WINDOW + n, seed=n), window=WINDOW + n, facts=facts)
                for n in seconds
            ),
        )
    )
    rows = store_client.query(
        "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() "
        "GROUP BY table"
    ).result_rows
    size: defaultdict[str, int] = defaultdict(int, rows)
    a_request = size["requests_stored"] / count(store_client, "requests")
    a_sample = (size["samples_stored"] + size["stacks_stored"]) / count(store_client, "samples")
    with capsys.disabled():
        print(f" [{a_request:.1f} B a request, {a_sample:.1f} B a sample] ", end="")  # noqa: T201 - a figure to follow
    assert a_request < 3
    assert a_sample < 5


def test_windows_that_are_read_together_are_as_if_read_one_by_one(clickhouse_store: ClickHouseStore) -> None:
    store = clickhouse_store
    sent = {
        window: (many_requests(50, window=window, seed=window), many_samples(30, window=window, seed=window))
        for window in (WINDOW, WINDOW + 1, WINDOW + 3)
    }
    for window, (requests, samples) in sent.items():
        store.write_batches(stored(request_batch(requests, window=window), stack_batch(samples, window=window)))
        store.write_windows([joined_window(window=window, batches_covered=count) for count in (2, 1)])
    together = store.read_windows(RUN, WINDOW, WINDOW + 3)
    assert list(together) == list(sent)
    for window, batches in sent.items():
        for was, (now,) in zip(batches, (together[window].requests, together[window].stacks), strict=True):
            assert sorted(now.rows.to_pylist(), key=str) == sorted(was.to_pylist(), key=str)
    joined = store.read_joined_windows(RUN, WINDOW, WINDOW + 3)
    assert joined == {window: joined_window(window=window, batches_covered=2) for window in sent}


def test_pieces_go_to_a_server_as_one_insert(
    server_client: Client, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse._PIECE_BYTES", many_requests(100).nbytes)
    numbers = (2, 0, 3, 1)
    batches = (request_batch(many_requests(100, window=WINDOW + n, seed=n), window=WINDOW + n) for n in numbers)
    ClickHouseStore(server_client).write_batches(stored(*batches))
    assert sum("INSERT INTO `requests_stored`" in sql for sql in fake_server.requests) == 1
    parts = "SELECT count(), sum(rows) FROM system.parts WHERE active AND table = 'requests_stored'"
    assert server_client.query(parts).result_rows == [(1, 400)]
    assert count(server_client, "requests") == 400


def test_a_server_takes_rows_while_something_else_is_done(
    server_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, under_way, joined = server_client.raw_insert, Event(), Event()

    def until_joined(table: str, *arguments: Any, **named: Any) -> Any:
        under_way.set()
        assert joined.wait(SOON_S)
        return insert(table, *arguments, **named)

    def meanwhile() -> None:
        assert under_way.wait(SOON_S)
        joined.set()

    monkeypatch.setattr(server_client, "raw_insert", until_joined)
    ClickHouseStore(server_client).write_batches(stored(request_batch([Request()])), meanwhile)
    assert count(server_client, "requests") == 1


def test_a_connection_that_is_lost_between_two_pieces_makes_none_visible(
    server_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse._PIECE_BYTES", many_requests(100).nbytes)
    insert, met = server_client.raw_insert, [OperationalError("connection lost")]

    def until_lost(blocks: Iterator[bytes]) -> Iterator[bytes]:
        for number, block in enumerate(blocks):
            if number > 40 and met:
                raise met.pop()
            yield block

    def lost_once(table: str, columns: list[str], blocks: Iterator[bytes], **named: Any) -> Any:
        return insert(table, columns, until_lost(blocks), **named)

    monkeypatch.setattr(server_client, "raw_insert", lost_once)
    store, batches = ClickHouseStore(server_client), stored(*(request_batch(many_requests(100), seq=n) for n in (0, 1)))
    with pytest.raises(StoreUnreachableError):
        store.write_batches(batches)
    assert not met
    assert count(server_client, "requests") == 0
    store.write_batches(batches)
    assert count(server_client, "requests") == 200
