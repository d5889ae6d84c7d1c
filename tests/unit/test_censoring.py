"""Which outcomes are bounds: in Python and in SQL alike."""

from dataclasses import replace

import pytest
from clickhouse_connect.driver.client import Client

from schemas.censoring import UNANSWERED_SQL, unanswered
from sinks.clickhouse import ClickHouseStore
from sinks.store import StoredBatch
from tests.support.batches import Request, request_batch, request_rows

OUTCOMES = [
    pytest.param(Request(), False, id="an answer"),
    pytest.param(Request(status=500, error="http 500"), False, id="an answer that nobody wanted"),
    pytest.param(Request(status=0, error="timeout"), True, id="no answer in time"),
    pytest.param(Request(status=0, error="refused"), True, id="no answer at all"),
    pytest.param(Request(status=0), True, id="no answer, and no name for it"),
    pytest.param(Request(status=200, error="timeout"), True, id="a head in time, and no end"),
    pytest.param(Request(status=200, error="step pay: timeout"), True, id="a scenario's step whose end did not come"),
    pytest.param(Request(status=200, error="step timeout: closed"), False, id="a step that is called so"),
    pytest.param(Request(status=200, error="check timeout"), False, id="a check that is called so"),
    pytest.param(Request(status=200, error="check a: timeout"), False, id="a check with a colon"),
]


@pytest.mark.parametrize(("request_", "censored"), OUTCOMES)
def test_what_is_censored(request_: Request, censored: bool) -> None:
    others = [Request(error="x"), Request(), Request(status=0, error="timeout")]
    assert unanswered(request_rows([request_, *others])).tolist() == [censored, False, False, True]


def test_no_rows_are_none() -> None:
    assert unanswered(request_rows([])).tolist() == []


def test_the_store_says_the_same(store_client: Client, clickhouse_store: ClickHouseStore) -> None:
    requests = [one.values[0] for one in OUTCOMES]
    rows = request_batch([replace(one, latency_us=at + 1) for at, one in enumerate(requests)])
    clickhouse_store.write_batches([StoredBatch(rows, 0, 0)])
    sql = f"SELECT latency_us - 1 FROM requests WHERE {UNANSWERED_SQL} ORDER BY latency_us"
    seen = [int(row[0]) for row in store_client.query(sql).result_rows]
    assert seen == [at for at, one in enumerate(OUTCOMES) if one.values[1]]
