"""What is handed over as `Native` is what the engine reads: of every type that the store's tables are made from."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.coding import coded
from sinks.native import block

NOON = dt.datetime(2026, 9, 21, 12, 0, 0, 250, tzinfo=dt.UTC)
LONG = "x" * 300  # its length takes two bytes
_CODES = pa.dictionary(pa.int32(), pa.string())
KINDS = {  # the Arrow type, the store's type, values
    "whole numbers": (pa.uint64(), "UInt64", [0, 1, 2**64 - 1]),
    "whole numbers into a narrower column": (pa.uint64(), "UInt32", [0, 7, 2**32 - 1]),
    "numbers of 16 bits": (pa.uint16(), "UInt16", [0, 200, 65535]),
    "yes and no": (pa.bool_(), "Bool", [True, False, True]),
    "texts": (pa.string(), "String", ["", "zwölf", LONG]),
    "texts into a column of few": (pa.string(), "LowCardinality(String)", ["a", "", "a"]),
    "codes of numbers": (pa.dictionary(pa.int32(), pa.uint32()), "LowCardinality(UInt32)", [7, 2**32 - 1, 7]),
    "codes of numbers into plain ones": (pa.dictionary(pa.int32(), pa.uint32()), "UInt32", [7, 0, 7]),
    "codes": (_CODES, "LowCardinality(String)", ["b", "a", "b"]),
    "times": (pa.timestamp("us", tz="UTC"), "DateTime64(6, 'UTC')", [NOON, NOON, NOON + dt.timedelta(microseconds=1)]),
    "days": (pa.date32(), "Date", [dt.date(2026, 9, 21), dt.date(1970, 1, 1), dt.date(2100, 1, 1)]),
    "lists": (pa.list_(pa.int32()), "Array(Int32)", [[], [-5, 2**31 - 1], [1]]),
}


def read_back(client: Client, table: pa.Table, kind: str) -> list[object]:
    few = {"allow_suspicious_low_cardinality_types": 1}
    client.command(f"CREATE OR REPLACE TABLE given (place UInt64, value {kind}) ENGINE = Memory", settings=few)
    rows = table.append_column("place", pa.array(range(table.num_rows), pa.uint64()))
    client.raw_insert("given", rows.column_names, block(rows), fmt="Native")
    return [value for (value,) in client.query("SELECT value FROM given ORDER BY place", tz_mode="aware").result_rows]


@pytest.mark.parametrize(("arrow", "kind", "values"), KINDS.values(), ids=KINDS)
def test_the_engine_reads_what_was_written(store_client: Client, arrow: pa.DataType, kind: str, values: list) -> None:
    table = pa.table([pa.array(values, arrow)], schema=pa.schema([pa.field("value", arrow, nullable=False)]))
    assert read_back(store_client, table, kind) == values
    assert read_back(store_client, pa.concat_tables([table, table]), kind) == values * 2, "of several chunks"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=40))
def test_a_text_that_is_missing_is_not_an_empty_one(store_client: Client, values: list[str | None]) -> None:
    table = pa.table({"value": pa.array(values).cast(pa.string()).dictionary_encode()})
    assert read_back(store_client, table, "LowCardinality(Nullable(String))") == values


@pytest.mark.parametrize("count", [256, 257, 65_536, 65_537])
def test_codes_are_as_wide_as_their_texts_are_many(store_client: Client, count: int) -> None:
    values = [f"endpoint {at}" for at in range(count)]
    for nullable, kind in ((False, "String"), (True, "Nullable(String)")):
        schema = pa.schema([pa.field("value", _CODES, nullable=nullable)])
        table = pa.table([pa.array(values).dictionary_encode()], schema=schema)
        assert read_back(store_client, table, f"LowCardinality({kind})") == values


@given(st.lists(st.integers(0, 300) | st.integers(0, 1 << 23) | st.integers(0, 2**32 - 1)))
def test_coded_numbers_are_the_same_numbers_and_each_has_one_code(values: list[int]) -> None:
    found = coded(np.array(values, np.uint32))
    assert found.to_pylist() == values
    assert found.dictionary.to_pylist() == sorted(set(values))
