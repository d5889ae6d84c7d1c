"""The delivery invariants of a run, checked from the store, the run's own totals and, while they last, the topics.

I0  what the target counted = sent
I1  visible batches = distinct batches that Kafka acknowledged, and their rows are complete
I2  every joined window = the same window computed again from the visible batches, and every minute = those windows
I3  scheduled = completed + failed + dropped + in flight at the end, and completed + failed are stored
I4  everything below the committed offsets is durable (needs the broker)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from aiokafka.errors import KafkaError

from processors.committed import Topic, below_commits
from processors.join import join_window
from schemas.events import LoadTotals, ProducerEnded, RunStarted, counted_by_target
from schemas.joined import JoinedWindow
from schemas.minutes import MinuteKey, StackCpu, join_minute, minute_of, stack_cpu
from sinks.clickhouse import ClickHouseStore
from sinks.errors import RowsGoneError, store_errors
from sinks.store import LetterCount, WindowBatches

__all__ = ["Check", "Topic", "verify_accounts", "verify_run"]
READ_S = 20.0
_DIFFERENT = 5
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: whether it holds (None: it could not be checked), and the figures in one sentence."""

    name: str
    ok: bool | None
    sentence: str


def verify_run(store: ClickHouseStore, run_id: str, where: Topic | None = None) -> list[Check]:
    """Check a run. Blocks; reads every window of it. Must not be called in a running event loop. Raises StoreError."""
    counted, stored_once, accounted = verify_accounts(store, run_id)
    with store_errors("verify the run"):
        started = next((event for event in store.read_events(run_id) if isinstance(event, RunStarted)), None)
        recomputed = _recomputed(store, run_id, started.window_us if started else None)
        return [counted, stored_once, recomputed, accounted, _committed(store, run_id, where)]


def verify_accounts(store: ClickHouseStore, run_id: str) -> list[Check]:
    """I0, I1 and I3: those for which the store has only to count. Blocks; raises StoreError."""
    events = store.read_events(run_id)
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    producers = [event for event in events if isinstance(event, ProducerEnded)]
    loads = [event for event in producers if event.totals is not None]
    letters = store.count_dead_letters(run_id, since_us=started.started_at_us if started else 0)
    with store_errors("count what the run stored"):
        return [
            _counted([event.totals for event in loads if event.totals]),
            _stored_once(store, run_id, producers, letters),
            _accounted(store, run_id, loads, letters),
        ]


def _counted(loads: Sequence[LoadTotals]) -> Check:
    counted = counted_by_target(total.target_counted for total in loads)
    if counted is None:
        return Check("I0", None, "the target does not count its requests (target_count_path in the plan)")
    sent = sum(total.sent for total in loads)
    return Check("I0", sent == counted, f"{sent} requests were sent, the target counted {counted}")


def _stored_once(
    store: ClickHouseStore, run_id: str, producers: Sequence[ProducerEnded], letters: LetterCount
) -> Check:
    if not producers:
        return Check("I1", None, "no producer said what was acknowledged to it")
    visible = store.count_batches(run_id)
    found, damaged, outlived = _rows(store, run_id)
    acknowledged = sum(event.batches_acknowledged for event in producers)
    rows = sum(event.rows_acknowledged for event in producers)
    lost = sum(event.batches_lost for event in producers)
    sentence = (
        f"{acknowledged} batches ({rows} rows) were acknowledged, {sum(visible.values())} ({found} rows) are visible, "
        f"{letters.batches} dead letters"
    )
    if letters.recovered:
        sentence += f"; {letters.recovered} more were sent again and are visible"
    if lost:
        sentence += f"; {lost} batches were given up and declared lost by their producers"
    if spooled := sum(event.batches_spooled for event in producers):
        sentence += f"; {spooled} batches waited on a producer's disk when it ended, and came later"
    if damaged:
        return Check("I1", False, f"{sentence}; {damaged} batches have more or fewer rows than they brought")
    if unknown := sorted(visible.keys() - {event.producer_id for event in producers}):
        return Check("I1", None, f"{sentence}; the tail of producers that did not say their end is unknown: {unknown}")
    missing = {event: event.batches_acknowledged - visible.get(event.producer_id, 0) for event in producers}
    # A batch that was given up may have arrived all the same: nobody said so. A dead letter cannot be visible.
    exact = all(-count <= event.batches_lost for event, count in missing.items())
    beyond = sum(max(0, count) for count in missing.values()) - letters.batches
    if exact and 0 < beyond <= letters.unknown:
        return Check("I1", None, f"{sentence}; {letters.unknown} dead letters more do not say of which run they are")
    exact = exact and beyond <= 0
    if exact and outlived:
        return Check("I1", None, f"{sentence}; the rows of {outlived} batches have outlived their time in the store")
    return Check("I1", exact and (found <= rows <= found + letters.rows or bool(lost)), sentence)


