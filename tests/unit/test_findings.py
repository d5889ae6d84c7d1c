import re
from dataclasses import replace

import numpy as np
import pytest

from analysis import wording
from analysis.bounds.capacity import Estimate, Prediction, WhatIf
from analysis.costs.growth import Experiment, Fit
from analysis.finding import Figures, Finding
from analysis.findings import Case, find

RATES = np.repeat([25.0, 50.0, 100.0, 200.0], 4)
EXPERIMENT = Experiment(
    tps=RATES,
    level_tps=RATES,
    minutes=np.arange(16.0),
    seconds=np.full(16, 3.0),
    completed=RATES * 3,
    cpu_us=RATES * 3 * 1_000,
    randomised=True,
)
SWEEP = Figures(
    "sweep",
    "shop.py",
    self_share=0.5,
    total_share=0.5,
    self_us=900,
    us=900,
    us_lowest=180,
    us_highest=1_450,
    samples=2_400,
    fit=Fit(2.0, 1.8, 2.2, 1e-9, 2_400, relative=2.1, absolute=2.0),
    shape="superlinear",
)
RANK = Figures("rank", "shop.py", self_share=0.3, total_share=0.3, self_us=420, us=425, shape="linear", samples=900)
LOOP = Figures("_run_once", "asyncio/base_events.py", self_share=0.4, total_share=1, self_us=600, us=2_000)
PREDICTION = Prediction(
    limit=Estimate(410, 390, 432),
    limit_cores=1.0,
    shares={"sweep (shop.py)": 0.7},
    what_ifs=(WhatIf("sweep (shop.py)", 180, Estimate(720, 650, 790)),),
    beyond=410 / 200,
)
CASE = Case(
    service="shop",
    design="levels",
    experiment=EXPERIMENT,
    functions={one.label: one for one in (SWEEP, RANK, LOOP)},
    culprits=("sweep (shop.py)",),
    prediction=PREDICTION,
    limited_by="one interpreter lock",
    measured_tps=200,
    tested=12,
)


def of_kind(case: Case, kind: str) -> Finding:
    return next(finding for finding in find(case) if finding.kind == kind)


def test_the_first_finding_says_what_stops_the_service_at_which_rate_and_by_how_much() -> None:
    first = find(CASE)[0]
    assert first.summary == (
        "`sweep` (shop.py) stops shop at about 410 TPS: it costs 180 us per request at 25 TPS and 1,450 us at 200 TPS "
        "(growth 2.0 [1.8, 2.2]); made linear, expect 720 [650, 790] TPS."
    )
    assert (first.kind, first.function) == ("superlinear", "sweep (shop.py)")
    assert first.evidence["limit_tps_if_linear"] == 720
    assert first.evidence["randomised"] is True


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        pytest.param(
            {"prediction": None},
            "`sweep` (shop.py) gets dearer as the rate rises: it costs 180 us per request at 25 TPS and 1,450 us at "
            "200 TPS (growth 2.0 [1.8, 2.2]).",
            id="no capacity is known",
        ),
        pytest.param(
            {"prediction": replace(PREDICTION, shares={"sweep (shop.py)": 0.1})},
            "`sweep` (shop.py) gets dearer as the rate rises: it costs 180 us per request at 25 TPS and 1,450 us at "
            "200 TPS (growth 2.0 [1.8, 2.2]); made linear, expect 720 [650, 790] instead of 410 TPS.",
            id="it grows, but it is not what fills the service up",
        ),
        pytest.param(
            {"design": "ramp"},
            "Indicative only: `sweep` (shop.py) seems to get dearer as the rate rises: 180 us per request at 25 TPS "
            "and 1,450 us at 200 TPS (growth 2.0 [1.8, 2.2]). Time and rate moved together in this run; add a "
            "`levels` stage to tell them apart.",
            id="from a ramp",
        ),
        pytest.param(
            {"design": "ramp", "observed": True},
            "Seen together: `sweep` (shop.py) took more CPU per request while more requests came, 180 us per request "
            "at 25 TPS and 1,450 us at 200 TPS (growth 2.0 [1.8, 2.2]). Hour, mix and caches moved with the traffic, "
            "so the rate need not be why: `loadflame run` with a `levels` stage, against a copy of the service, tells "
            "them apart.",
            id="from plain traffic",
        ),
        pytest.param(
            {"culprits": (), "design": "ramp", "observed": True},
            "No finding: no function of shop took more CPU per request while more requests came, between 25 and 200 "
            "TPS (12 functions with samples enough to tell).",
            id="plain traffic in which nothing grows",
        ),
        pytest.param(
            {"culprits": (), "design": "steady", "observed": True},
            "No finding about growth: the rate hardly changed; `loadflame run` with a `levels` stage, against a copy "
            "of the service, tells.",
            id="plain traffic of one rate",
        ),
        pytest.param(
            {"culprits": ()},
            "No finding: no function of shop got dearer per request between 25 and 200 TPS (16 visits, 12 functions "
            "with samples enough to tell).",
            id="nothing grows",
        ),
        pytest.param(
            {"culprits": (), "design": "steady", "left_out": "3 windows at 50 TPS (no profile)"},
            "No finding about growth: the rate hardly changed; add a `levels` stage with four rates over an eightfold "
            "range. Left out: 3 windows at 50 TPS (no profile).",
            id="one rate only",
        ),
        pytest.param(
            {"culprits": (), "experiment": replace(EXPERIMENT, level_tps=np.full(16, 50.0))},
            "No finding about growth: 1 usable rate, and growth needs 3.",
            id="too few levels left",
        ),
        pytest.param(
            {"culprits": (), "design": "unfit", "left_out": "12 windows at 50 TPS (the generator was the limit)"},
            "No finding about growth: no part of the run is fit to tell it. Left out: 12 windows at 50 TPS (the "
            "generator was the limit).",
            id="nothing that may be judged is left",
        ),
    ],
)
def test_first_sentence(changes: dict[str, object], summary: str) -> None:
    assert find(replace(CASE, **changes))[0].summary == summary


