"""The closed model: never more users than there are, each waits, thinks, and comes again until the stage is over."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.crowd import NEVER, Crowd, Stint, stints_of
from producers.load.plan import Plan, Request
from producers.load.segments import segments_of
from producers.load.shards import WHOLE, Shard
from producers.load.stages import Hold, Users

SECOND = 1_000_000
STINT = Stint(segment=1, from_us=10 * SECOND, to_us=20 * SECOND, users=3, think_us=SECOND)


def due(crowd: Crowd, until_us: int, in_flight: int) -> list[tuple[int, int]]:
    return list(crowd.due(until_us, in_flight))


def test_all_users_come_at_once_when_their_stage_begins_and_nobody_before():
    crowd = Crowd([STINT])
    assert crowd.next_due_us == 10 * SECOND
    assert due(crowd, 10 * SECOND - 1, 0) == []
    assert due(crowd, 10 * SECOND + 5, 0) == [(1, 10 * SECOND)] * 3


def test_a_user_whose_answer_came_thinks_and_is_due_when_that_is_over():
    crowd = Crowd([STINT])
    due(crowd, 10 * SECOND, 0)
    assert due(crowd, 12 * SECOND, 2) == []
    assert crowd.next_due_us == 13 * SECOND
    assert due(crowd, 13 * SECOND + 7, 2) == [(1, 13 * SECOND)]


def test_without_thinking_the_next_request_is_due_when_the_answer_comes():
    crowd = Crowd([replace(STINT, think_us=0)])
    due(crowd, 10 * SECOND, 0)
    assert due(crowd, 11 * SECOND, 1) == [(1, 11 * SECOND)] * 2


def test_requests_of_an_earlier_stage_that_are_still_under_way_keep_users_waiting():
    crowd = Crowd([STINT])
    assert len(due(crowd, 10 * SECOND, 2)) == 1


def test_nobody_comes_any_more_when_the_stage_is_over_and_the_next_ones_users_come_in_time():
    following = replace(STINT, segment=2, from_us=30 * SECOND, to_us=40 * SECOND, users=1)
    crowd = Crowd([STINT, following])
    due(crowd, 10 * SECOND, 0)
    assert due(crowd, 20 * SECOND, 0) == []
    assert crowd.next_due_us == 30 * SECOND
    assert due(crowd, 30 * SECOND, 0) == [(2, 30 * SECOND)]
    assert due(crowd, 50 * SECOND, 0) == []
    assert crowd.next_due_us == NEVER


@given(
    users=st.integers(1, 20),
    think_us=st.integers(0, 2 * SECOND),
    steps=st.lists(st.tuples(st.integers(0, SECOND), st.integers(0, 20)), max_size=60),
)
def test_there_are_never_more_under_way_than_users_and_none_gets_lost(users, think_us, steps):
    stint = replace(STINT, users=users, think_us=think_us)
    crowd = Crowd([stint])
    now_us, in_flight, fired = stint.from_us, 0, []
    for pause_us, answers in steps:
        in_flight -= min(answers, in_flight)
        came = due(crowd, now_us, in_flight)
        in_flight += len(came)
        fired += [at for _, at in came]
        assert in_flight <= users
        if now_us < stint.to_us:
            assert crowd.next_due_us < NEVER or in_flight == users
        now_us += pause_us
    assert fired == sorted(fired)
    assert all(stint.from_us <= at < stint.to_us for at in fired)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_share_the_users(count):
    stages = (Hold(name="warm", hold=5, for_s=2.0), Users(name="crowd", users=10, think_s=0.5, for_s=3.0))
    segments = segments_of(Plan(target="http://h", stages=stages, requests=[Request(name="r", path="/")]))
    (whole,) = stints_of(segments, 1_000, WHOLE)
    assert whole == Stint(1, 2 * SECOND + 1_000, 5 * SECOND + 1_000, 10, SECOND // 2)
    parts = [stints_of(segments, 1_000, Shard(index, count))[0].users for index in range(count)]
    assert (sum(parts), max(parts) - min(parts) <= 1) == (10, True)
