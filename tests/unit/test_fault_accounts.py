"""The campaign can fail: what is lost, repeated or joined from less is found, and counts; and results are kept."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.batches import BatchKey
from tests.faults.accounts import Seen, account
from tests.faults.fault import Fault, Outcome
from tests.faults.results import Results, Row, share, table_of
from tests.support.joined import joined_window

LOAD, AGENT = BatchKey("requests", "r", 7, "load", 0), BatchKey("stacks", "r", 7, "agent", 0)
SENT = {LOAD: 40, AGENT: 15}


def seen(
    batches: tuple[BatchKey, ...] = (LOAD, AGENT), *, requests: int = 40, samples: int = 15, covered: int = 2
) -> Seen:
    joined = replace(joined_window(window=7), completed=39, failed=1, batches_covered=covered)
    rows = Counter({("requests", 7): requests, ("stacks", 7): samples})
    return Seen(list(batches), rows, {7: joined}, {7: joined})  # type: ignore[dict-item]  # an event has these fields


def test_what_was_sent_and_is_seen_once_closes_the_account() -> None:
    found = account(SENT, seen())
    assert (found.lost, found.repeated, found.broken) == (0, 0, [])


CASES = {
    "a batch is gone": (seen((LOAD,), samples=0), (1, 0)),
    "all are gone": (seen((), requests=0, samples=0), (2, 0)),
    "a row is gone": (seen(requests=39), (1, 0)),
    "a row is there twice": (seen(samples=16), (0, 1)),
    "a batch is there twice": (seen((LOAD, LOAD, AGENT), requests=80), (0, 1)),
    "a batch that nobody sent": (seen((LOAD, AGENT, LOAD._replace(seq=1)), requests=41), (0, 2)),
}


@pytest.mark.parametrize(("what", "counts"), CASES.values(), ids=CASES)
def test_what_is_lost_or_repeated_is_counted(what: Seen, counts: tuple[int, int]) -> None:
    found = account(SENT, what)
    assert (found.lost, found.repeated) == counts


def test_a_window_that_is_joined_from_less_or_not_announced_breaks_the_account() -> None:
    less, silent = seen(covered=1), seen()
    silent.announced = {}
    assert len(account(SENT, less).broken) == 2
    assert account(SENT, silent).broken == ["window 7 was sent (2, 40) (batches, requests) and is announced as None"]


async def nothing(*_: object) -> Outcome:
    raise AssertionError


FAULT = Fault("worker killed", nothing, 10)


def test_results_of_several_runs_add_up_until_the_code_is_another_or_they_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path / "faults.jsonl")
    results.add(FAULT, Outcome(4, recoveries_s=[1.0]))
    results.add(FAULT, Outcome(6, lost=1, recoveries_s=[3.0], broken=["I1"]))
    assert Results(tmp_path / "faults.jsonl").of(FAULT) == Outcome(10, 1, 0, [1.0, 3.0], ["I1"])
    with monkeypatch.context() as patch:
        patch.setattr("tests.faults.results.code_judged", lambda: "other")
        assert Results(tmp_path / "faults.jsonl").of(FAULT) is None
    results.forget([FAULT])
    assert results.of(FAULT) is None


@pytest.mark.parametrize(
    ("events", "times", "said"), [(0, 200, "0 (< 0.015)"), (0, 2, "0 (< 1)"), (3, 200, "3"), (0, 0, "0")]
)
def test_beside_zero_stands_how_often_it_may_happen_all_the_same(events: int, times: int, said: str) -> None:
    assert share(events, times) == said


def test_kills_and_played_crashes_are_told_apart() -> None:
    played = replace(FAULT, kind="simulated")
    tables = table_of([Row(replace(FAULT, kind="kill"), Outcome(1)), Row(played, Outcome(5))])
    assert [table.title for table in tables] == ["real kills", "simulated crash points"]
