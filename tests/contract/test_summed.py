"""Sums over a stretch are the same whether minutes answer for a part of it or windows for all, whatever came late."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.rows import StackFacts
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from sinks.store import StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, many_samples, stack_batch
from tests.support.joined import joined_endpoint, joined_window
from views.web import queries
from views.web.queries import Span, fetch
from views.web.summed import Asked, summed

FIRST = WINDOW // 60 * 60 + 13
"""In mid-minute, as a run begins."""
SECONDS = 330
STEP = 5
"""A window in five: the others had no traffic."""
LATE = FIRST + 115
UNMADE = (FIRST + SECONDS) // 60 * 60
"""The newest minute is under way."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A run of five minutes and a half, and another one beside it."""
    found = open_client(f"chdb://{tmp_path_factory.mktemp('summed')}")
    try:
        migrate(found)
        store = ClickHouseStore(found)
        windows = range(FIRST, FIRST + SECONDS, STEP)
        for run in (RUN, "another"):
            store.write_batches([StoredBatch(samples(window, run=run), 0, window) for window in windows])
        store.write_windows([joined(window, run=run) for run in (RUN, "another") for window in windows])
        store.write_minutes([key for key in store.unmade_minutes() if key.minute != UNMADE // 60])
        # Afterwards a batch comes late, and its window is joined again; so is another one, from less than there was.
        store.write_batches([StoredBatch(samples(LATE, seq=7), 0, 1)])
        store.write_windows([joined(LATE, covered=9, slow=4), joined(LATE + 60, covered=1, slow=50)])
        yield found
    finally:
        found.close()


def samples(window: int, *, run: str = RUN, seq: int = 0):
    facts = StackFacts(service="shop", instance="a", cpu_us=777_777 + window % 1000)
    return stack_batch(many_samples(20, window=window, distinct=4), run=run, window=window, seq=seq, facts=facts)


def joined(window: int, *, run: str = RUN, covered: int = 2, slow: int = 1):
    endpoints = (joined_endpoint("search"), joined_endpoint("item", latencies_us=(window % 977 + 1,) * slow))
    return joined_window(run=run, window=window, batches_covered=covered, endpoints=endpoints)


def span(first: int, last: int) -> Span:
    return Span.of(first * WINDOW_US, (last + 1) * WINDOW_US, WINDOW_US)


def told(client: Client, asked: Asked) -> list[list[dict[str, object]]]:
    flame = fetch(client, queries.FLAME.at(asked.way), run=RUN, least_us=0, **asked.parameters)
    endpoints = fetch(client, queries.ENDPOINTS.at(asked.way), run=RUN, **asked.parameters)
    return [flame.to_pylist(), endpoints.to_pylist()]


@settings(max_examples=12, deadline=None)
@given(first=st.integers(-30, SECONDS), length=st.integers(1, SECONDS + 60))
@example(first=-13, length=360)  # whole minutes, and all there is
@example(first=0, length=SECONDS)  # all of it, from mid-minute to mid-minute
@example(first=47, length=60)  # a minute
@example(first=167, length=SECONDS)  # behind the late window, up to what no minute has yet
def test_the_sums_of_minutes_and_of_windows_beside_them_are_those_of_the_windows(
    client: Client, first: int, length: int
) -> None:
    over = span(FIRST + first, FIRST + first + length - 1)
    assert told(client, summed(client, RUN, over)) == told(client, Asked("windows", over.parameters))


START = FIRST // 60
ANSWERS = {
    "a minute that begins before the stretch, or has a window joined again, or is under way is none": (
        span(FIRST, FIRST + SECONDS - 1), range(START + 3, UNMADE // 60)
    ),
    "all that were made and are inside": (span(UNMADE - 130, UNMADE + 5), range(UNMADE // 60 - 2, UNMADE // 60)),
    "one is too little to ask for": (span(UNMADE - 119, UNMADE + 5), None),
    "none of those that were made is inside": (span(UNMADE - 30, UNMADE + 150), None),
}  # fmt: skip


@pytest.mark.parametrize(("over", "minutes"), ANSWERS.values(), ids=ANSWERS)
def test_minutes_answer_that_have_all_of_their_windows(client: Client, over: Span, minutes: range | None) -> None:
    found = summed(client, RUN, over)
    if minutes is None:
        assert found == Asked("windows", over.parameters)
        return
    assert found.way == "both"
    assert (found.parameters["from_minute"], found.parameters["to_minute"]) == (minutes[0], minutes[-1])
    assert found.parameters["inner_first"] == minutes[0] * 60
    assert found.parameters["inner_last"] == minutes[-1] * 60 + 59
