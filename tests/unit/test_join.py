"""The join: sums of whole numbers over a window's batches, the same whoever joins and in whatever order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.join import join_window
from schemas.batches import Batch
from schemas.joined import JoinedWindow
from schemas.precision import LONGEST_US, UNKNOWN_US
from schemas.rows import REQUESTS, RequestFacts, StackFacts
from schemas.sketch import Sketch
from tests.support.batches import (
    RUN,
    WINDOW,
    WINDOW_US,
    Request,
    Sample,
    many_requests,
    many_samples,
    request_batch,
    stack_batch,
    stack_of,
)


def join(requests: Sequence[Batch] = (), stacks: Sequence[Batch] = ()) -> JoinedWindow:
    return join_window(RUN, WINDOW, WINDOW_US, requests, stacks, closed_by="producers")


def test_a_window_of_which_only_one_side_came() -> None:
    only_load = join([request_batch([Request()])])
    assert (only_load.completed, only_load.instances, only_load.functions) == (1, 0, ())
    only_agent = join([], [stack_batch([Sample(stack_of("main"))])])
    assert (only_agent.completed, only_agent.instances, only_agent.endpoints) == (0, 1, ())


def test_nothing_at_all_is_all_zero() -> None:
    window = join()
    assert (window.batches_covered, window.scheduled, window.dispatch_lag_p99_us, window.cpu_us) == (0, 0, 0, 0)


def test_outcomes_are_counted_by_stage_and_endpoint() -> None:
    window = join(
        [
            request_batch([Request(endpoint="search"), Request(endpoint="search", status=0, error="timeout")]),
            request_batch([Request(endpoint="checkout", bytes_sent=1, bytes_received=2)], seq=1),
            request_batch([Request(endpoint="search", stage="map[1]")], producer="load-2"),
        ]
    )
    counted = {(one.stage, one.endpoint): (one.completed, one.failed) for one in window.endpoints}
    assert counted == {("hold", "checkout"): (1, 0), ("hold", "search"): (1, 1), ("map[1]", "search"): (1, 0)}
    assert [(one.stage, one.endpoint) for one in window.endpoints] == sorted(counted)
    assert (window.completed, window.failed, window.batches_covered) == (3, 1, 3)
    assert (window.endpoints[0].bytes_sent, window.endpoints[0].bytes_received) == (1, 2)


def test_of_the_failed_those_without_a_whole_answer_are_counted() -> None:
    requests = [
        Request(),
        Request(status=200, error="timeout"),
        Request(status=0, error="refused"),
        Request(status=500, error="http 500"),
        Request(endpoint="checkout", status=200, error="step pay: timeout"),
    ]
    window = join([request_batch(requests[:2]), request_batch(requests[2:], seq=1)])
    counted = {one.endpoint: (one.failed, one.unanswered) for one in window.endpoints}
    assert counted == {"checkout": (1, 1), "search": (3, 2)}
    assert window.unanswered == 3


def test_an_answer_of_status_500_has_failed_only_when_the_load_says_so() -> None:
    window = join([request_batch([Request(status=500), Request(status=500, error="http 500"), Request(error="")])])
    assert (window.completed, window.failed) == (1, 2)


def test_latencies_go_into_the_sketch_of_their_endpoint() -> None:
    latencies = [1, 900, 900, 12_000, LONGEST_US]
    window = join([request_batch([Request(latency_us=us) for us in latencies] + [Request(endpoint="b", latency_us=7)])])
    of_b, of_search = window.endpoints
    assert of_search.latency == Sketch.of(np.array(latencies, np.uint32))
    assert of_b.latency == Sketch.of(np.array([7], np.uint32))
    assert window.latency.count == 6


def test_what_nobody_timed_is_counted_and_goes_into_no_sketch() -> None:
    untimed = Request(latency_us=UNKNOWN_US)
    window = join([request_batch([untimed, Request(latency_us=900), Request(endpoint="b", latency_us=UNKNOWN_US)])])
    of_b, of_search = window.endpoints
    assert (of_b.completed, of_search.completed) == (1, 2)
    assert (of_b.latency, of_search.latency) == (Sketch(), Sketch.of(np.array([900], np.uint32)))


def test_ever_so_many_names_for_few_rows_are_told_apart_without_room_for_each_pair_of_them() -> None:
    names = [f"{at:05}" for at in range(900)]
    window = join(
        [request_batch([Request(endpoint=name, stage=name, latency_us=at + 1)]) for at, name in enumerate(names)]
    )
    assert [(one.stage, one.endpoint, one.completed) for one in window.endpoints] == [(name, name, 1) for name in names]
    assert [one.latency for one in window.endpoints[::300]] == [Sketch.of(np.array([us])) for us in (1, 301, 601)]


def test_frames_without_a_file_and_with_an_empty_one_are_the_same_function_once_a_stack() -> None:
    (function,) = join([], [stack_batch([Sample("work"), Sample("work ();work")])]).functions
    assert (function.function, function.file, function.self_samples, function.total_samples) == ("work", "", 2, 2)


def test_a_latency_of_nothing_counts_as_one_microsecond() -> None:
    (endpoint,) = join([request_batch([Request(latency_us=0)])]).endpoints
    assert endpoint.latency == Sketch.of(np.array([1]))


def test_the_facts_of_all_batches_add_up() -> None:
    facts = RequestFacts(scheduled=5, sent=4, dropped=1, in_flight=2, generator_cpu_us=9)
    window = join([request_batch(facts=facts), request_batch(facts=facts, producer="load-2")])
    assert (window.scheduled, window.sent, window.dropped, window.in_flight) == (10, 8, 2, 4)
    assert window.generator_cpu_us == 18


def test_the_busiest_generator_is_one_process_with_all_its_batches() -> None:
    def batch(producer: str, seq: int, cpu_us: int) -> Batch:
        return request_batch(facts=RequestFacts(generator_cpu_us=cpu_us), producer=producer, seq=seq)

    window = join([batch("load-1", 0, 250), batch("load-2", 0, 200), batch("load-2", 1, 90), batch("load-3", 0, 260)])
    assert (window.generator_cpu_us, window.busiest_generator_us) == (800, 290)


def test_our_cpu_on_the_host_is_the_most_that_one_agent_saw_there() -> None:
    def agent(producer: str, *own_us: int) -> list[Batch]:
        facts = [StackFacts(instance=f"pid-{seq}", agent_cpu_us=5, own_cpu_us=us) for seq, us in enumerate(own_us)]
        return [stack_batch(facts=fact, producer=producer, seq=seq) for seq, fact in enumerate(facts)]

    load = [request_batch(facts=RequestFacts(generator_cpu_us=900))]
    assert join(load, [*agent("a", 0, 300), *agent("b", 250)]).own_cpu_us == 300
    seen = [stack_batch(facts=StackFacts(host_cpu_us=us), producer=f"agent-{us}") for us in (700, 900)]
    assert join(load, seen).host_cpu_us == 900
    assert join(load, agent("old", 0)).own_cpu_us == 905, "an agent that does not tell"


def test_dispatch_lag_is_the_99th_percentile_of_all_requests() -> None:
    window = join([request_batch([Request(dispatch_lag_us=us) for us in range(1, 201)])])
    assert window.dispatch_lag_p99_us == 199


def cpu_of(window: JoinedWindow) -> dict[str, tuple[int, int, int, int]]:
    return {
        one.function: (one.self_samples, one.total_samples, one.self_cpu_us, one.total_cpu_us)
        for one in window.functions
    }


def watched(cpu_us: int, **named: object) -> StackFacts:
    return StackFacts(**({"service": "shop", "instance": "pid-1", "cpu_us": cpu_us, "covered_us": 900_000} | named))


def test_functions_get_the_kernels_cpu_by_their_share_of_the_samples() -> None:
    samples = [Sample(stack_of("main", "sweep"))] * 3 + [Sample(stack_of("main", "parse"))]
    window = join([], [stack_batch(samples, facts=watched(100_000))])
    assert cpu_of(window) == {
        "main": (0, 4, 0, 100_000),
        "parse": (1, 1, 25_000, 25_000),
        "sweep": (3, 3, 75_000, 75_000),
    }
    assert (window.cpu_us, window.unattributed_us, window.samples) == (100_000, 0, 4)


def test_a_sample_weighs_the_time_that_it_stands_for() -> None:
    samples = [Sample(stack_of("sweep"), weight_us=30_000), Sample(stack_of("parse"), weight_us=10_000)]
    window = join([], [stack_batch(samples, facts=watched(80_000))])
    assert {name: cpu[2] for name, cpu in cpu_of(window).items()} == {"parse": 20_000, "sweep": 60_000}


def test_a_function_that_calls_itself_is_counted_once_a_sample() -> None:
    window = join([], [stack_batch([Sample(stack_of("walk", "walk", "walk"))], facts=watched(1_000))])
    assert cpu_of(window) == {"walk": (1, 1, 1_000, 1_000)}


def test_waiting_is_never_charged_with_cpu() -> None:
    samples = [Sample(stack_of("main", "sweep")), Sample(stack_of("main", "wait"), mode="wall")]
    window = join([], [stack_batch(samples, facts=watched(50_000))])
    assert set(cpu_of(window)) == {"main", "sweep"}
    assert cpu_of(window)["main"] == (0, 1, 0, 50_000)
    assert window.samples == 1


UNPLACED = {
    "samples without a stack take their share": ([Sample("")] + [Sample(stack_of("sweep"))] * 3, 25_000),
    "no sample at all: all of it": ([], 100_000),
    "only waiting was seen: all of it": ([Sample(stack_of("wait"), mode="wall")], 100_000),
    "samples that stand for no time say who, not how long": ([Sample(stack_of("sweep"), weight_us=0)], 100_000),
}


@pytest.mark.parametrize(("samples", "unattributed_us"), UNPLACED.values(), ids=UNPLACED)
def test_cpu_that_nobody_can_place_is_unattributed(samples: list[Sample], unattributed_us: int) -> None:
    assert join([], [stack_batch(samples, facts=watched(100_000))]).unattributed_us == unattributed_us


def test_each_process_gives_its_own_cpu_to_its_own_samples() -> None:
    window = join(
        [],
        [
            stack_batch([Sample(stack_of("sweep"))], facts=watched(60_000)),
            stack_batch([Sample(stack_of("sweep"))] * 9, facts=watched(10_000, instance="pid-2"), seq=1),
        ],
    )
    assert cpu_of(window) == {"sweep": (10, 10, 70_000, 70_000)}
    assert (window.instances, window.cpu_us, window.covered_us) == (2, 70_000, 900_000)


def test_processes_of_one_name_on_two_hosts_are_two() -> None:
    batches = [stack_batch(facts=watched(1_000), producer=agent) for agent in ("agent-1", "agent-2")]
    assert join([], batches).instances == 2


def test_a_profile_that_was_split_counts_its_facts_once() -> None:
    first = stack_batch([Sample(stack_of("sweep"))], facts=watched(80_000, busiest_thread_us=70_000))
    rest = stack_batch([Sample(stack_of("parse"))], facts=watched(0, covered_us=0), seq=1)
    window = join([], [first, rest])
    assert (window.instances, window.cpu_us, window.busiest_thread_us, window.covered_us) == (
        1,
        80_000,
        70_000,
        900_000,
    )
    assert cpu_of(window)["sweep"][2] == cpu_of(window)["parse"][2] == 40_000


def test_the_busiest_thread_is_that_of_the_busiest_process() -> None:
    batches = [
        stack_batch(facts=watched(0, busiest_thread_us=us, run_queue_us=us, instance=f"pid-{us}"), seq=us)
        for us in (10, 30, 20)
    ]
    window = join([], batches)
    assert (window.busiest_thread_us, window.run_queue_us) == (30, 60)


def test_an_agent_that_watches_nothing_costs_and_is_no_instance() -> None:
    window = join([], [stack_batch(facts=StackFacts(agent_cpu_us=700)), stack_batch(facts=watched(5), seq=1)])
    assert (window.instances, window.agent_cpu_us, window.covered_us) == (1, 700, 900_000)


def with_endpoints(indices: list[int], texts: list[str], seq: int = 0) -> Batch:
    """Requests whose endpoints are encoded in this very way."""
    rows = many_requests(len(indices))
    at = REQUESTS.get_field_index("endpoint")
    column = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int16()), texts)
    return request_batch(rows.set_column(at, REQUESTS.field(at), column), seq=seq)


def test_a_text_that_stands_twice_in_a_dictionary_is_one_endpoint() -> None:
    (endpoint,) = join([with_endpoints([0, 1, 1], ["a", "a"])]).endpoints
    assert endpoint.completed + endpoint.failed == 3


def test_batches_may_have_more_texts_together_than_each_could_tell_apart() -> None:
    texts = [[f"{seq}/{n}" for n in range(17_000)] for seq in range(2)]
    window = join([with_endpoints(list(range(17_000)), some, seq) for seq, some in enumerate(texts)])
    assert len(window.endpoints) == 34_000


def test_sums_that_no_float_could_hold_are_exact() -> None:
    (endpoint,) = join([request_batch([Request(bytes_received=2**60 + 1)] * 3)]).endpoints
    assert endpoint.bytes_received == 3 * 2**60 + 3


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Some batches of both kinds, of several producers and processes."""
    names = st.sampled_from(["a", "b", "c"])
    requests = st.builds(
        Request,
        latency_us=st.integers(0, LONGEST_US),
        error=st.none() | st.just("timeout"),
        endpoint=names,
        stage=names,
        bytes_received=st.integers(0, 2**40),
    )
    stack = st.lists(names, max_size=4).map(lambda functions: stack_of(*functions))
    samples = st.builds(Sample, stack, weight_us=st.integers(0, 2**32 - 1), mode=st.sampled_from(["cpu", "wall"]))
    found: list[Batch] = []
    for seq in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            rows = draw(st.lists(requests, max_size=8))
            found.append(request_batch(rows, producer=draw(names), seq=seq))
        else:
            facts = watched(draw(st.integers(0, 2**53 - 1)), instance=draw(st.sampled_from(["", "i", "j"])))
            found.append(stack_batch(draw(st.lists(samples, max_size=8)), facts=facts, producer=draw(names), seq=seq))
    return found


