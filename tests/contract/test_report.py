import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.events import CheckOutcome, LoadTotals, ProducerEnded, RunChecked
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.support.synthetic import FIXED_US_PER_S, Stage, Synthetic, levels, mixes, shop_costs
from views import queries, served_queries
from views.model import Threshold
from views.report import Report, build_report
from views.warnings import PYSPY_IN_POOLS

VIEWS = {
    *("requests", "samples", "batches", "windows", "endpoints", "functions", "runs", "stages", "producers"),
    "checks",
    "dead_letters",
    "hosts",
    *("minutes", "minute_functions"),
    *("functions_within", "endpoints_within", "samples_within", "requests_within", "endpoints_summed"),
    "stack_texts",
}

# The JSON contract of `loadflame report RUN --json`: names and nesting stay, fields may be added.
CONTRACT: dict[str, Any] = {
    "run": {"id", "service", "started_at", "ended_at", "verdict"},
    "accounting": {
        *("scheduled", "sent", "completed", "failed", "dropped", "stored", "late", "dead_letters", "windows"),
        "windows_without_profile",
    },
    "load": {
        *("stage", "offered_tps", "achieved_tps", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "error_rate"),
        "bytes_per_s",
    },
    "generator": {"engine", "send_lag_p99_ms", "cpu_share", "limited"},
    "profile": {"coverage", "agent_cpu_share", "service_cpu_cores"},
    "functions": {
        *("function", "file", "self_share", "total_share", "self_us_per_request", "total_us_per_request"),
        *("us_low", "us_high", "samples", "growth", "growth_low", "growth_high", "shape"),
    },
    "findings": {"kind", "summary", "function", "evidence"},
    "capacity": {
        *("max_tps_within_thresholds", "predicted_tps", "predicted_low", "predicted_high", "limited_by"),
        "what_if",
    },
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One store for all of these tests, which is how a user's looks: every run in it has an id of its own."""
    opened = open_client(f"chdb://{tmp_path_factory.mktemp('reports')}/store")
    migrate(opened)
    yield opened
    opened.close()


_numbers = itertools.count()


def report_of(client: Client, synthetic: Synthetic) -> Report:
    synthetic.run = f"run-of-test-{next(_numbers)}"
    synthetic.write(ClickHouseStore(client))
    return build_report(client, synthetic.run)


def function(report: Report, name: str) -> Any:
    return next(one for one in report.functions if one.function == name)


# The queries


@pytest.mark.parametrize("query", queries.ALL, ids=lambda query: query.name)
def test_every_query_runs_and_reads_views_only(client: Client, query: queries.Query) -> None:
    queries.fetch(client, query, **query.parameters)
    sources = set(re.findall(r"FROM\s+([a-z_]+)", query.sql))
    assert sources
    assert sources <= VIEWS
    assert set(re.findall(r"\{(\w+):", query.sql)) == set(query.parameters)


def test_every_named_query_is_in_the_list() -> None:
    named = [value.name for value in vars(queries).values() if isinstance(value, queries.Query)]
    assert sorted(named) == sorted(query.name for query in queries.ALL)
    assert len(set(named)) == len(named)


# A run whose truth is known


@pytest.fixture(scope="module")
def planted(client: Client) -> Report:
    return report_of(client, Synthetic())


def test_the_json_has_the_names_and_the_nesting_of_the_contract(planted: Report) -> None:
    told = json.loads(planted.model_dump_json())
    for part, names in CONTRACT.items():
        rows = told[part] if isinstance(told[part], list) else [told[part]]
        assert rows, part
        for row in rows:
            assert names <= set(row), part
    for change in told["capacity"]["what_if"]:
        assert {"function", "change", "tps", "tps_low", "tps_high"} <= set(change)
    assert json.loads(Report.model_validate_json(planted.model_dump_json()).model_dump_json()) == told


def test_the_planted_function_is_superlinear_and_heads_the_findings(planted: Report) -> None:
    sweep = function(planted, "sweep")
    assert sweep.shape == "superlinear"
    assert sweep.growth_low is not None
    assert sweep.growth_low > 1.15
    assert planted.findings[0].kind == "superlinear"
    assert planted.findings[0].function == "sweep (shop.py)"
    assert re.fullmatch(
        r"`sweep` \(shop\.py\) stops shop at about \d+ TPS: it costs \d+ us per request at 40 TPS and [\d,]+ us at 320 "
        r"TPS \(growth \d\.\d \[\d\.\d, \d\.\d\]\); made linear, expect [\d,]+ \[[\d,]+, [\d,]+\] TPS\.",
        planted.findings[0].summary,
    )


def test_innocent_functions_are_not_called_superlinear(planted: Report) -> None:
    assert {one.function for one in planted.functions if one.shape == "superlinear"} == {"sweep"}
    assert function(planted, "rank").shape == "linear"
    assert function(planted, "search").inherits_from == "sweep (shop.py)"


def test_costs_are_the_truth(planted: Report) -> None:
    truth = {"rank": 350.0, "sign": 120.0, "write": 150.0}
    found = {name: function(planted, name) for name in truth}
    assert {name: one.self_us_per_request for name, one in found.items()} == pytest.approx(truth, rel=0.12)
    assert all(one.us_low < one.total_us_per_request < one.us_high for one in found.values())
    assert function(planted, "sweep").us_at_lowest == pytest.approx(160, rel=0.35)
    assert function(planted, "sweep").us_at_highest == pytest.approx(1_280, rel=0.1)
    assert function(planted, "main").total_share == pytest.approx(1.0)


def test_capacity_is_seen_and_predicted(planted: Report) -> None:
    each_us = sum(cost(0) for cost in shop_costs().values())  # at no traffic the sweep costs nothing
    free_us = 1e6 - FIXED_US_PER_S
    limit = (-each_us + (each_us**2 + 16 * free_us) ** 0.5) / 8
    capacity = planted.capacity
    assert capacity.max_tps_within_thresholds == 320
    assert capacity.predicted_tps == pytest.approx(limit, rel=0.03)
    assert capacity.limited_by is not None
    assert "interpreter lock" in capacity.limited_by
    (change,) = capacity.what_if
    assert change.function == "sweep (shop.py)"
    assert change.tps == pytest.approx(free_us / (each_us + 160), rel=0.1)


def test_accounting_closes(client: Client) -> None:
    synthetic = Synthetic(in_flight_at_end=3, dropped_per_s=5, timeouts_per_s=2)
    told = report_of(client, synthetic).accounting
    assert told.scheduled == told.completed + told.failed + told.dropped + told.in_flight_at_end
    assert told.stored == told.completed + told.failed
    assert told.sent == told.target_counted
    assert (told.dropped, told.failed, told.in_flight_at_end) == (100, 40, 3)
    assert (told.windows, told.windows_without_profile, told.late, told.dead_letters, told.lost) == (80, 0, 0, 0, 0)


def test_load_has_one_row_a_level_whatever_the_order_of_the_visits(planted: Report) -> None:
    rows = [(row.stage, row.offered_tps, row.achieved_tps, row.visits, row.seconds, row.held) for row in planted.load]
    assert rows == [(f"map@{rate}", rate, rate, 4, 20, True) for rate in (40, 80, 160, 320)]
    row = planted.load[-1]
    assert row.bytes_per_s == row.sent_bytes_per_s + row.received_bytes_per_s == 320_000
    assert row.sent_bytes_per_s > 0
    assert planted.load[-1].p50_ms == pytest.approx(9.0, rel=0.05)


def test_the_profile_says_how_far_it_can_be_trusted(planted: Report) -> None:
    assert planted.profile.coverage == pytest.approx(0.995)
    assert planted.profile.agent_cpu_share == pytest.approx(0.02)
    assert planted.generator.cpu_share == pytest.approx(0.09)
    assert planted.generator.reason == "the plan has scenarios"
    assert planted.generator.send_lag_p99_ms == pytest.approx(0.12)
    assert [(one.pid, one.backend) for one in planted.profile.instances] == [(100, "austin")]
    assert (planted.run.verdict, planted.warnings) == ("passed", ())


def test_a_swung_mix_tells_which_endpoint_pays_and_growth_rests_on_the_plans_own(client: Client) -> None:
    report = report_of(client, Synthetic(stages=[*levels(), *mixes()], seed=4))
    paid = {str(one.function): one.summary for one in report.findings if one.kind == "endpoint"}
    assert paid.keys() == {"rank (shop.py)", "sign (shop.py)"}
    assert re.fullmatch(
        r"`sign` \(shop\.py\) is paid for by `checkout`: \d{3} us \[\d{3}, \d{3}\] for each, \d+% of its CPU "
        r"\[\d+%, \d+%\]\.",
        paid["sign (shop.py)"],
    )
    (mine,) = [one for one in function(report, "sign").endpoints if one.endpoint == "checkout"]
    assert mine.us_low < 120 / 0.3 < mine.us_high
    swept = {one.endpoint: one.share for one in function(report, "sweep").endpoints}
    assert swept == pytest.approx({"search": 0.7, "checkout": 0.3}, abs=0.1)
    assert report.endpoints_note == ""
    assert (report.growth.design, report.growth.blocks, report.growth.highest_tps) == ("levels", 16, 320)
    assert report.findings[0].kind == "superlinear"
    assert [(row.stage, row.visits) for row in report.load][-1] == ("mix@160", 8)


def test_a_run_of_which_nothing_is_fit_to_be_judged_accuses_no_endpoint(client: Client) -> None:
    report = report_of(client, Synthetic(stages=levels(), dispatch_lag_us=40_000, joined=True))
    assert report.run.verdict == "generator-limited"
    assert function(report, "sign").endpoints, "costs are shown all the same"
    assert not [one for one in report.findings if one.kind == "endpoint"]


def test_a_fixed_mix_is_said_to_tell_no_endpoint_with_the_remedy(planted: Report) -> None:
    assert planted.endpoints_note == (
        "Which endpoint pays for a function is not identifiable: the mix of requests was nearly the same whenever the "
        "rate was; add a stage like `{name: mix, levels: [160], visits: 8, each: 4s, modulate: 0.9}`."
    )
    assert not [one for one in planted.findings if one.kind == "endpoint"]
    assert {one.endpoints for one in planted.functions} == {()}


def test_what_was_left_out_of_a_swung_mix_is_said_beside_it(client: Client) -> None:
    busy = [replace(stage, tps=640) for stage in mixes()]  # over 85% of a core
    note = report_of(client, Synthetic(stages=[*levels(), *busy])).endpoints_note
    assert note.startswith("Which endpoint pays for a function is not identifiable")
    assert re.search(r"Left out: .*a thread over 85% busy.*\.$", note)


def test_the_clean_twin_gives_no_finding_about_growth(client: Client) -> None:
    report = report_of(client, Synthetic(costs=shop_costs(planted=False)))
    assert report.findings[0].kind == "none"
    assert report.findings[0].summary.startswith("No finding: no function of shop got dearer per request")
    assert not [one for one in report.functions if one.shape == "superlinear"]
    assert report.capacity.what_if == ()


def test_plain_traffic_is_seen_together_and_a_latency_that_nobody_took_is_shown_as_no_number(client: Client) -> None:
    traffic = [Stage("traffic", "traffic", "ramp", 40, 20, 300)]
    report = report_of(client, Synthetic(stages=traffic, observed=True, untimed=True))
    (row,) = report.load
    assert row.achieved_tps > 100
    assert (row.p50_ms, row.p99_ms, row.p999_ms, row.held) == (None, None, None, None)
    assert (report.run.observed, report.run.verdict) == (True, "passed")
    assert report.generator.send_lag_p99_ms is None
    assert report.findings[0].summary.startswith("Seen together: `sweep` (shop.py) took more CPU per request while")
    assert not any(one.shape == "superlinear" for one in report.functions)
    assert not any("superlinear" in one.kind for one in report.findings)
    assert report.warnings[0].startswith("Observed, not loaded: these are requests that came by themselves, as access")
    assert report.warnings[1].startswith("No latency is known: access log access.log has no durations; put $request")
    assert "not identifiable from plain traffic" in report.endpoints_note
    timed = report_of(client, Synthetic(stages=traffic, observed=True))
    assert timed.load[0].p50_ms == pytest.approx(9, rel=0.1)
    assert not any("latency" in warning for warning in timed.warnings)


@pytest.mark.parametrize("query", served_queries.ALL, ids=lambda query: query.name)
def test_every_query_of_joined_samples_runs_and_reads_views_only(client: Client, query: queries.Query) -> None:
    queries.fetch(client, query, **query.parameters)
    assert set(re.findall(r"FROM\s+([a-z_]+)", query.sql)) <= VIEWS | {"served", "paid_within"}
    assert set(re.findall(r"\{(\w+):", query.sql)) == set(query.parameters)


def test_where_it_is_known_whose_requests_threads_served_a_fixed_mix_tells_who_pays(client: Client) -> None:
    stage = [Stage("traffic", "traffic", "hold", 60, 100)]
    costs = shop_costs(planted=False)
    report = report_of(client, Synthetic(stages=stage, costs=costs, observed=True, joined=True, busiest_share=0.2))
    found = {
        one.function: {cost.endpoint: cost for cost in one.endpoints}
        for one in report.functions
        if one.function in ("sign", "rank", "sweep")
    }
    # 350 us of each request are rank's, and 70% of the requests are searches; 120 and 30% with sign and checkout.
    (rank,), (sign,) = found["rank"].values(), found["sign"].values()
    assert (rank.endpoint, sign.endpoint) == ("search", "checkout")
    assert rank.us_low < 350 / 0.7 < rank.us_high
    assert sign.us_low < 120 / 0.3 < sign.us_high
    assert rank.share == sign.share == 1.0
    assert rank.share_low > 0.98
    assert rank.unknown_share == 0.0
    sweep = found["sweep"]  # 400 us of either
    assert all(sweep[name].us_low < 400 < sweep[name].us_high for name in ("search", "checkout"))
    assert sweep["search"].share_low < 0.7 < sweep["search"].share_high
    named = {one.function: one for one in report.findings if one.kind == "endpoint"}
    assert set(named) == {"rank (shop.py)", "sign (shop.py)"}
    assert named["rank (shop.py)"].summary.endswith("seen on the threads that served it.")
    assert (
        named["rank (shop.py)"].evidence["relation"] == "each sample is joined with the request that its thread served"
    )
    joined = 1 - (150 * 100 + FIXED_US_PER_S) / ((150 + 40 + 350 + 400 + 20 + 120) * 100 + FIXED_US_PER_S)
    assert report.endpoints_note.startswith("Costs by endpoint are as seen: ")
    assert int(re.findall(r"(\d+)%", report.endpoints_note)[0]) == pytest.approx(100 * joined, abs=2)


def test_what_was_seen_goes_before_what_the_mix_tells(client: Client) -> None:
    report = report_of(client, Synthetic(stages=[*levels(), *mixes()], joined=True, seed=4))
    assert report.endpoints_note.startswith("Costs by endpoint are as seen: ")
    assert [one.endpoint for one in function(report, "sign").endpoints] == ["checkout"]
    assert function(report, "write").endpoints == ()  # nobody's, and given to nobody


def test_a_plain_ramp_claims_nothing(client: Client) -> None:
    ramp = [Stage("ramp", "ramp", "ramp", 40, 20, 300)]
    report = report_of(client, Synthetic(stages=ramp))
    assert {one.shape for one in report.functions} == {"unclear"}
    assert report.findings[0].kind == "indicative"
    assert report.findings[0].summary.startswith("Indicative only: `sweep` (shop.py) seems to get dearer")
    assert report.capacity.predicted_tps is None
    assert [(row.stage, row.form, row.held) for row in report.load] == [("ramp", "ramp", None)]


def test_a_hold_gives_costs_and_no_growth(client: Client) -> None:
    hold = [Stage("hold", "hold", "hold", 20, 100)]
    report = report_of(client, Synthetic(stages=hold))
    assert function(report, "rank").self_us_per_request == pytest.approx(350, rel=0.15)
    assert function(report, "rank").growth is None
    assert report.findings[0].summary.startswith("No finding about growth: the rate hardly changed")
    assert report.capacity.max_tps_within_thresholds == 100


# Latencies that are only known from below


def test_a_percentile_among_drops_is_a_bound_and_breaks_its_threshold(client: Client) -> None:
    synthetic = Synthetic(dropped_per_s=40, thresholds=["p95 < 500ms", "p50 < 500ms", "dropped < 20%"])
    report = report_of(client, synthetic)
    top = report.load[-1]
    assert top.censored == ("p95_ms", "p99_ms", "p999_ms")
    assert top.held is False
    held = {one.text: (one.held, one.censored) for one in report.thresholds}
    assert held == {"p95 < 500ms": (False, True), "p50 < 500ms": (True, False), "dropped < 20%": (True, False)}
    assert report.run.verdict == "failed"
    assert report.capacity.max_tps_within_thresholds == 160


@pytest.mark.parametrize("head_status", [0, 200])
def test_timeouts_are_bounds_at_the_time_that_was_waited(client: Client, head_status: int) -> None:
    synthetic = Synthetic(timeouts_per_s=10, head_status=head_status, thresholds=["p99(search) < 9s", "errors < 5%"])
    report = report_of(client, synthetic)
    top = report.load[-1]
    assert top.censored == ("p99_ms", "p999_ms")
    assert top.p99_ms == pytest.approx(5_000, rel=0.01)
    assert top.error_rate == pytest.approx(10 / 330, rel=1e-3)
    assert [one.held for one in report.thresholds] == [False, True]


def test_that_a_percentile_is_a_bound_is_known_when_the_requests_are_gone(client: Client) -> None:
    synthetic = Synthetic(timeouts_per_s=10)
    before = report_of(client, synthetic).load[-1]
    client.command(f"ALTER TABLE requests_stored DELETE WHERE run = '{synthetic.run}' SETTINGS mutations_sync = 2")
    after = build_report(client, synthetic.run).load[-1]
    assert (after.p99_ms, after.censored) == (before.p99_ms, before.censored) == (before.p99_ms, ("p99_ms", "p999_ms"))


FOR_A_TIME = [
    pytest.param({}, "p95 < 500ms for 3s", True, 14.9, id="answered"),
    pytest.param({}, "p95 < 5ms for 3s", False, 14.9, id="answered too late"),
    pytest.param({}, "p99.9 < 500ms for 3s", True, None, id="p99.9"),
    pytest.param({}, "mean < 20ms for 3s", True, 9.4, id="the mean"),
    pytest.param({}, "mean < 5ms for 3s", False, 9.4, id="a mean that is too long"),
    pytest.param({}, "max < 15ms for 3s", False, None, id="the longest"),
    pytest.param({"dropped_per_s": 20}, "p95 < 500ms for 3s", False, None, id="6% dropped"),
    pytest.param({"dropped_per_s": 20}, "p50 < 500ms for 3s", True, None, id="6% dropped do not reach the median"),
    pytest.param({"dropped_per_s": 20}, "p95(search) < 500ms for 3s", False, None, id="6% of each endpoint, too"),
    pytest.param({"dropped_per_s": 20}, "p95 < 500ms for 21s", True, None, id="6% dropped, not for so long"),
    pytest.param({"timeouts_per_s": 20}, "p95 < 6s for 3s", False, 5_000, id="6% timed out after 5 s"),
    pytest.param({"timeouts_per_s": 20}, "mean < 6s for 3s", False, None, id="a mean with timeouts is a bound"),
    pytest.param({"timeouts_per_s": 20, "head_status": 200}, "p95 < 6s for 3s", False, 5_000, id="with a head"),
    pytest.param({"timeouts_per_s": 20}, "p95 > 4s for 3s", False, None, id="from below, the levels before"),
]


@pytest.fixture(scope="module")
def for_a_time(client: Client) -> Callable[[dict[str, Any], str], Threshold]:
    """What came of a threshold in a run with these changes; one run for all thresholds that are tried on it."""
    stages = [Stage("low", "low", "hold", 25, 40), Stage("top", "top", "hold", 20, 320)]
    found: dict[str, dict[str, Threshold]] = {}

    def judged(changes: dict[str, Any], threshold: str) -> Threshold:
        if (key := str(changes)) not in found:
            thresholds = [case.values[1] for case in FOR_A_TIME if case.values[0] == changes]
            report = report_of(client, Synthetic(stages=stages, thresholds=thresholds, **changes))
            found[key] = {one.text: one for one in report.thresholds}
        return found[key][threshold]

    return judged


@pytest.mark.parametrize(("changes", "threshold", "held", "value_ms"), FOR_A_TIME)
def test_a_threshold_for_a_time_counts_what_was_dropped_or_not_answered(
    for_a_time: Callable[[dict[str, Any], str], Threshold],
    changes: dict[str, Any],
    threshold: str,
    held: bool,
    value_ms: float | None,
) -> None:
    one = for_a_time(changes, threshold)
    assert one.held is held
    if value_ms is not None:
        assert one.value == pytest.approx(value_ms, rel=0.1)


THRESHOLDS = {
    "p99 < 1s": True,
    "p99 < 1ms": False,
    "p99(checkout) < 1s": True,
    "p99(nobody) < 1s": None,
    "mean < 20ms": True,
    "max < 5ms": False,
    "errors < 1%": True,
    "errors(nobody) < 1%": None,
    "tps > 300": True,
    "tps > 400": False,
    "dropped < 1%": True,
}


def test_thresholds_are_judged_over_the_whole_run(client: Client) -> None:
    stages = levels(visits=1, seconds=3)
    report = report_of(client, Synthetic(stages=stages, thresholds=list(THRESHOLDS)))
    assert {one.text: one.held for one in report.thresholds} == THRESHOLDS
    assert (report.run.verdict, report.run.why) == ("failed", "3 of 11 thresholds did not hold")


def test_a_threshold_on_an_endpoint_that_nobody_asked_for_cannot_be_judged(client: Client) -> None:
    stages = levels(visits=1, seconds=3)
    report = report_of(client, Synthetic(stages=stages, thresholds=["p99(nobody) < 1s"]))
    assert report.run.verdict == "inconclusive"


# What a reader is warned of


@pytest.mark.parametrize(
    ("changes", "verdict", "warning"),
    [
        pytest.param({"reason": "aborted"}, "aborted", None, id="Ctrl-C"),
        pytest.param({"reason": None}, "inconclusive", "The run has not ended", id="still on"),
        pytest.param({"rows_lost": 7}, "inconclusive", "7 outcomes were lost", id="rows lost"),
        pytest.param(
            {"planned": [{"name": "map", "levels": [5]}, {"name": "crowd", "users": 5, "for": "1s"}]},
            "passed",
            "In crowd users waited for their answers (closed model)",
            id="the closed model",
        ),
        pytest.param({"note": "it was odd"}, "passed", "It was odd.", id="what is told of the run's end"),
        pytest.param(
            {"died": True, "dropped_per_s": 5},
            "inconclusive",
            "The load process of shard 1/1 died (30 of its 3,630 arrivals).",
            id="a load that died",
        ),
        pytest.param(
            {"clock_correction_us": -3_600_000_000},
            "passed",
            "The clock of the load's host was 3,600.0 s ahead of Kafka's",
            id="a clock that was off",
        ),
        pytest.param(
            {"clock_residual_us": 2_500_000},
            "passed",
            "The load's clock and Kafka's were 2.5 s apart by the end",
            id="a clock that drifted",
        ),
        pytest.param(
            {"clock_correction_us": 400_000, "clock_residual_us": -900_000}, "passed", None, id="clocks that will do"
        ),
        pytest.param({"unprofiled_windows": 4}, "passed", "4 of 24 windows have no profile.", id="gaps"),
        pytest.param({"unprofiled_windows": 24}, "passed", "There is no profile of this run", id="no profile"),
        pytest.param(
            {"dispatch_lag_us": 40_000},
            "generator-limited",
            "keep its schedule, first 0 s into the load at",
            id="a slow generator",
        ),
        pytest.param(
            {"backend": "py-spy", "threads": 12, "busiest_share": 0.3},
            "passed",
            f"functions of a thread pool {PYSPY_IN_POOLS} times the CPU that they use (pid-100 has 12 threads)",
            id="py-spy on a thread pool",
        ),
        pytest.param({"backend": "py-spy", "threads": 12}, "passed", None, id="py-spy where one thread does the work"),
        pytest.param({"backend": "austin", "threads": 12, "busiest_share": 0.3}, "passed", None, id="austin on a pool"),
    ],
)
def test_verdicts_and_warnings(client: Client, changes: dict[str, Any], verdict: str, warning: str | None) -> None:
    report = report_of(client, Synthetic(stages=levels(visits=2, seconds=3), **changes))
    assert report.run.verdict == verdict
    assert [one for one in report.warnings if warning and warning in one] if warning else report.warnings == ()


# What the generator limited says nothing of the service


def steps(*rates: float, seconds: int = 10) -> list[Stage]:
    return [Stage(f"s[{n}]", "s", "hold", seconds, float(rate), visit=n) for n, rate in enumerate(rates, 1)]


@pytest.mark.parametrize(
    ("late_windows", "held", "max_tps"),
    [
        pytest.param((), [True, True, True, True], 400, id="never late"),
        pytest.param((12, 33), [True, True, True, True], 400, id="one window of ten is borne"),
        pytest.param((32, 36), [True, True, True, None], 300, id="two of ten are not, and only that step is hit"),
        pytest.param(range(15, 18), [True, None, None, None], 100, id="nor anything that follows a late stretch"),
    ],
)
def test_no_capacity_is_drawn_from_what_the_generator_limited_or_what_follows(
    client: Client, late_windows: range, held: list[bool | None], max_tps: float
) -> None:
    report = report_of(client, Synthetic(stages=steps(100, 200, 300, 400), late_windows=late_windows))
    assert [row.held for row in report.load] == held
    assert [row.limited for row in report.load] == [one is None for one in held]
    assert report.capacity.max_tps_within_thresholds == max_tps
    named = [row.stage for row in report.load if row.limited]
    told = [one for one in report.warnings if one.startswith("No capacity is drawn from")]
    assert told == ([f"No capacity is drawn from {', '.join(named)}: {ELSEWHERE}"] if named else [])


ELSEWHERE = "generator or host was the limit there, or at a lower rate before."


def test_a_step_that_the_generator_limited_is_no_overload_of_the_service(client: Client) -> None:
    behind = Synthetic(stages=steps(100, 200), dropped_per_s=40)
    assert "got through 200 when offered 240" in summaries(report_of(client, behind))
    behind.late_windows = range(14, 18)
    assert "got through" not in summaries(report_of(client, behind))


def test_a_step_that_is_not_judged_for_what_came_before_it_is_not_what_limits(client: Client) -> None:
    """Of the lower step 3 of 40 windows were late, which it bears; the higher one has none, and got through."""
    report = report_of(client, Synthetic(stages=steps(100, 200, seconds=40), late_windows=range(10, 13)))
    assert [row.limited for row in report.load] == [False, True]
    (limit,) = (one for one in report.findings if one.kind == "limit")
    assert limit.evidence["cause"] == "generator"
    assert limit.summary.startswith("At 100 TPS shop was not the limit but the load generator")


def summaries(report: Report) -> str:
    return " ".join(finding.summary for finding in report.findings)


def test_a_level_that_the_generator_limited_is_not_extrapolated_from(client: Client) -> None:
    stages = levels()
    starts = [place * 5 for place, stage in enumerate(stages) if stage.tps == 320]
    report = report_of(client, Synthetic(stages=stages, late_windows=[start + 3 for start in starts]))
    assert [row.held for row in report.load] == [True, True, True, None]
    assert report.capacity.max_tps_within_thresholds == 160
    beyond = next(one.evidence["beyond"] for one in report.findings if one.kind == "capacity")
    assert beyond == pytest.approx(report.capacity.predicted_tps / 160, rel=0.05)


def test_a_warm_up_or_cool_down_is_no_capacity(client: Client) -> None:
    fast = [Stage("warm", "warm", "hold", 5, 400, role="warm-up"), *steps(100), Stage("cool", "cool", "hold", 5, 300)]
    fast[-1] = replace(fast[-1], role="cool-down")
    report = report_of(client, Synthetic(stages=fast))
    assert [row.stage for row in report.load] == ["warm", "s[1]", "cool"]
    assert [row.role for row in report.load] == ["warm-up", "measure", "cool-down"]
    assert report.capacity.max_tps_within_thresholds == 100


def test_the_counts_of_several_loads_add_up_and_a_load_that_does_not_know_leaves_none(client: Client) -> None:
    def with_a_second_load(target_counted: int | None) -> int | None:
        synthetic = Synthetic(stages=levels(visits=1, seconds=3))
        first = report_of(client, synthetic).accounting.target_counted
        assert first
        totals = LoadTotals(target_counted=target_counted)
        second = ProducerEnded(
            run_id=synthetic.run,
            producer_id="load-2",
            role="load",
            batches_acknowledged=0,
            rows_acknowledged=0,
            totals=totals,
        )
        ClickHouseStore(client).write_events([second], [1])
        both = build_report(client, synthetic.run).accounting.target_counted
        return None if both is None else both - first

    assert with_a_second_load(5) == 5
    assert with_a_second_load(None) is None


def test_a_check_that_does_not_hold_is_in_the_report_and_its_verdict(client: Client) -> None:
    synthetic = Synthetic(stages=levels(visits=1, seconds=3))
    assert (report_of(client, synthetic).run.verdict, build_report(client, synthetic.run).checks) == ("passed", ())
    said = {"I3": (False, "9 scheduled = 8 completed"), "I0": (True, "9 = 9"), "I4": (None, "not checked")}
    checks = [CheckOutcome(name=name, ok=ok, sentence=sentence) for name, (ok, sentence) in said.items()]
    ClickHouseStore(client).write_events([RunChecked(run_id=synthetic.run, checks=checks)], [1])
    report = build_report(client, synthetic.run)
    assert report.run.verdict == "inconclusive"
    assert report.run.why == "not every outcome is accounted for: I3: 9 scheduled = 8 completed"
    assert report.is_broken
    told = json.loads(report.model_dump_json())["checks"]
    assert [(one["name"], one["ok"], one["sentence"]) for one in told] == [
        (name, *said[name]) for name in ("I0", "I3", "I4")
    ]


def test_no_profile_is_not_zero_cpu(client: Client) -> None:
    report = report_of(client, Synthetic(unprofiled_windows=80))
    assert report.functions == ()
    assert report.accounting.windows_without_profile == 80
    assert report.profile.coverage == 0
    assert report.capacity.max_tps_within_thresholds == 320


def test_busy_levels_are_left_out_and_said_so(client: Client) -> None:
    report = report_of(client, Synthetic(costs=shop_costs(sweep_us=7.0)))
    assert report.growth.highest_tps == 160
    assert report.growth.left_out == ("12 windows at 320 TPS (a thread over 85% busy)",)
    assert function(report, "sweep").shape == "superlinear"


def test_a_run_without_any_window_is_inconclusive(client: Client) -> None:
    report = report_of(client, Synthetic(stages=[Stage("hold", "hold", "hold", 0, 100)]))
    assert report.run.verdict == "inconclusive"
    assert report.functions == ()
