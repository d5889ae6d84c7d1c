"""The benchmark of workers on a small run: everything is stored once, and every figure is there."""

from pathlib import Path

import pytest

from benchmarks.one_worker import STAGES
from benchmarks.worker import AIM_MIB, measure
from tests.support.brokers import Broker

pytestmark = pytest.mark.broker
OUTCOMES = 20_000


def test_one_worker_works_a_backlog_off_into_both_kinds_of_store(kafka_broker: Broker, tmp_path: Path) -> None:
    backlog, drained, counted = measure(kafka_broker.bootstrap, 2_000, OUTCOMES, tmp_path, with_quix=False)
    assert (backlog.shape.outcomes, backlog.messages, counted) == (OUTCOMES, 3 * 10, {})
    assert list(drained) == list(AIM_MIB)
    for one in drained.values():
        assert one.is_green, one.checks
        assert one.checks["I0"] is None
        assert 0 < one.seconds < one.seconds_with_start
        assert 0.5 < one.bytes_per_outcome < 20
        assert set(one.cpu_s) == set(STAGES)
        assert all(one.cpu_s[stage] > 0 for stage in ("client", "decode", "rows", "batches", "join", "joined windows"))
        assert one.late_windows == 0, "a backlog's windows close as they would have live"
