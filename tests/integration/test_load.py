"""A load against a real server: everything is counted, nothing is hidden, and the end is clean whatever the end is."""

import asyncio
import socket
import time
from collections import Counter

import numpy as np
import pytest

from producers.clock import SteadyClock
from producers.load import probe
from producers.load.guard import TargetError, check_target
from producers.load.plan import Plan
from producers.load.probe import probe_rate
from producers.load.runner import run_load
from producers.publisher import MemoryPublisher, say_last_words
from schemas.events import ProducerEnded, StageEntered
from tests.support.target import BIG, running_target

WINDOW_US = 200_000


@pytest.fixture(scope="module")
def shared_target():
    with running_target() as target:
        yield target


@pytest.fixture
def target(shared_target):
    shared_target.begin_anew()
    return shared_target


@pytest.fixture(scope="module", params=["aiohttp", "wire"])
def plan_of(request: pytest.FixtureRequest):
    """Makes plans for one engine after the other: what is promised of a load is promised of each."""

    def make(url: str, *stages: dict, path: str = "/ok", **more: object) -> Plan:
        stages = stages or ({"name": "hold", "hold": 40, "for": "500ms"},)
        plan = {"target": url, "stages": stages, "requests": [{"name": "only", "path": path}], "timeout": "20s"}
        return Plan.model_validate(plan | {"engine": request.param} | more)

    return make