def _rows(store: ClickHouseStore, run_id: str) -> tuple[int, int, int]:
    """Visible rows of a run; batches with other rows than they announced; batches whose rows are gone with time."""
    sql = (
        "SELECT sum(there), countIf(there != rows AND NOT gone), countIf(gone) FROM (SELECT rows, there, "
        "there = 0 AND rows > 0 AND stored_at < now() - INTERVAL 7 DAY AS gone "
        "FROM (SELECT flush, rows, stored_at FROM batches WHERE run = {run:String}) AS batch LEFT JOIN ("
        "SELECT flush, count() AS there FROM requests_stored WHERE run = {run:String} GROUP BY flush UNION ALL "
        "SELECT flush, count() AS there FROM samples_stored WHERE run = {run:String} GROUP BY flush"
        ") AS brought USING flush)"
    )
    found, damaged, gone = store.client.query(sql, {"run": run_id}).result_rows[0]
    return int(found), int(damaged), int(gone)


def _recomputed(store: ClickHouseStore, run_id: str, window_us: int | None) -> Check:
    if window_us is None:
        return Check("I2", None, "the run's start is not in the store, so the length of its windows is unknown")
    sql = (
        "SELECT window FROM batches WHERE run = {run:String} "
        "UNION DISTINCT SELECT window FROM windows WHERE run = {run:String}"
    )
    windows = sorted(int(row[0]) for row in store.client.query(sql, {"run": run_id}).result_rows)
    found = _Recomputed()
    for minute, some in groupby(windows, lambda window: minute_of(window, window_us)):
        _recompute_minute(store, MinuteKey(run_id, minute, window_us), list(some), found)
    sentence = (
        f"{len(windows)} joined windows computed again from the batches, {len(found.windows)} differ; "
        f"{found.compared} minutes from the windows, {len(found.minutes)} differ"
    )
    if found.windows or found.minutes:
        which = found.windows[:_DIFFERENT] or f"minutes {found.minutes[:_DIFFERENT]}"
        return Check("I2", False, f"{sentence}: {which}")
    if found.unreadable:
        return Check(
            "I2", None, f"{sentence}, and {found.unreadable} could not be: not all of their rows are there (see I1)"
        )
    if found.unmade:
        return Check("I2", None, f"{sentence}, and {found.unmade} are still to be made: start a worker")
    return Check("I2", True, sentence)


@dataclass(slots=True)
class _Recomputed:
    """What was found: windows and minutes that differ, windows that cannot be read back, minutes without a record of
    all their windows.
    """

    windows: list[int] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)
    unreadable: int = 0
    unmade: int = 0
    compared: int = 0


def _recompute_minute(store: ClickHouseStore, key: MinuteKey, windows: Sequence[int], found: _Recomputed) -> None:
    again: list[JoinedWindow] = []
    stacks: list[StackCpu] = []
    for some in (windows[at : at + _AT_ONCE] for at in range(0, len(windows), _AT_ONCE)):
        joined = store.read_joined_windows(key.run_id, some[0], some[-1])
        truth = _truth(store, key.run_id, some)
        found.unreadable += len(some) - len(truth)
        for window, batches in truth.items():
            one = join_window(key.run_id, window, key.window_us, batches.requests, batches.stacks, closed_by="late")
            if window not in joined or replace(joined[window], closed_by="late") != one:
                found.windows.append(window)
            again.append(one)
            stacks += stack_cpu(batches.stacks)
    if len(again) < len(windows):
        return
    stored = store.read_minutes(key.run_id, key.minute, key.minute).get(key.minute)
    made = join_minute(key.minute, again, stacks)
    if stored is None or stored.batches_covered < made.batches_covered:
        found.unmade += 1
        return
    found.compared += 1
    # How its windows were closed is told of them, and nothing that a batch says.
    if replace(stored, late=0, incomplete=0) != replace(made, late=0, incomplete=0):
        found.minutes.append(key.minute)


