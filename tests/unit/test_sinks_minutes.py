"""What only the real store can lose or leave behind of a minute."""

from processors.join import join_window
from schemas.minutes import MinuteKey
from sinks.clickhouse import ClickHouseStore
from sinks.minutes import neighbours
from sinks.orphans import sweep_orphans
from sinks.store import StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, many_requests, many_samples, request_batch, stack_batch

FIRST = WINDOW // 60 * 60
MINUTE = FIRST // 60


def write(store: ClickHouseStore, window: int, producer: str) -> None:
    """One more batch of each kind, and the window joined from them alone."""
    requests = request_batch(many_requests(20, window=window), window=window, producer=producer, final=True)
    stacks = stack_batch(many_samples(30, window=window, distinct=4), window=window, producer=f"agent-{producer}")
    store.write_batches([StoredBatch(requests, 0, 1), StoredBatch(stacks, 0, 1)])
    store.write_windows([join_window(RUN, window, WINDOW_US, [requests], [stacks], closed_by="producers")])


def test_stacks_of_a_minute_outlive_their_samples(clickhouse_store: ClickHouseStore) -> None:
    write(clickhouse_store, FIRST, "load-1")
    clickhouse_store.write_minutes(clickhouse_store.unmade_minutes())
    (before,) = clickhouse_store.read_minutes(RUN, MINUTE, MINUTE).values()
    clickhouse_store.client.command("TRUNCATE TABLE samples_stored")
    write(clickhouse_store, FIRST + 5, "load-2")  # comes when the samples of its neighbours are gone
    clickhouse_store.write_minutes(clickhouse_store.unmade_minutes())
    (after,) = clickhouse_store.read_minutes(RUN, MINUTE, MINUTE).values()
    assert after.stacks == before.stacks
    assert (before.windows, after.windows) == (1, 2)


def test_what_earlier_records_of_a_minute_named_is_swept_and_what_is_visible_stays(
    clickhouse_store: ClickHouseStore,
) -> None:
    write(clickhouse_store, FIRST, "load-1")
    for _ in range(3):
        clickhouse_store.write_minutes([MinuteKey(RUN, MINUTE, WINDOW_US)])
    before = clickhouse_store.read_minutes(RUN, MINUTE, MINUTE)
    stored = clickhouse_store.client.query("SELECT count() FROM minute_stacks_stored").result_rows[0][0]
    assert stored == 3 * len(before[MINUTE].stacks)
    assert sweep_orphans(clickhouse_store.client, older_than_s=-60) > 0
    stored = clickhouse_store.client.query("SELECT count() FROM minute_stacks_stored").result_rows[0][0]
    assert stored == len(before[MINUTE].stacks)
    assert clickhouse_store.read_minutes(RUN, MINUTE, MINUTE) == before


def test_minutes_are_made_with_their_neighbours_a_few_at_a_time() -> None:
    keys = [MinuteKey(run, minute, WINDOW_US) for run, minute in [("a", 5), ("a", 4), ("a", 7), ("b", 8)]]
    assert [[key[:2] for key in some] for some in neighbours(keys)] == [[("a", 4), ("a", 5)], [("a", 7)], [("b", 8)]]
    many = [MinuteKey("a", minute, WINDOW_US) for minute in range(25)]
    assert [len(some) for some in neighbours(many)] == [10, 10, 5]
    assert [key for some in neighbours(many) for key in some] == many
