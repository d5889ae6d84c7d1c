"""Quantiles of merged sketches in SQL are those of Python."""

from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.sketch import Sketch
from sinks.sketch_sql import quantile_ms, quantiles_ms, row_quantile_ms

QUANTILES = (0.0, 0.001, 0.3, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
LATENCIES = st.lists(st.lists(st.integers(0, 3_600_000_000), max_size=30), min_size=1, max_size=4)


def in_sql(client: Client, sketches: list[Sketch], quantiles: tuple[float, ...]) -> list[float | None]:
    values = ", ".join(
        f"(CAST({list(one.buckets)}, 'Array(Int32)'), CAST({list(one.counts)}, 'Array(UInt64)'))" for one in sketches
    )
    columns = ", ".join(quantile_ms(q, "b", "c") for q in quantiles)
    # Brackets: a lone pair would be read as two values.
    query = f"SELECT {columns} FROM (SELECT t.1 AS b, t.2 AS c FROM (SELECT arrayJoin([{values}]) AS t))"
    return list(client.query(query).result_rows[0])


def of_a_row(client: Client, sketch: Sketch, quantiles: tuple[float, ...]) -> list[float | None]:
    columns = ", ".join(row_quantile_ms(q) for q in quantiles)
    row = (
        f"SELECT CAST({list(sketch.buckets)}, 'Array(Int32)') AS latency_buckets, "
        f"CAST({list(sketch.counts)}, 'Array(UInt64)') AS latency_counts"
    )
    return list(client.query(f"SELECT {columns} FROM ({row})").result_rows[0])


def in_groups(client: Client, sketches: list[Sketch], quantiles: tuple[float, ...]) -> list[list[float | None]]:
    """Of all sketches together, and of each as a group of its own."""
    values = ", ".join(
        f"({place}, CAST({list(one.buckets)}, 'Array(Int32)'), CAST({list(one.counts)}, 'Array(UInt64)'))"
        for place, one in [*((0, one) for one in sketches), *enumerate(sketches, 1)]
    )
    columns = ", ".join(quantiles_ms(*quantiles, buckets="b", counts="c", alone="place > 0"))
    query = (
        f"SELECT {columns} FROM (SELECT t.1 AS place, t.2 AS b, t.3 AS c FROM (SELECT arrayJoin([{values}]) AS t)) "
        "GROUP BY place ORDER BY place"
    )
    return [list(row) for row in client.query(query).result_rows]


def in_python(sketches: list[Sketch], quantiles: tuple[float, ...]) -> list[Any]:
    merged = Sketch.merged(sketches)
    found = [merged.quantile_us(q) for q in quantiles]
    return [value if value is None else pytest.approx(value / 1000, rel=1e-12) for value in found]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(latencies=LATENCIES, q=st.floats(0, 1))
def test_a_quantile_of_merged_sketches_is_the_same_in_sql_as_in_python(
    store_client: Client, latencies: list[list[int]], q: float
) -> None:
    sketches = [Sketch.of(np.array(some, np.int64)) for some in latencies]
    quantiles = (*QUANTILES, q)
    assert in_sql(store_client, sketches, quantiles) == in_python(sketches, quantiles)
    assert of_a_row(store_client, Sketch.merged(sketches), quantiles) == in_python(sketches, quantiles)
    groups = [sketches, *([one] for one in sketches)]
    assert in_groups(store_client, sketches, quantiles) == [in_python(some, quantiles) for some in groups]


def test_counts_beyond_what_fits_a_float_exactly_still_give_a_quantile(store_client: Client) -> None:
    sketches = [Sketch((-3, 10, 700), (2**40, 2**41 + 1, 1))] * 2
    assert in_sql(store_client, sketches, QUANTILES) == in_python(sketches, QUANTILES)


def test_no_latency_has_no_quantile(store_client: Client) -> None:
    assert in_sql(store_client, [Sketch()], (0.5,)) == [None]
    assert store_client.query(f"SELECT {quantile_ms(0.5)} FROM windows").result_rows == [(None,)]


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_lies_between_0_and_1(q: float) -> None:
    for sql in (quantile_ms, row_quantile_ms, lambda q: quantiles_ms(0.5, q, alone="1=1")):
        with pytest.raises(ValueError, match="no quantile"):
            sql(q)