def join_all(found: Sequence[Batch]) -> JoinedWindow:
    sides = {kind: [one for one in found if one.header.key.topic == kind] for kind in ("requests", "stacks")}
    return join(sides["requests"], sides["stacks"])


@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_batches_and_of_rows_does_not_matter(found: list[Batch], random: np.random.Generator) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    mixed = []
    for batch in shuffled:
        order = list(range(batch.rows.num_rows))
        random.shuffle(order)
        mixed.append(replace(batch, rows=batch.rows.take(pa.array(order, pa.int64()))))
    assert join_all(mixed) == join_all(found)


@given(batches())
def test_nothing_is_lost_on_the_way(found: list[Batch]) -> None:
    window = join_all(found)
    rows = sum(one.rows.num_rows for one in found if one.header.key.topic == "requests")
    assert window.completed + window.failed == rows == window.latency.count
    placed = sum(one.self_cpu_us for one in window.functions) + window.unattributed_us
    # Each function's share is rounded, by half a microsecond at most (and by what a float leaves of 53 bits).
    assert placed == pytest.approx(window.cpu_us, rel=1e-12, abs=len(window.functions) * window.instances + 1)
    assert all(0 <= one.self_cpu_us <= one.total_cpu_us for one in window.functions)
    assert all(0 <= one.self_samples <= one.total_samples for one in window.functions)


def test_a_large_window_is_joined_as_its_rows_say() -> None:
    """The vectorised path against a count by hand."""
    loads = [request_batch(many_requests(5_000, seed=seed), seq=seed) for seed in range(3)]
    stacks = [stack_batch(many_samples(2_000, seed=seed), seq=seed) for seed in range(2)]
    window = join(loads, stacks)
    table = pa.Table.from_batches([batch.rows for batch in loads])
    for endpoint in window.endpoints:
        mine = table.filter(pa.compute.equal(table["endpoint"].cast(pa.string()), endpoint.endpoint))
        assert endpoint.completed + endpoint.failed == mine.num_rows
        assert endpoint.failed == mine.num_rows - mine["error"].null_count
        assert endpoint.bytes_received == pa.compute.sum(mine["bytes_received"]).as_py()
        assert endpoint.latency == Sketch.of(mine["latency_us"].to_numpy())
    on_cpu = sum(
        pa.compute.sum(pa.compute.equal(batch.rows["mode"].cast(pa.string()), "cpu")).as_py() for batch in stacks
    )
    assert window.samples == on_cpu == sum(one.self_samples for one in window.functions)
