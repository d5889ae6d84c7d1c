"""Both topics of a partition are worked off side by side: none runs far ahead, and none waits for what never comes."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from processors.pairs import BEHIND_S, LEAD_US, SILENT_S, Pairs
from processors.records import Place, Record

OTHERS = {"requests": "stacks", "stacks": "requests"}
SECOND_US = 1_000_000


def record(topic: str, offset: int, at_s: float, partition: int = 0) -> Record:
    return Record(Place(topic, partition), offset, round(at_s * SECOND_US), [], b"")


def taken(pairs: Pairs, now_s: float = 0.0) -> list[tuple[str, int]]:
    found = []
    while one := pairs.next(now_s):
        found.append((one.place.topic, one.offset))
    return found


def unknown(_: Place) -> int | None:
    """A client that has not heard where partitions end."""


def after(*records: Record, end_of: Callable[[Place], int | None] = unknown) -> Pairs:
    pairs = Pairs(OTHERS, end_of)
    for one in records:
        pairs.add(one, 0.0)
    return pairs


def test_live_nothing_waits() -> None:
    pairs = Pairs(OTHERS, unknown)
    for second in range(20):
        pairs.add(record("requests", second, second), second)
        assert taken(pairs, second) == [("requests", second)]
        pairs.add(record("stacks", second, second + 0.3), second + 0.3)
        assert taken(pairs, second + 0.3) == [("stacks", second)]


def test_after_an_outage_the_one_that_is_fetched_faster_waits_for_the_other() -> None:
    pairs = after(record("requests", 0, 0), *(record("stacks", second, second) for second in range(100)))
    lead = LEAD_US // SECOND_US
    assert taken(pairs) == [("requests", 0), *(("stacks", second) for second in range(lead + 1))]
    pairs.add(record("requests", 1, 10), 0.0)
    assert taken(pairs) == [("requests", 1), *(("stacks", second) for second in range(lead + 1, lead + 11))]


def test_a_topic_that_was_never_heard_or_is_silent_holds_nobody_up() -> None:
    alone = after(*(record("requests", second, second) for second in range(50)))
    assert len(taken(alone)) == 50
    ended = after(record("stacks", 0, 0), *(record("requests", second, second) for second in range(50)))
    assert 0 < len(taken(ended)) < 50
    assert taken(ended, SILENT_S - 0.01) == []
    assert taken(ended, SILENT_S)[-1] == ("requests", 49)


def test_a_topic_with_more_in_kafka_is_not_silent_however_long_its_turn_takes_to_come() -> None:
    ends = {Place("requests", 0): 2, Place("stacks", 0): 50}
    stacks = [record("stacks", second, second) for second in range(50)]
    pairs = after(record("requests", 0, 0), *stacks, end_of=ends.get)
    began = len(taken(pairs))
    assert began < 50
    assert taken(pairs, BEHIND_S - 0.01) == []
    pairs.add(record("requests", 1, 10), BEHIND_S)
    assert 1 < len(taken(pairs, BEHIND_S)) < 50 - began
    assert taken(pairs, BEHIND_S + SILENT_S)[-1] == ("stacks", 49), "the end of the other is reached"


def test_a_topic_that_something_keeps_from_coming_holds_up_for_a_while_only() -> None:
    pairs = after(record("requests", 0, 0), record("stacks", 0, 100), end_of=lambda _: 1000)
    assert taken(pairs, BEHIND_S - 0.01) == [("requests", 0)]
    assert taken(pairs, BEHIND_S) == [("stacks", 0)]


def test_none_runs_ahead_because_nobody_asked_for_a_while() -> None:
    """As when the store is slow, and both topics lie here."""
    sides = [record(topic, second, second) for topic in OTHERS for second in range(0, 100, 10)]
    order = taken(after(*sides), now_s=60.0)
    assert order == [(topic, second) for second in range(0, 100, 10) for topic in OTHERS]


def test_partitions_and_topics_without_another_do_not_wait_for_each_other() -> None:
    pairs = after(record("stacks", 0, 0, partition=1), record("requests", 0, 100), record("runs", 0, 200))
    assert sorted(taken(pairs)) == [("requests", 0), ("runs", 0), ("stacks", 0)]


def test_after_a_gap_in_both_the_earlier_one_goes_first() -> None:
    pairs = after(record("requests", 0, 0), record("stacks", 0, 0))
    assert len(taken(pairs)) == 2
    pairs.add(record("stacks", 1, 900), 0.1)
    assert taken(pairs, 0.1) == []
    pairs.add(record("requests", 1, 800), 0.1)
    assert taken(pairs, 0.1) == [("requests", 1)]
    pairs.add(record("requests", 2, 899), 0.1)
    assert taken(pairs, 0.1) == [("requests", 2), ("stacks", 1)]


def test_what_is_dropped_is_forgotten() -> None:
    pairs = after(record("requests", 0, 0), record("stacks", 0, 100))
    assert taken(pairs) == [("requests", 0)]
    pairs.drop([Place("requests", 0)])
    assert taken(pairs) == [("stacks", 0)], "the other side is with somebody else"
    pairs = after(record("requests", 0, 0), record("stacks", 0, 100))
    pairs.drop([Place("stacks", 0)])
    assert taken(pairs) == [("requests", 0)]


arrivals = st.tuples(st.sampled_from(["requests", "stacks"]), st.integers(0, 60), st.floats(0, 0.4))


@given(st.lists(arrivals, max_size=60))
def test_each_record_leaves_once_and_in_order_and_none_stays(course: list[tuple[str, int, float]]) -> None:
    pairs, now_s = Pairs(OTHERS, unknown), 0.0
    sent, at_s, left = {"requests": 0, "stacks": 0}, {"requests": 0, "stacks": 0}, []
    for topic, later_s, pause_s in course:
        now_s += pause_s
        at_s[topic] += later_s
        pairs.add(record(topic, sent[topic], at_s[topic]), now_s)
        sent[topic] += 1
        left += taken(pairs, now_s)
    left += taken(pairs, now_s + 2 * SILENT_S)
    for topic, count in sent.items():
        assert [offset for name, offset in left if name == topic] == list(range(count))