def _truth(store: ClickHouseStore, run_id: str, windows: Sequence[int]) -> dict[int, WindowBatches]:
    """The batches of these windows, without those windows of which not all can be read back."""
    try:
        found = store.read_windows(run_id, windows[0], windows[-1])
    except RowsGoneError:
        if len(windows) == 1:
            return {}
        return {key: truth for window in windows for key, truth in _truth(store, run_id, [window]).items()}
    return {window: found.get(window, WindowBatches([], [])) for window in windows}


def _accounted(store: ClickHouseStore, run_id: str, loads: Sequence[ProducerEnded], letters: LetterCount) -> Check:
    totals = [event.totals for event in loads if event.totals is not None]
    if not totals:
        return Check("I3", None, "no load producer said its totals")
    scheduled = sum(total.scheduled for total in totals)
    completed, failed = sum(total.completed for total in totals), sum(total.failed for total in totals)
    dropped, in_flight = sum(total.dropped for total in totals), sum(total.in_flight_at_end for total in totals)
    declared = sum(event.rows_lost for event in loads)
    sql = "SELECT DISTINCT producer FROM batches WHERE run = {run:String} AND topic = 'requests'"
    seen = {str(row[0]) for row in store.client.query(sql, {"run": run_id}).result_rows}
    silent = len(seen - {event.producer_id for event in loads})
    stored = int(
        store.client.query("SELECT count() FROM requests WHERE run = {run:String}", {"run": run_id}).result_rows[0][0]
    )
    missing = completed + failed - stored
    closes = scheduled == completed + failed + dropped + in_flight
    sentence = (
        f"{scheduled} scheduled = {completed} completed + {failed} failed + {dropped} dropped + {in_flight} in flight; "
        f"{stored} stored"
    )
    if silent:
        return Check("I3", None, f"{sentence}; {silent} load producers did not say what they had scheduled")
    if missing > 0:
        sentence += f", {missing} not ({declared} were declared lost, {letters.rows} are in dead letters)"
    if closes and missing > declared + letters.rows and letters.unknown:
        return Check("I3", None, f"{sentence}; {letters.unknown} dead letters do not say of which run they are")
    return Check("I3", closes and 0 <= missing <= declared + letters.rows, sentence)


def _committed(store: ClickHouseStore, run_id: str, where: Topic | None) -> Check:
    if where is None:
        return Check("I4", None, "not checked: no broker was named, so the topics could not be read")
    try:
        below = asyncio.run(asyncio.wait_for(below_commits(where, run_id), READ_S))
    except (KafkaError, OSError, TimeoutError) as error:
        return Check("I4", None, f"not checked: the topics could not be read ({str(error) or 'no answer in time'})")
    sql = "SELECT topic, window, producer, seq FROM batches WHERE run = {run:String}"
    visible = {tuple(row) for row in store.client.query(sql, {"run": run_id}).result_rows}
    # Offsets begin anew with each embedded broker: by the time as well a letter is the one that lies there.
    sql = "SELECT topic, partition, offset, toUnixTimestamp64Micro(received_at) FROM dead_letters"
    letters = {tuple(row) for row in store.client.query(sql).result_rows}
    stored = {seen for seen in below if (seen.key.topic, *seen.key[2:]) in visible}
    lost = [seen for seen in below if seen not in stored and (*seen.place, *seen[2:]) not in letters]
    return Check(
        "I4", not lost, f"{len(below)} batches lie below the committed offsets, {len(lost)} of them are not stored"
    )
