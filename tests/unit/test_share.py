"""The share of a load process that died, counted from outside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.pacer import Pacer
from producers.load.plan import Plan
from producers.load.segments import segments_of
from producers.load.shards import Shard
from producers.load.share import arrivals_of, totals_of
from schemas.events import LoadTotals
from schemas.rows import RequestFacts


def plan_of(*stages: dict[str, object], **more: object) -> Plan:
    requests = [{"name": "r", "path": "/"}]
    return Plan.model_validate({"target": "http://h", "stages": list(stages), "requests": requests} | more)


RAMP = plan_of({"name": "r", "ramp": [10, 90], "for": "4s"}, {"name": "h", "hold": 50, "for": "2s"})


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
@given(count=st.integers(1, 9), until_s=st.none() | st.floats(-1, 9))
def test_the_shares_are_what_the_pacer_has_due_until_then(arrivals: str, count: int, until_s: float | None) -> None:
    plan = RAMP.model_copy(update={"arrivals": arrivals})
    pacer = Pacer(segments_of(plan), plan.seed if arrivals == "poisson" else None)
    numbers = np.arange(pacer.total)
    due = numbers if until_s is None else numbers[pacer.due_us(numbers) <= until_s * 1e6]
    shares = [arrivals_of(plan, Shard(index, count), until_s) for index in range(count)]
    assert shares == [int((due % count == index).sum()) for index in range(count)]
    assert sum(shares) == len(due)


def test_what_users_would_have_sent_is_not_known() -> None:
    assert arrivals_of(plan_of({"name": "u", "users": 5, "for": "4s"})) == 0
    assert arrivals_of(plan_of({"name": "u", "users": 5, "for": "4s"}), until_s=2.0) == 0


@pytest.mark.parametrize(
    ("facts", "rows", "failed", "planned", "totals"),
    [
        pytest.param({}, 0, 0, 50, {"scheduled": 50, "dropped": 50}, id="it died before it began"),
        pytest.param(
            {"scheduled": 30, "sent": 28, "dropped": 2},
            25,
            4,
            50,
            {"scheduled": 50, "sent": 28, "completed": 21, "failed": 4, "dropped": 22, "in_flight_at_end": 3},
            id="in the middle: three were under way, twenty never came",
        ),
        pytest.param(
            {"scheduled": 30, "sent": 30},
            30,
            0,
            30,
            {"scheduled": 30, "sent": 30, "completed": 30},
            id="after its last word but one",
        ),
        pytest.param(
            {"scheduled": 30, "sent": 30},
            30,
            0,
            0,
            {"scheduled": 30, "sent": 30, "completed": 30},
            id="of users, whose number nobody had planned",
        ),
        pytest.param({}, 5, 0, 0, {"scheduled": 5, "completed": 5}, id="rows without the part that has their facts"),
    ],
)
def test_what_a_dead_process_did(
    facts: dict[str, int], rows: int, failed: int, planned: int, totals: dict[str, int]
) -> None:
    assert totals_of(RequestFacts(**facts), rows=rows, failed=failed, planned=planned) == LoadTotals(**totals)


COUNTS = st.integers(0, 1000)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_sums_always_close(scheduled: int, dropped: int, rows: int, failed: int, planned: int) -> None:
    facts = RequestFacts(scheduled=scheduled, dropped=min(dropped, scheduled))
    told = totals_of(facts, rows=rows, failed=min(failed, rows), planned=planned)
    assert told.scheduled == told.completed + told.failed + told.dropped + told.in_flight_at_end
    assert min(told.completed, told.failed, told.in_flight_at_end) >= 0
    assert told.dropped >= facts.dropped
    assert told.scheduled >= planned
