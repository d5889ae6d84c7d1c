"""Samples and the requests that their threads served: exactly the naive definition, whatever is told and how often."""

from hypothesis import given
from hypothesis import strategies as st

from producers.context.notes import Stretch
from producers.profiler import context
from producers.profiler.context import UNKNOWN, Served
from producers.profiler.sampler import Samples
from producers.profiler.traces import SampledStack
from producers.profiler.watched import rows_of
from schemas.rows import STACKS, STACKS_JOINED

PID = 7
ENDPOINTS = ("GET /search", "GET /checkout", "POST /cart")
stretches = st.builds(
    lambda thread, begin_us, took_us, endpoint: Stretch(thread, begin_us, begin_us + took_us, endpoint),
    st.integers(1, 3),
    st.integers(0, 60),
    st.integers(0, 30),
    st.sampled_from(ENDPOINTS),
)
asked = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 100)), max_size=30)


def naive(ran: list[Stretch], thread: int, at_us: int) -> str:
    there = {one.endpoint for one in ran if one.thread == thread and one.begin_us <= at_us < one.end_us}
    return there.pop() if len(there) == 1 else UNKNOWN


def joined(served: Served, samples: list[tuple[int, int]], pid: int = PID) -> list[str]:
    return served.endpoints(pid, [thread for thread, _ in samples], [at_us for _, at_us in samples])


@given(st.lists(stretches, max_size=20), asked)
def test_a_sample_belongs_to_the_one_endpoint_that_its_thread_served_at_its_time(
    ran: list[Stretch], samples: list[tuple[int, int]]
) -> None:
    served = Served()
    served.tell(PID, ran)
    assert joined(served, samples) == [naive(ran, *one) for one in samples]
    assert joined(served, samples, pid=8) == [UNKNOWN] * len(samples)


@given(st.lists(stretches, max_size=12), st.lists(stretches, max_size=12), st.integers(0, 90), asked)
def test_what_is_told_late_twice_and_in_pieces_is_known_as_if_it_were_told_at_once(
    ran: list[Stretch], more: list[Stretch], begin_us: int, samples: list[tuple[int, int]]
) -> None:
    served = Served()
    served.tell(PID, more, ahead_us=0)
    served.tell(PID, ran)
    served.tell(PID, ran[::-1])
    served.forget(begin_us)
    later = [one for one in samples if one[1] >= begin_us]
    assert joined(served, later) == [naive(ran + more, *one) for one in later]


def test_what_is_forgotten_is_gone_and_a_clock_that_is_ahead_is_set_right() -> None:
    served = Served()
    served.tell(PID, [Stretch(1, 10, 20, "GET /search")], ahead_us=1000)
    assert joined(served, [(1, 15), (1, 1015)]) == [UNKNOWN, "GET /search"]
    served.forget(1020)
    assert joined(served, [(1, 1015)]) == [UNKNOWN]


def test_what_the_load_of_this_run_asked_for_has_its_plan_s_name_and_goes_before_what_else_is_known() -> None:
    served = Served("run-1")
    other, mine = ("run-0", "search"), ("run-1", "browse /7")
    served.tell(
        PID, [Stretch(1, 0, 50, "GET /a"), Stretch(1, 0, 20, "GET /a", mine), Stretch(1, 30, 40, "GET /b", other)]
    )
    assert joined(served, [(1, 10), (1, 25), (1, 35)]) == ["browse /7", "GET /a", UNKNOWN]
    served.forget(20)
    assert joined(served, [(1, 10)]) == ["GET /a"]


def test_endpoints_are_called_as_requests_are_and_no_more_than_so_many(monkeypatch) -> None:
    monkeypatch.setattr(context, "MOST_ENDPOINTS", 2)
    served = Served()
    served.tell(PID, [Stretch(at, 0, 9, f"GET /{name}?token=x") for at, name in enumerate(("a/7", "b", "c"))])
    assert joined(served, [(0, 5), (1, 5), (2, 5)]) == ["GET /a/{id}", "GET /b", "(other)"]


def test_of_more_stretches_than_find_room_nothing_is_known(monkeypatch) -> None:
    monkeypatch.setattr(context, "MOST_STRETCHES", 3)
    served = Served()
    served.tell(PID, [Stretch(1, at, at + 1, "GET /") for at in range(5)])
    assert (served.dropped, joined(served, [(1, 2), (1, 4)])) == (2, ["GET /", UNKNOWN])
    served.forget(10)
    served.tell(PID, [Stretch(1, 10, 11, "GET /")])
    assert joined(served, [(1, 10)]) == ["GET /"]


def samples_of(*stacks: SampledStack) -> Samples:
    samples = Samples(4739)
    for at, stack in enumerate(stacks):
        samples.add(at * 1000, 5000, stack)
    return samples


def test_rows_have_an_endpoint_where_one_is_known_and_no_column_where_none_is() -> None:
    samples = samples_of(SampledStack(1, "main"), SampledStack(1, "wait", "wait"), SampledStack(2, "main"))
    rows = rows_of(samples, 0, ["GET /", "GET /", UNKNOWN])
    assert rows.schema == STACKS_JOINED
    told = [(row["thread_id"], row["stack"], row["endpoint"]) for row in rows.to_pylist()]
    # Who waits has no row, and the CPU that waiting took is nobody's.
    assert told == [(1, "main", "GET /"), (2, "main", None), (0, "", None)]
    for endpoints in ([], [UNKNOWN] * 3):
        assert rows_of(samples, 0, endpoints).schema == STACKS
