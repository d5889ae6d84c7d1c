"""The store on ClickHouse, embedded or a server: the one writer."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httpclient import HttpClient

from schemas.batches import Batch
from schemas.events import EventData
from schemas.joined import JoinedWindow
from schemas.minutes import JoinedMinute, MinuteKey
from sinks import derived_tables, reading, truth_tables
from sinks.connect import check_embedded, embedded_database, is_embedded, open_client
from sinks.errors import StoreBusyError, StoreUnreachableError, store_errors
from sinks.flushes import STALE_US, FlushIds
from sinks.interning import Interner
from sinks.letters import count_dead_letters, replays_table
from sinks.migrate import check_migrations, migrate
from sinks.minutes import make_minutes, neighbours, unmade_minutes
from sinks.native import block
from sinks.orphans import sweep_orphans
from sinks.reading_minutes import read_minutes
from sinks.sharing import awaited_share, make_room, would_make_room
from sinks.store import Coverage, DeadLetter, LetterCount, StoredBatch, WindowBatches, nothing

_DAY_US = 86_400 * 1_000_000
_AT_ONCE: dict[str, Any] = {
    # The server would otherwise answer before an insert is durable, and may join it with somebody else's.
    "async_insert": 0,
    # On a cluster rows must have arrived before the record that makes them visible.
    "distributed_foreground_insert": 1,
}

_BRIEF_S = 4.0
"""Who has the embedded store and shares it with nobody is a command that reads it, as a rule, and soon done."""
_PIECE_BYTES = 6 << 20
"""Rows of one insert, as they came: on their way into the store there are some four copies of them at once."""


def open_store(url: str) -> "ClickHouseStore":
    """Open the store at `url` for writing, set up or brought up to date first. Blocks. Raises StoreError.

    Who only reads an embedded store lets go of it (see `sinks.sharing`).
    """
    if is_embedded(url):
        make_room(url)
    client = open_client(url)
    migrate(client)
    return ClickHouseStore(client)


def check_store(url: str) -> None:
    """Raise what `open_store` would, as far as that is to be told without making anything. Blocks.

    An embedded store is not opened for it: the engine is large, and how old the store is, its worker says.
    """
    if is_embedded(url):
        try:
            check_embedded(url)
        except StoreBusyError as busy:
            if not would_make_room(url, busy):
                raise
        return
    with contextlib.closing(open_client(url)) as client:
        check_migrations(client)


def open_for_reading(url: str) -> Client:
    """A client for the views. The embedded store is set up first; a server is its workers' affair, and a reader has no
    right to. An embedded store that another process has is read through that one. Blocks. Raises StoreError.
    """
    if not is_embedded(url):
        return open_client(url)
    until_s = time.monotonic() + _BRIEF_S
    while True:
        try:
            client = open_client(url)
        except StoreBusyError as busy:
            try:
                if through := _through_its_holder(url, busy):
                    return through
            except StoreBusyError:
                if time.monotonic() > until_s:
                    raise
        else:
            migrate(client)
            return client


def _through_its_holder(url: str, busy: StoreBusyError) -> Client | None:
    """A client of the process that has the embedded store; None when it has just ended. Raises `busy`."""
    try:
        client = open_client(awaited_share(busy, url).store_url(embedded_database(url)))
    except StoreUnreachableError:
        return None
    check_migrations(client)
    return client


def _pieces(pairs: Sequence[tuple[Batch, int]]) -> Iterator[list[tuple[Batch, int]]]:
    """Batches of about `_PIECE_BYTES` of rows, each with its flush, one after the other."""
    piece: list[tuple[Batch, int]] = []
    size = 0
    for batch, flush in pairs:
        piece.append((batch, flush))
        size += batch.rows.nbytes
        if size >= _PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _now_us() -> int:
    return time.time_ns() // 1000


class ClickHouseStore:
    """`Store` on ClickHouse. `now_us` is the clock, in microseconds since the Unix epoch.

    Rows first, then the record that names their flush: what a crash leaves behind names nothing, and is invisible.
    Inserts carry no deduplication token: without a window for it the token is ignored, and with one a token that
    comes with other rows drops them silently. New flush ids at every attempt make tokens needless.
    """

    def __init__(self, client: Client, now_us: Callable[[], int] = _now_us) -> None:
        self._client = client
        self._is_server = isinstance(client, HttpClient)
        self._now_us = now_us
        self._flush_ids = FlushIds(now_us)
        self._interner = Interner()

    def write_batches(self, batches: Sequence[StoredBatch], meanwhile: Callable[[], None] = nothing) -> None:
        """See Store."""
        with store_errors("store batches"):
            # An engine in this process has no use for it: it would be slowed down by as much.
            now, then = (meanwhile, nothing) if self._is_server else (nothing, meanwhile)
            while not self._written(batches, now):
                now = nothing
        then()

    def _written(self, batches: Sequence[StoredBatch], meanwhile: Callable[[], None]) -> bool:
        """Store under new ids; False when it took so long that it must be done again."""
        started_us = self._now_us()
        flushes = self._flush_ids.take(len(batches))
        pairs = ((one.batch, flush) for one, flush in zip(batches, flushes, strict=True) if one.batch.rows.num_rows)
        filled, day = truth_tables.in_order(pairs), started_us // _DAY_US
        if self._is_server:
            with ThreadPoolExecutor(1, thread_name_prefix="insert") as thread:
                inserted = thread.submit(self._insert_rows, filled, day)
                meanwhile()
            inserted.result()
        else:
            self._insert_rows(filled, day)
        now_us = self._now_us()
        if now_us - started_us > STALE_US:
            return False
        self._insert("batches_stored", truth_tables.batches_table(batches, flushes, now_us))
        return True

    def _insert_rows(self, pairs: Sequence[tuple[Batch, int]], day: int) -> None:
        requests = _pieces([pair for pair in pairs if pair[0].header.key.topic == "requests"])
        self._insert_all(
            "requests_stored", (truth_tables.requests_table(*zip(*piece, strict=True)) for piece in requests)
        )
        for piece in _pieces([pair for pair in pairs if pair[0].header.key.topic == "stacks"]):
            self._insert_samples(piece, day)

    def _insert_samples(self, pairs: Sequence[tuple[Batch, int]], day: int) -> None:
        rows, texts = truth_tables.samples_table(*zip(*pairs, strict=True))
        missing = self._interner.missing(texts, day)
        self._insert("stacks_stored", truth_tables.stacks_table({key: texts[key] for key in missing}, day))
        self._interner.remember(missing)
        self._insert("samples_stored", rows)

    def write_windows(self, windows: Sequence[JoinedWindow]) -> None:
        """See Store."""
        with store_errors("store joined windows"):
            stale = True
            while stale:
                started_us = self._now_us()
                flushes = self._flush_ids.take(len(windows))
                self._insert("endpoints_stored", derived_tables.endpoints_table(windows, flushes))
                self._insert("functions_stored", derived_tables.functions_table(windows, flushes))
                now_us = self._now_us()
                stale = now_us - started_us > STALE_US
            self._insert("windows_stored", derived_tables.windows_table(windows, flushes, now_us))

    def write_minutes(self, keys: Sequence[MinuteKey]) -> None:
        """See Store."""
        with store_errors("store minutes"):
            for some in neighbours(keys):
                while not make_minutes(self._client, some, self._flush_ids, self._insert, self._now_us):
                    pass

    def write_events(self, events: Sequence[EventData], times_us: Sequence[int]) -> None:
        """See Store."""
        with store_errors("store events"):
            self._insert("events_stored", derived_tables.events_table(events, times_us))

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See Store."""
        with store_errors("store dead letters"):
            self._insert("dead_letters_stored", derived_tables.dead_letters_table(letters))

    def write_replays(self, replayed: Sequence[tuple[DeadLetter, int]]) -> None:
        """Store that dead letters were sent again, and to which offset of their topic and partition."""
        with store_errors("store replays"):
            self._insert("replays_stored", replays_table(replayed, self._now_us()))

    def read_window(self, run_id: str, window: int) -> WindowBatches:
        """See Store."""
        return reading.read_window(self._client, run_id, window)

    def read_joined(self, run_id: str, window: int) -> JoinedWindow | None:
        """See Store."""
        return reading.read_joined(self._client, run_id, window)

    def unmade_minutes(self, run_id: str | None = None) -> list[MinuteKey]:
        """See Store."""
        with store_errors("look for minutes"):
            return unmade_minutes(self._client, run_id)

    def read_minutes(self, run_id: str, first: int, last: int) -> dict[int, JoinedMinute]:
        """See Store."""
        return read_minutes(self._client, run_id, first, last)

    def read_windows(self, run_id: str, first: int, last: int) -> dict[int, WindowBatches]:
        """See `sinks.reading.read_windows`: many windows for little more than the price of one."""
        return reading.read_windows(self._client, run_id, first, last)

    def read_joined_windows(self, run_id: str, first: int, last: int) -> dict[int, JoinedWindow]:
        """See `sinks.reading.read_joined_windows`."""
        return reading.read_joined_windows(self._client, run_id, first, last)

    def read_coverage(self, run_id: str) -> dict[int, Coverage]:
        """See Store."""
        return reading.read_coverage(self._client, run_id)

    def count_visible(self, run_id: str, windows: Sequence[int]) -> dict[int, int]:
        """See Store."""
        return reading.count_visible(self._client, run_id, windows)

    def read_events(self, run_id: str) -> list[EventData]:
        """See Store."""
        return reading.read_events(self._client, run_id)

    def count_batches(self, run_id: str) -> dict[str, int]:
        """See Store."""
        return reading.count_batches(self._client, run_id)

    def sweep(self) -> int:
        """See Store."""
        return sweep_orphans(self._client)

    def count_dead_letters(self, run_id: str, *, since_us: int) -> LetterCount:
        """See Store."""
        return count_dead_letters(self._client, run_id, since_us)

    @property
    def client(self) -> Client:
        """The client, for reading through the views; one thread at a time."""
        return self._client

    def close(self) -> None:
        """Let go of the store."""
        self._client.close()

    def _insert_all(self, table: str, pieces: Iterable[pa.Table]) -> None:
        """Insert tables of the same columns. A server gets one insert, and works on a piece, on a core of its own,
        while the next is made here; the fewer inserts, the fewer parts it has to merge. The embedded engine would hold
        all of them at once.
        """
        if not self._is_server:
            for rows in pieces:
                self._insert(table, rows)
            return
        coming = iter(pieces)
        if (first := next(coming, None)) is not None:
            self._send(table, first.column_names, chain([first], coming))

    def _insert(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._send(table, rows.column_names, [rows])

    def _send(self, table: str, columns: Sequence[str], tables: Iterable[pa.Table]) -> None:
        blocks = (part for rows in tables for part in block(rows))
        self._client.raw_insert(quote_identifier(table), columns, blocks, settings=_AT_ONCE, fmt="Native")
