"""Scenarios against a real server: one arrival is one outcome, whatever the function does and however it ends."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from producers.load.plan import Plan
from tests.integration.test_load import Outcome, load
from tests.support.target import BIG, Target, running_target

FLOW = """
import asyncio


async def shop(user):
    async with user.step("login"):
        answer = await user.post("/login", json={"name": f"user-{user.number}"})
        user.vars["token"] = answer.json()["token"]
    await asyncio.sleep(0.01)
    found = (await user.get("/mine", name="mine")).json()
    user.check(found["items"][0]["price"] == 7, "price")
    user.check(found["who"] == f"user-{user.number}", "the cookie is mine")
    user.check(user.vars == {"token": "t"}, "the variables are mine")


async def without_login(user):
    async with user.step("mine"):
        await user.get("/mine")


async def allowed(user):
    assert (await user.get("/mine", allow=(401,))).status == 401


async def unnamed(user):
    await user.get("/error")


async def wrong_price(user):
    await user.get("/ok")
    user.check(False, "price")
    await user.get("/error", name="after")


async def raises(user):
    await user.get("/ok")
    raise ValueError("not\\nshown")


async def raises_below(user):
    await user.get("/ok")
    {}["price"]


async def caught(user):
    try:
        await user.get("/missing", name="first")
    except Exception:
        await user.get("/ok", name="second")


async def leaves(user):
    await user.get("/ok")
    raise SystemExit(3)


async def idle(user):
    await asyncio.sleep(0)


async def never(user):
    await user.get("/never", name="wait")


async def impatient(user):
    async with asyncio.timeout(2):
        await user.get("/never", name="wait")


async def closed(user):
    await user.get("/closed", name="half")


async def away(user):
    await user.get("/away", name="out")


async def no_path(user):
    await user.get("http://192.0.2.1/")


async def no_json(user):
    (await user.get("/big")).json()


async def at_once(user):
    await asyncio.gather(*(user.get("/ok", name=name) for name in "abc"))


async def who(user):
    answer = await user.get("/mine", name="mine")
    user.check(answer.json()["who"] == f"plan-{user.number}", "the plan's")
    answer = await user.get("/mine", headers={"cookie": "who=me"}, name="mine")
    user.check(answer.json()["who"] == "me", "its own")


async def own_baggage(user):
    await user.get("/ok", name="plan")
    await user.get("/ok", name="own", headers={"BAGGAGE": "mine=2", "traceparent": "00-5-6-01"})