def test_growing_functions_come_by_what_they_cost_and_only_the_first_stops_the_service() -> None:
    lock = replace(SWEEP, function="lock", us_highest=300.0)
    both = replace(PREDICTION, shares={"sweep (shop.py)": 0.5, "lock (shop.py)": 0.3})
    case = replace(
        CASE,
        functions=CASE.functions | {lock.label: lock},
        culprits=("lock (shop.py)", "sweep (shop.py)"),
        prediction=both,
    )
    first, second, *_ = find(case)
    assert first.function == "sweep (shop.py)"
    assert "stops shop" in first.summary
    assert second.function == "lock (shop.py)"
    assert "gets dearer" in second.summary


def test_the_plumbing_is_never_the_headline() -> None:
    tick = replace(SWEEP, function="_run_once", file="asyncio/base_events.py", us_highest=9_000.0)
    case = replace(
        CASE,
        functions=CASE.functions | {tick.label: tick},
        culprits=(tick.label, "sweep (shop.py)"),
        prediction=replace(PREDICTION, shares={tick.label: 0.9, "sweep (shop.py)": 0.05}),
    )
    assert find(case)[0].function == "sweep (shop.py)"
    assert not any("stops" in finding.summary for finding in find(case))
    assert of_kind(case, "hot").function == "rank (shop.py)"


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        pytest.param(
            {},
            "shop held its thresholds at 200 TPS; its CPU time runs out at about 410 [390, 432] TPS (one interpreter "
            "lock). That is 2.0 times the highest rate tried: try a higher one before you rely on it.",
            id="seen and predicted",
        ),
        pytest.param(
            {"prediction": replace(PREDICTION, beyond=1.2), "has_thresholds": False},
            "shop held up at 200 TPS; its CPU time runs out at about 410 [390, 432] TPS (one interpreter lock).",
            id="no thresholds, and not far beyond",
        ),
        pytest.param(
            {"measured_tps": None, "prediction": replace(PREDICTION, limit=Estimate(410, None, None), beyond=1.2)},
            "shop's CPU time runs out at about 410 TPS (one interpreter lock).",
            id="no rate held, and nothing was visited twice",
        ),
        pytest.param(
            {"prediction": None}, "shop held its thresholds at 200 TPS, the highest rate that did.", id="only seen"
        ),
        pytest.param(
            {"prediction": None, "overloaded": (480, 430.2)},
            "shop held its thresholds at 200 TPS, and got through 430 when offered 480.",
            id="it was offered too much",
        ),
        pytest.param(
            {"prediction": replace(PREDICTION, beyond=0.9), "overloaded": (480, 405.2), "measured_tps": None},
            "shop got through 405 when offered 480; its CPU time runs out at about 410 [390, 432] TPS (one interpreter "
            "lock).",
            id="every rate was too much",
        ),
    ],
)
def test_capacity_sentence(changes: dict[str, object], summary: str) -> None:
    assert of_kind(replace(CASE, **changes), "capacity").summary == summary


def test_without_anything_known_there_is_no_capacity_sentence() -> None:
    kinds = [finding.kind for finding in find(replace(CASE, prediction=None, measured_tps=None))]
    assert "capacity" not in kinds


def test_a_process_that_gets_dearer_is_a_finding_of_its_own() -> None:
    rising = replace(EXPERIMENT, cpu_us=EXPERIMENT.completed * (500 + 5 * RATES))
    case = replace(CASE, experiment=rising, process=Fit(1.5, 1.4, 1.6, 1e-9, 0))
    assert of_kind(case, "process-growth").summary == (
        "shop as a whole gets dearer: 625 us of CPU per request at 25 TPS, 1,500 us at 200 TPS (growth 1.5 [1.4, 1.6])."
    )
    assert not [one for one in find(replace(case, process=Fit(1.2, 1.1, 1.3, 0.1, 0))) if one.kind == "process-growth"]


