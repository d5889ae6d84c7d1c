"""Rows on their way into the store: sorted as it keeps them, so that it need not, and still the same rows."""

from dataclasses import replace

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sinks.store import StoredBatch
from sinks.truth_tables import batches_table, requests_table
from tests.support.batches import RUN, WINDOW, Request, Sample, request_batch, stack_batch

_NAMES = st.sampled_from(["a", "b", "ä", "A", "", "\U0001f600", "\uffff"])
_ROWS = st.lists(
    st.builds(
        Request,
        scheduled_at=st.integers(0, 5) | st.integers(0, (1 << 53) - 1),
        endpoint=_NAMES,
        stage=_NAMES,
        error=st.none() | _NAMES,
        latency_us=st.integers(0, (1 << 32) - 1),
    ),
    min_size=1,
    max_size=12,
)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["run-1", "run-2"]), _ROWS), min_size=1, max_size=4))
def test_requests_come_in_the_order_of_their_table_and_none_is_changed(
    sent: list[tuple[int, str, list[Request]]],
) -> None:
    batches = [request_batch(rows, window=WINDOW + at, run=run, seq=n) for n, (at, run, rows) in enumerate(sent)]
    flushes = [90 - n for n in range(len(batches))]
    table = requests_table(batches, flushes)
    rows = table.to_pylist()
    keys = [
        (
            row["run"].encode(),
            row["window"],
            row["flush"],
            row["stage"].encode(),
            row["endpoint"].encode(),
            row["scheduled_at"],
        )
        for row in rows
    ]
    assert keys == sorted(keys)
    wanted = [
        {**row, "run": run, "window": WINDOW + at, "flush": flush}
        for (at, run, _), flush, batch in zip(sent, flushes, batches, strict=True)
        for row in batch.rows.to_pylist()
    ]
    assert sorted(rows, key=repr) == sorted(
        ({name: row[name] for name in table.column_names} for row in wanted), key=repr
    )


def test_many_names_over_a_long_time_are_sorted_as_well() -> None:
    """Place and time do not fit one number then."""
    rows = [
        Request(endpoint=f"{n % 1_500:04}", stage=f"{n % 700:03}", scheduled_at=(n * 7919) % 50) for n in range(3_000)
    ]
    rows[0] = replace(rows[0], scheduled_at=(1 << 53) - 1)
    table = requests_table([request_batch(rows)], [1])
    keys = list(
        zip(
            *(
                table[name].cast(pa.string() if name != "scheduled_at" else pa.int64()).to_pylist()
                for name in ("stage", "endpoint", "scheduled_at")
            ),
            strict=True,
        )
    )
    assert keys == sorted(keys)
    assert len(keys) == len(rows)
    assert RUN in table["run"].unique().to_pylist()


def test_a_batch_says_how_long_its_samples_on_a_cpu_stand_for() -> None:
    samples = [
        Sample("a", weight_us=4_000),
        Sample("b", weight_us=70_000, mode="wall"),
        Sample("a", weight_us=2**32 - 1),
    ]
    batches = [stack_batch(samples), stack_batch(samples[1:2]), stack_batch(), request_batch([Request()])]
    table = batches_table([StoredBatch(batch, 0, 0) for batch in batches], range(4), 0)
    assert table["sampled_us"].to_pylist() == [4_000 + 2**32 - 1, 0, 0, 0]