"""


@pytest.fixture(scope="module")
def shared_target():
    with running_target() as target:
        yield target


@pytest.fixture
def target(shared_target: Target) -> Target:
    shared_target.begin_anew()
    return shared_target


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "flow.py"
    path.write_text(FLOW)
    return path


def plan_of(target: Target, flow: Path, function: str, **more: object) -> Plan:
    plan = {
        "target": target.url,
        "stages": [{"name": "hold", "hold": 40, "for": "250ms"}],
        "requests": [{"name": function, "scenario": f"{flow}:{function}"}],
        "timeout": "20s",
        "target_count_path": "/counts",
    }
    return Plan.model_validate(plan | more)


async def run(target: Target, flow: Path, function: str, **more: object) -> Outcome:
    return await load(plan_of(target, flow, function, **more))


async def test_a_scenario_that_logs_in_searches_and_checks_is_one_outcome_and_all_of_its_requests(target, flow):
    outcome = await run(target, flow, "shop")
    totals = outcome.totals
    assert (totals.scheduled, totals.completed, totals.failed) == (10, 10, 0)
    assert totals.sent == totals.target_counted == 20
    assert Counter((row["endpoint"], row["status"], row["error"]) for row in outcome.rows) == {("shop", 200, None): 10}
    assert (outcome.column("latency_us") > 10_000).all(), "the thinking within is part of the run"
    written_us, rounded_us = outcome.column("write_lag_us"), outcome.column("latency_us") * 1.01
    assert (written_us < rounded_us - 10_000).all(), "written: its first request"
    assert outcome.batches[-1].facts.engine == "aiohttp"


async def test_scenarios_and_plain_requests_share_a_plan_by_weight(target, flow):
    requests = [
        {"name": "shop", "scenario": f"{flow}:shop", "weight": 1},
        {"name": "plain", "path": "/ok", "weight": 4},
    ]
    outcome = await run(target, flow, "shop", requests=requests)
    assert Counter(row["endpoint"] for row in outcome.rows) == {"shop": 2, "plain": 8}
    assert (outcome.totals.completed, outcome.totals.sent) == (10, 12)


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(FLOW.splitlines(), 1) if text in line)


FAILURES = [
    # (function, error, status, sent for each)
    ("without_login", "step mine: http 401", 401, 1),
    ("unnamed", "http 500", 500, 1),
    ("wrong_price", "check price", 500, 2),
    ("raises", f"scenario: ValueError at flow.py:{line_of('raise ValueError')}", 200, 1),
    ("raises_below", f"scenario: KeyError at flow.py:{line_of('{}[')}", 200, 1),
    ("caught", "step first: http 404", 200, 2),
    ("leaves", f"scenario: SystemExit at flow.py:{line_of('raise SystemExit')}", 200, 1),
    ("idle", "scenario: nothing sent", 0, 0),
    ("never", "step wait: timeout", 0, 1),
    ("impatient", f"scenario: TimeoutError at flow.py:{line_of('asyncio.timeout')}", 0, 1),
    ("closed", "step half: closed", 200, 1),
    ("away", "step out: not allowed", 0, 1),
    ("no_path", f"scenario: ValueError at flow.py:{line_of('192.0.2.1')}", 0, 0),
    ("no_json", f"scenario: JSONDecodeError at flow.py:{line_of('/big')}", 200, 1),
]


@pytest.mark.parametrize("failure", FAILURES, ids=[name for name, *_ in FAILURES])
async def test_the_first_thing_that_goes_wrong_names_the_outcome(target, flow, failure):
    function, error, status, sent = failure
    outcome = await run(target, flow, function, timeout="3s" if error.endswith(": timeout") else "20s")
    assert Counter((row["error"], row["status"]) for row in outcome.rows) == {(error, status): 10}
    assert (outcome.totals.failed, outcome.totals.completed) == (10, 0)
    assert outcome.totals.sent == outcome.totals.target_counted == 10 * sent


async def test_a_status_that_is_allowed_is_no_error(target, flow):
    outcome = await run(target, flow, "allowed")
    assert Counter((row["error"], row["status"]) for row in outcome.rows) == {(None, 401): 10}


async def test_requests_at_once_are_all_counted(target, flow):
    outcome = await run(target, flow, "at_once")
    assert (outcome.totals.completed, outcome.totals.sent, outcome.totals.target_counted) == (10, 30, 30)


async def test_the_headers_of_the_plan_go_with_every_request_and_the_scenario_may_replace_them(target, flow):
    requests = [{"name": "who", "scenario": f"{flow}:who", "headers": {"Cookie": "who=plan-{{counter}}"}}]
    outcome = await run(target, flow, "who", requests=requests)
    assert Counter(row["error"] for row in outcome.rows) == {None: 10}


async def test_the_trace_context_is_appended_to_the_baggage_of_the_plan_or_of_the_scenario(target, flow):
    requests = [{"name": "own", "scenario": f"{flow}:own_baggage", "headers": {"Baggage": "plan={{counter}}"}}]
    await run(target, flow, "own_baggage", requests=requests)
    ours = "loadflame.run=run-1,loadflame.endpoint=own,loadflame.stage=hold"
    sent = Counter(value for headers in target.headers for name, value in headers if name == "baggage")
    assert sent == {f"plan={number},{ours}": 1 for number in range(10)} | {f"mine=2,{ours}": 10}
    parents = [value for headers in target.headers for name, value in headers if name == "traceparent"]
    assert (len(parents), parents.count("00-5-6-01")) == (20, 10)


async def test_bytes_are_counted_both_ways_over_all_requests_of_a_run(target, flow):
    outcome = await run(target, flow, "no_json")
    assert all(len(BIG) < row["bytes_received"] < len(BIG) + 500 for row in outcome.rows)
    shop, plain = await run(target, flow, "shop"), await run(target, flow, "allowed")
    assert shop.column("bytes_sent").min() > plain.column("bytes_sent").max()


async def test_scenarios_that_do_not_end_are_in_flight_at_the_end_and_the_books_close(target, flow):
    stop = asyncio.Event()
    plan = plan_of(target, flow, "never", timeout="1h", stages=[{"name": "long", "hold": 50, "for": "1h"}])
    outcome = await load(plan, stop=stop, on_progress=lambda _: stop.set())
    assert outcome.totals.in_flight_at_end == outcome.totals.scheduled >= 5
    assert outcome.rows == []
    assert outcome.took_s < 300, "of the hour that they have"


async def test_scenarios_beyond_the_cap_are_dropped(target, flow):
    outcome = await run(target, flow, "never", max_in_flight=4, timeout="3s")
    assert (outcome.totals.scheduled, outcome.totals.dropped, outcome.totals.failed) == (10, 6, 4)