@pytest.mark.parametrize(
    ("culprits", "summary"),
    [
        (
            ("sweep (shop.py)",),
            (
                "Besides, `rank` (shop.py) takes 30% of shop's CPU in its own code, 420 us per request, the same at "
                "every rate."
            ),
        ),
        ((), "Hottest: `sweep` (shop.py) takes 50% of shop's CPU in its own code, 900 us per request."),
    ],
)
def test_the_hottest_of_the_others_is_named(culprits: tuple[str, ...], summary: str) -> None:
    assert of_kind(replace(CASE, culprits=culprits), "hot").summary == summary


def test_the_cost_of_the_hottest_has_its_interval_where_rates_were_visited_again() -> None:
    rank = replace(RANK, self_low=401.2, self_high=438.9)
    case = replace(CASE, functions=CASE.functions | {rank.label: rank})
    assert "420 [401, 439] us per request" in of_kind(case, "hot").summary
    assert (of_kind(case, "hot").evidence["self_us_low"], of_kind(case, "hot").evidence["self_us_high"]) == (
        401.2,
        438.9,
    )


# Shares of the CPU where the service ends, and what the functions cost at the highest rate.
GROWING = {
    "a (shop.py)": (0.05, 2_000.0),
    "b (shop.py)": (0.60, 900.0),
    "c (shop.py)": (0.20, 400.0),
    "_run_once (asyncio/base_events.py)": (0.90, 9_000.0),
}


@pytest.mark.parametrize("prediction", [True, False], ids=["with a limit", "without one"])
def test_findings_are_ranked_by_what_they_cost(prediction: bool) -> None:
    functions = {
        label: replace(SWEEP, function=label.split()[0], file=label.split("(")[1][:-1], us_highest=us)
        for label, (_, us) in GROWING.items()
    }
    shares = {label: share for label, (share, _) in GROWING.items()}
    case = replace(
        CASE,
        functions=functions | {RANK.label: RANK},
        culprits=tuple(GROWING),
        prediction=replace(PREDICTION, shares=shares) if prediction else None,
        process=Fit(1.5, 1.4, 1.6, 1e-9, 0),
    )
    found = find(case)
    ranked = ["b", "c", "a"] if prediction else ["a", "b", "c"]
    assert [one.function for one in found] == [
        *(f"{name} (shop.py)" for name in ranked), "_run_once (asyncio/base_events.py)", None, None, RANK.label
    ]  # fmt: skip
    assert [one.kind for one in found[4:]] == ["process-growth", "capacity", "hot"]
    assert ["stops shop" in one.summary for one in found] == [prediction, *[False] * 6], "one thing stops a service"


@pytest.mark.parametrize("finding", find(replace(CASE, process=Fit(1.5, 1.4, 1.6, 1e-9, 0))), ids=lambda one: one.kind)
def test_a_finding_is_one_plain_sentence_with_a_number_and_the_evidence_that_it_rests_on(finding: Finding) -> None:
    assert re.search(r"\d", finding.summary)
    assert re.search(r"\[[\d.,]+, [\d.,]+\]", finding.summary) or finding.kind == "hot", "an interval"
    assert finding.summary.endswith(".")
    assert "\n" not in finding.summary
    assert any(isinstance(value, float) for value in finding.evidence.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 us"), (0.254, "0.25 us"), (7.04, "7.04 us"), (24.61, "24.6 us"), (180.4, "180 us"), (1_453.0, "1,450 us")],
)
def test_microseconds_have_three_digits(value: float, text: str) -> None:
    assert wording.us(value) == text


@pytest.mark.parametrize(("value", "text"), [(410.4, "410"), (1_258.2, "1,258"), (7.5, "7.5"), (4.0, "4")])
def test_rates(value: float, text: str) -> None:
    assert wording.tps(value) == text


@pytest.mark.parametrize(("number", "text"), [(1, "1 process"), (4, "4 processes"), (1_200, "1,200 processes")])
def test_counts(number: int, text: str) -> None:
    assert wording.count(number, "process", "processes") == text


@pytest.mark.parametrize(
    ("file", "plumbing"),
    [
        ("asyncio/base_events.py", True),
        ("python3.11/selectors.py", True),
        ("futures/thread.py", True),
        ("<frozen runpy>", True),
        ("uvloop/loop.pyx", True),
        ("shop.py", False),
        ("app/selectors_of_items.py", False),
        ("myasyncio/work.py", False),
        ("", False),
    ],
)
def test_what_counts_as_plumbing(file: str, plumbing: bool) -> None:
    assert replace(RANK, file=file).plumbing is plumbing


def test_where_nothing_could_be_tested_nobody_is_told_innocent() -> None:
    (first, *_) = find(replace(CASE, culprits=(), tested=0))
    assert first.summary.startswith(
        "No finding about growth: between 25 and 200 TPS no function of shop had samples enough to tell; "
    )