class Outcome:
    """A finished run, its batches put together."""

    def __init__(self, plan, totals, publisher, start_us, took_s):
        self.plan, self.totals, self.publisher, self.start_us, self.took_s = plan, totals, publisher, start_us, took_s
        self.batches = publisher.batches
        self.rows = [row for batch in self.batches for row in batch.rows.to_pylist()]
        for batch in self.batches:
            scheduled = batch.rows.column("scheduled_at").cast("int64").to_numpy()
            latency = batch.rows.column("latency_us").to_numpy()
            ended, rounding = scheduled + latency, 0.0051 * latency + 1
            window, why = batch.header.key.window, "rows lie in the window in which they ended"
            assert ((ended + rounding) // WINDOW_US >= window).all(), why
            assert ((ended - rounding) // WINDOW_US <= window).all(), why

    def column(self, name):
        return np.concatenate([batch.rows.column(name).to_numpy(zero_copy_only=False) for batch in self.batches])

    def under_way(self, stage):
        """When the requests of a stage were due, and when they were over: Unix microseconds."""
        mine = self.column("stage") == stage
        due_us = self.column("scheduled_at").astype("datetime64[us]").astype(np.int64)[mine]
        return due_us, due_us + self.column("latency_us")[mine]

    def facts(self, name):
        return sum(getattr(batch.facts, name) for batch in self.batches)

    def check_books(self):
        """What must hold of every run."""
        totals = self.totals
        assert totals.scheduled == totals.completed + totals.failed + totals.dropped + totals.in_flight_at_end
        assert len(self.rows) == totals.completed + totals.failed
        assert sum(row["error"] is not None for row in self.rows) == totals.failed
        assert [self.facts(n) for n in ("scheduled", "sent", "dropped")] == [
            totals.scheduled,
            totals.sent,
            totals.dropped,
        ]
        assert self.batches[-1].facts.in_flight == totals.in_flight_at_end
        windows = [batch.header.key.window for batch in self.batches]
        begun = [event.starts_at_us for event in self.publisher.events if isinstance(event, StageEntered)]
        first = begun[0] // WINDOW_US if begun else windows[0]
        assert windows == list(range(first, windows[-1] + 1)), "every window, in order"
        assert all(batch.header.final for batch in self.batches)
        assert [batch.header.goodbye for batch in self.batches] == [False] * (len(windows) - 1) + [True]
        assert (self.column("dispatch_lag_us") <= self.column("write_lag_us")).all()
        assert (self.column("write_lag_us") <= self.column("latency_us")).all()


async def load(plan: Plan, *, stop: asyncio.Event | None = None, on_progress=None, lead_us: int = 0) -> Outcome:
    publisher = MemoryPublisher()
    start_us = (int(time.time() * 1e6) + lead_us) // WINDOW_US * WINDOW_US
    began = time.perf_counter()
    totals = await run_load(
        plan,
        publisher=publisher,
        run_id="run-1",
        start_at_us=start_us,
        window_us=WINDOW_US,
        stop=stop or asyncio.Event(),
        on_progress=on_progress,
    )
    outcome = Outcome(plan, totals, publisher, start_us, time.perf_counter() - began)
    outcome.check_books()
    return outcome


@pytest.fixture(scope="module")
def whole_run(shared_target, plan_of):
    shared_target.requests = 0
    plan = plan_of(
        shared_target.url,
        {"name": "hold", "hold": 100, "for": "600ms", "role": "warm-up"},
        {"name": "ramp", "ramp": [20, 180], "for": "600ms"},
        {"name": "map", "levels": [50, 100], "visits": 2, "each": "400ms"},
        target_count_path="/counts",
        requests=[
            {"name": "get", "weight": 3, "path": "/ok"},
            {"name": "post", "method": "POST", "path": "/post", "json": {"item": 7}},
        ],
    )
    return asyncio.run(load(plan, lead_us=5_000_000))


class TestAWholeRun:
    def test_the_target_counted_what_was_sent_and_all_of_it_was_due(self, whole_run):
        totals = whole_run.totals
        assert totals.target_counted == totals.sent == totals.scheduled == totals.completed == 60 + 60 + 2 * (20 + 40)
        assert (totals.failed, totals.dropped, totals.in_flight_at_end) == (0, 0, 0)

    def test_each_stage_has_as_many_requests_as_the_integral_of_its_rate(self, whole_run):
        stages = Counter(row["stage"] for row in whole_run.rows)
        assert (stages["hold"], stages["ramp"]) == (60, 60)
        assert sorted(stages[f"map[{visit}]"] for visit in (1, 2, 3, 4)) == [20, 20, 40, 40]

    def test_each_visit_has_the_mix_of_the_weights(self, whole_run):
        mix = Counter((row["stage"], row["endpoint"]) for row in whole_run.rows)
        for visit in (1, 2, 3, 4):
            gets, posts = mix[f"map[{visit}]", "get"], mix[f"map[{visit}]", "post"]
            assert gets == 3 * posts

    def test_each_segment_was_announced_as_it_began(self, whole_run):
        events = [event for event in whole_run.publisher.events if isinstance(event, StageEntered)]
        assert [event.label for event in events] == ["hold", "ramp", "map[1]", "map[2]", "map[3]", "map[4]"]
        assert events[0].starts_at_us == whole_run.start_us
        assert [event.role for event in events] == ["warm-up"] + ["measure"] * 5
        assert [event.ends_at_us for event in events[:-1]] == [event.starts_at_us for event in events[1:]]

    def test_bodies_arrive_and_bytes_are_counted_both_ways(self, whole_run, shared_target):
        assert set(shared_target.bodies) == {("application/json", b'{"item": 7}')}
        post = next(row for row in whole_run.rows if row["endpoint"] == "post")
        assert 100 < post["bytes_sent"] < 400
        assert 100 < post["bytes_received"] < 400
        assert post["status"] == 201

    def test_the_generator_says_what_it_cost_itself(self, whole_run):
        assert whole_run.batches[-1].facts.engine == whole_run.plan.engine
        assert 0 < whole_run.facts("generator_cpu_us") < whole_run.took_s * 2e6


async def test_a_stall_of_the_target_shows_in_every_request_that_was_due_meanwhile(target, plan_of):
    """A closed model would send one request, wait with it, and call the stall one slow request in a hundred."""
    outcome = await load(plan_of(target.url, {"name": "hold", "hold": 100, "for": "1s"}, path="/freeze"))
    latency_ms = outcome.column("latency_us") / 1e3
    assert outcome.totals.completed == 100
    assert latency_ms.max() > 450
    assert (latency_ms > 100).sum() >= 35, "those due in the first 400 of 500 ms"
    waited_ms = latency_ms - outcome.column("dispatch_lag_us") / 1e3
    assert (waited_ms > 100).sum() >= 10, "sent all the same: it was the target that stalled, not the generator"


async def test_users_of_the_closed_model_wait_think_and_come_again_until_their_stage_is_over(target, plan_of):
    stages = (
        {"name": "open", "hold": 20, "for": "400ms"},
        {"name": "crowd", "users": 5, "think": "100ms", "for": "1s"},
        {"name": "after", "hold": 20, "for": "200ms"},
    )
    outcome = await load(plan_of(target.url, *stages, target_count_path="/counts"))
    counts = Counter(row["stage"] for row in outcome.rows)
    assert (counts["open"], counts["after"]) == (8, 4)
    assert 5 < counts["crowd"] <= 5 * 10, "ten times at most if answers took no time at all"
    assert outcome.totals.target_counted == outcome.totals.sent == outcome.totals.completed
    due_us, ended_us = outcome.under_way("crowd")
    assert max(int(((due_us <= at) & (at < ended_us)).sum()) for at in due_us) <= 5


async def test_a_stall_shows_in_no_more_requests_than_there_are_users(target, plan_of):
    """What the closed model hides, which is why the open one is the rule."""
    outcome = await load(plan_of(target.url, {"name": "crowd", "users": 4, "for": "1s"}, path="/freeze"))
    assert outcome.totals.completed > 4
    due_us, ended_us = outcome.under_way("crowd")
    stalled_us = target.came_s[0] * 1e6 + 250_000  # the first one is kept for 500 ms
    assert 1 <= ((due_us < stalled_us) & (stalled_us < ended_us)).sum() <= 4


async def test_users_of_a_target_that_is_gone_come_again_and_are_counted(plan_of):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        outcome = await load(plan_of(url, {"name": "crowd", "users": 3, "for": "1s"}))
    assert {row["error"] for row in outcome.rows} == {"refused"}
    assert outcome.totals.failed > 3


async def test_arrivals_beyond_the_cap_are_dropped_and_counted(target, plan_of):
    stage = {"name": "h", "hold": 50, "for": "400ms"}
    outcome = await load(plan_of(target.url, stage, path="/never", max_in_flight=5, timeout="3s"))
    assert (outcome.totals.scheduled, outcome.totals.dropped) == (20, 15)
    assert Counter(row["error"] for row in outcome.rows) == {"timeout": 5}


FAILURES = [
    # (path, error, status, sent per request)
    ("/reset", "closed", 0, 1),
    ("/closed", "closed", 200, 1),
    ("/never", "timeout", 0, 1),
    ("/error", "http 500", 500, 1),
    ("/missing", "http 404", 404, 1),
    ("/away", "not allowed", 0, 1),
    ("/round", "redirects", 0, 4),  # the request and the three redirects that the plan follows
]


@pytest.mark.parametrize(("path", "error", "status", "sent"), FAILURES, ids=[path for path, *_ in FAILURES])
async def test_what_goes_wrong_has_a_short_name(target, plan_of, *, path, error, status, sent):
    stage = {"name": "h", "hold": 20, "for": "200ms"}
    timeout = "3s" if error == "timeout" else "20s"
    outcome = await load(
        plan_of(target.url, stage, path=path, timeout=timeout, redirects=3, target_count_path="/counts")
    )
    assert Counter((row["error"], row["status"]) for row in outcome.rows) == {(error, status): 4}
    assert (outcome.totals.failed, outcome.totals.completed) == (4, 0)
    tries = 2 if path == "/reset" and outcome.plan.engine == "aiohttp" else 1
    # aiohttp tries a GET once more, as RFC 9112 section 9.3.1 allows.
    assert outcome.totals.sent == outcome.totals.target_counted == 4 * sent * tries


async def test_a_target_that_is_gone_refuses(target, plan_of):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = "http://{}:{}".format(*free.getsockname())
        outcome = await load(plan_of(url))
    assert Counter(row["error"] for row in outcome.rows) == {"refused": 20}
    assert outcome.totals.sent == 0, "nothing was handed to a socket"
    assert outcome.totals.target_counted is None


async def test_a_followed_redirect_is_one_outcome_and_two_requests_sent(target, plan_of):
    outcome = await load(plan_of(target.url, path="/hop", target_count_path="/counts"))
    assert (outcome.totals.completed, outcome.totals.sent, outcome.totals.target_counted) == (20, 40, 40)


async def test_a_redirect_that_is_not_followed_is_an_answer(target, plan_of):
    outcome = await load(plan_of(target.url, path="/hop", redirects=0, target_count_path="/counts"))
    assert Counter((row["error"], row["status"]) for row in outcome.rows) == {(None, 302): 20}
    assert outcome.totals.sent == outcome.totals.target_counted == 20


async def test_an_answer_that_fails_a_check_is_a_failure_of_its_own_kind(target, plan_of):
    def asking(name: str, path: str, *checks: dict) -> dict:
        return {"name": name, "path": path, "checks": checks}

    requests = [
        asking("good", "/ok", {"status": 200}, {"body": {"has": "ok"}}, {"header": {"name": "Content-Length"}}),
        asking("bad", "/ok", {"body": {"has": "fine"}}),
        asking("wanted", "/error", {"status": 500}),
        asking("hop", "/hop", {"status": 200}, {"body": {"matches": "^ok$"}}),
        asking("long", "/big", {"body": {"matches": "^x{1000}"}}),
        asking("json", "/counts", {"json": {"path": "$.requests", "at_least": 0}}),
    ]
    outcome = await load(plan_of(target.url, {"name": "h", "hold": 60, "for": "500ms"}, requests=requests))
    errors = Counter((row["endpoint"], row["error"]) for row in outcome.rows)
    good = {(name, None): 5 for name in ("good", "wanted", "hop", "long", "json")}
    assert errors == good | {("bad", "check body fine"): 5}


async def test_the_trace_context_is_appended_to_the_plans_own_headers_which_are_rendered_for_each_arrival(
    target, plan_of
):
    headers = {"Baggage": "user={{counter}}", "X-Arrival": "{{counter}}"}
    requests = [{"name": "hop", "path": "/hop", "headers": headers}]
    outcome = await load(plan_of(target.url, requests=requests))
    assert outcome.totals.completed == 20
    sent = [dict(headers) for headers in target.headers]
    ours = "loadflame.run=run-1,loadflame.endpoint=hop,loadflame.stage=hold"
    assert [one["baggage"] for one in sent] == [f"user={one['x-arrival']},{ours}" for one in sent]
    assert Counter(one["x-arrival"] for one in sent) == {str(n): 2 for n in range(20)}, "redirected once each"
    for name in ("baggage", "traceparent"):
        assert {[name for name, _ in headers].count(name) for headers in target.headers} == {1}


async def test_a_traceparent_of_the_plan_is_the_only_one_and_another_for_each_arrival(target, plan_of):
    parent = "00-{{counter}}-1-01"
    await load(plan_of(target.url, requests=[{"name": "ok", "path": "/ok", "headers": {"traceparent": parent}}]))
    parents = sorted(value for headers in target.headers for name, value in headers if name == "traceparent")
    assert parents == sorted(f"00-{number}-1-01" for number in range(20))


async def test_large_answers_are_drained_and_counted(target, plan_of):
    outcome = await load(plan_of(target.url, path="/big"))
    assert all(len(BIG) < row["bytes_received"] < len(BIG) + 500 for row in outcome.rows)


class TestStopping:
    async def test_what_was_measured_is_published_and_the_books_close(self, target, plan_of):
        stop = asyncio.Event()
        plan = plan_of(target.url, {"name": "long", "hold": 100, "for": "1h"}, target_count_path="/counts")
        outcome = await load(plan, stop=stop, on_progress=lambda p: stop.set() if p.elapsed_s >= 0.4 else None)
        assert 40 <= outcome.totals.scheduled <= 3_000
        planned, ended = (event for event in outcome.publisher.events if isinstance(event, StageEntered))
        assert planned.event_id() == ended.event_id(), "the later one holds"
        assert planned.ends_at_us == planned.starts_at_us + 3_600_000_000
        assert 400_000 <= ended.ends_at_us - ended.starts_at_us < 30_000_000, "of the hour that was planned"
        assert outcome.totals.completed == outcome.totals.sent == outcome.totals.target_counted
        assert outcome.totals.in_flight_at_end == 0

    async def test_requests_without_an_answer_are_waited_for_a_little_and_then_counted_as_in_flight(
        self, target, plan_of
    ):
        stop = asyncio.Event()
        plan = plan_of(target.url, {"name": "long", "hold": 50, "for": "1h"}, path="/never", timeout="1h")
        outcome = await load(plan, stop=stop, on_progress=lambda p: stop.set())
        assert outcome.totals.in_flight_at_end == outcome.totals.scheduled >= 10
        assert outcome.rows == []
        assert outcome.took_s < 300, "of the hour that they have"

    async def test_before_the_beginning_there_is_nothing_but_the_books(self, target, plan_of):
        stop = asyncio.Event()
        stop.set()
        outcome = await load(plan_of(target.url), stop=stop)
        assert (outcome.totals.scheduled, len(outcome.batches)) == (0, 1)


SOON_US = 60_000_000
"""However slow the machine is, and an hour is more."""


async def test_a_start_that_is_over_is_put_off_and_nothing_is_fired_in_one_go(target, plan_of):
    publisher = MemoryPublisher()
    now_us = int(time.time() * 1e6)
    totals = await run_load(
        plan_of(target.url),
        publisher=publisher,
        run_id="run-1",
        start_at_us=now_us - 5_000_000,
        window_us=WINDOW_US,
        stop=asyncio.Event(),
    )
    first = publisher.events[0]
    assert isinstance(first, StageEntered)
    assert first.starts_at_us % WINDOW_US == 0
    assert now_us < first.starts_at_us < now_us + SOON_US
    assert publisher.batches[0].header.key.window == first.starts_at_us // WINDOW_US
    assert totals.completed == 20


async def test_windows_and_stages_are_those_of_the_publishers_clock(target, plan_of):
    """Which is Kafka's, where the host's is off: here it is an hour ahead of this host's."""
    publisher = MemoryPublisher()
    publisher.clock = SteadyClock(3_600_000_000)
    start_us = publisher.clock.now_us() + 500_000
    await run_load(
        plan_of(target.url),
        publisher=publisher,
        run_id="run-1",
        start_at_us=start_us,
        window_us=WINDOW_US,
        stop=asyncio.Event(),
    )
    first = publisher.events[0]
    assert isinstance(first, StageEntered)
    assert start_us <= first.starts_at_us < start_us + SOON_US
    assert publisher.batches[0].header.key.window == first.starts_at_us // WINDOW_US
    scheduled_us = publisher.batches[0].rows["scheduled_at"].cast("int64").to_pylist()
    assert all(first.starts_at_us <= one < first.starts_at_us + 10 * WINDOW_US for one in scheduled_us)


class GoneKafka(MemoryPublisher):
    """Loses everything, as a broker that is away does."""

    def __init__(self):
        super().__init__()
        self.reachable = False


async def test_the_schedule_does_not_care_whether_kafka_is_there(target, plan_of):
    publisher = GoneKafka()
    totals = await run_load(
        plan_of(target.url),
        publisher=publisher,
        run_id="run-1",
        start_at_us=0,
        window_us=WINDOW_US,
        stop=asyncio.Event(),
    )
    published = await say_last_words(publisher, "run-1", "load", totals=totals, timeout_s=1)
    assert totals.completed == 20
    assert (published.rows_acknowledged, published.rows_lost) == (0, 20)


async def test_the_end_is_announced_with_what_was_acknowledged_and_the_totals(target, plan_of):
    outcome = await load(plan_of(target.url))
    published = await say_last_words(outcome.publisher, "run-1", "load", totals=outcome.totals, timeout_s=1)
    ended = outcome.publisher.events[-1]
    assert isinstance(ended, ProducerEnded)
    assert (ended.role, ended.producer_id, ended.totals) == ("load", outcome.publisher.producer_id, outcome.totals)
    assert ended.batches_acknowledged == published.batches_acknowledged == len(outcome.batches)
    assert (ended.rows_acknowledged, ended.batches_lost, ended.rows_lost) == (20, 0, 0)


class TestTheTarget:
    async def test_one_that_answers_and_counts_is_fine(self, target, plan_of):
        await check_target(plan_of(target.url, target_count_path="/counts"), ())

    async def test_one_that_refuses_connections_is_said_before_anything_starts(self, plan_of):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = "http://{}:{}".format(*free.getsockname())
            with pytest.raises(TargetError, match="refuses connections; start the service, or mend `target`"):
                await check_target(plan_of(url), ())

    async def test_a_foreign_host_must_be_allowed_by_name(self, plan_of):
        with pytest.raises(TargetError, match=r"is another machine \(192\.0\.2\.1\); .* --allow-host 192\.0\.2\.1"):
            await check_target(plan_of("http://192.0.2.1"), ("192.0.2.2",))

    async def test_another_machine_gets_no_higher_rate_than_is_allowed(self, plan_of, monkeypatch):
        async def refuses(*_args: object, **_more: object) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(asyncio, "open_connection", refuses)
        fast, slow = (plan_of("http://192.0.2.1", {"name": "s", "hold": tps, "for": "1s"}) for tps in (1001, 1000))
        said = "at most 1000 requests per second, and .* highest rate is 1001; lower it, or set LOADFLAME_MAX_TPS=1001"
        with pytest.raises(TargetError, match=said):
            await check_target(fast, ("192.0.2.1",))
        with pytest.raises(TargetError, match="at most 999 requests per second"):
            await check_target(slow, ("192.0.2.1",), 999)
        for plan, allowed in ((slow, 1000.0), (fast, 1001.0)):
            with pytest.raises(TargetError, match="refuses connections"):
                await check_target(plan, ("192.0.2.1",), allowed)

    async def test_this_machine_gets_any_rate(self, target, plan_of):
        await check_target(plan_of(target.url, {"name": "s", "hold": 1_000_000, "for": "1s"}), (), 1)

    async def test_an_unknown_host_is_said(self, monkeypatch, plan_of):
        def unknown(*_args, **_more):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(TargetError, match="the host nowhere is not known; mend `target` in the plan"):
            await check_target(plan_of("http://nowhere"), ())

    async def test_one_without_tls_is_not_asked_for_https(self, target, plan_of):
        with pytest.raises(TargetError, match="does not speak TLS that can be trusted"):
            await check_target(plan_of(target.url.replace("http:", "https:")), ())

    @pytest.mark.parametrize("path", ["/ok", "/missing", "/reset"])
    async def test_one_that_does_not_count_where_the_plan_says_so_is_said(self, target, path, plan_of):
        with pytest.raises(TargetError, match=r"does not answer .*requests.*; mend `target_count_path`"):
            await check_target(plan_of(target.url, target_count_path=path), ())


class TestTheProbe:
    async def test_it_finds_a_rate_in_about_two_seconds(self, target):
        began = time.perf_counter()
        rate = await probe_rate(target.url, "/ok", ())
        took_s = time.perf_counter() - began
        assert 0.2 * target.requests / took_s < rate < target.requests

    async def test_another_machine_is_not_asked_more_than_is_allowed(self, target, monkeypatch):
        async def bounded(url: str, max_tps: float) -> float:
            assert url == target.url
            return max_tps

        monkeypatch.setattr(probe, "highest_tps", bounded)
        assert await probe_rate(target.url, "/ok", (), 50) <= 55
        assert target.requests <= 101
        assert await probe_rate(target.url, "/ok", (), 0.5) <= 0.5
        assert target.requests <= 102

    async def test_a_service_that_fails_is_no_base_for_a_plan(self, target):
        with pytest.raises(TargetError, match="answers the probe with 'http 500'"):
            await probe_rate(target.url, "/error", ())
