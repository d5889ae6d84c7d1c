from dataclasses import replace

import numpy as np
import pytest

from analysis import wording
from analysis.finding import Finding
from analysis.over_time.drift import MINUTE_US, Drifts, drifts
from analysis.over_time.drift_findings import over_time, ranked
from analysis.over_time.leak import Leak
from tests.support.soaks import soak


def judged(minutes: int = 120, **truth: float) -> Drifts:
    found = drifts(soak(minutes, **truth))
    assert found is not None
    return found


def kinds(found: Drifts) -> list[str]:
    return [one.kind for one in over_time("shop", found)]


def claimed(found: Drifts) -> set[str | None]:
    return {one.function or one.measure for one in found.rises if one.claimed}


@pytest.mark.parametrize(("correlation", "warm_up"), [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5), (0.8, 0.0)])
def test_a_clean_service_drifts_leaks_and_changes_nowhere(correlation: float, warm_up: float) -> None:
    told = [kinds(judged(60, seed=seed, correlation=correlation, warm_up=warm_up)) for seed in range(12)]
    assert sum(one != ["steady"] for one in told) <= 1


def test_a_function_that_gets_dearer_is_found_and_nobody_else() -> None:
    for seed in range(4):
        found = judged(180, seed=seed, drift=0.4)
        assert "f1 (shop.py)" in claimed(found)
        assert claimed(found) <= {"f1 (shop.py)", "cost"}
        assert found.changes == ()


def test_what_makes_all_code_dearer_is_the_services_drift_and_no_functions() -> None:
    for seed in range(4):
        assert claimed(judged(180, seed=seed, all_drift=0.3)) == {"cost"}


def test_a_change_is_told_from_a_drift_with_its_time_and_its_function() -> None:
    for seed in range(4):
        found = judged(120, seed=seed, change=2.0)
        (change,) = [one for one in found.changes if one.measure == "cost"]
        at = (change.at_us / MINUTE_US - 29_000_000) / 120
        assert at == pytest.approx(0.6, abs=0.03)
        assert change.function == "f2 (shop.py)"
        assert change.function_us == pytest.approx(206, rel=0.15)
        assert claimed(found) == set()


def test_a_warm_up_is_left_out_and_is_no_change() -> None:
    truth = soak(60, warm_up=3.0, noise=0.01)
    found = drifts(truth)
    assert found is not None
    assert found.changes == ()
    assert found.since_us >= truth.starts_us[0] + 6 * MINUTE_US


def test_latency_that_rises_is_a_drift_of_its_own() -> None:
    found = judged(180, slower=1.0, noise=0.01)
    assert claimed(found) == {"p50", "p99"}
    assert next(one for one in over_time("shop", found) if one.evidence["measure"] == "p99").summary.startswith(
        "The p99 latency of shop rises by "
    )


def test_a_change_of_one_function_is_no_drift_of_it() -> None:
    for seed in range(4):
        assert claimed(judged(120, seed=seed, change=1.0)) == set()


@pytest.mark.parametrize("steps_mib", [0.0, 0.2])
def test_a_leak_is_found_with_its_rate(steps_mib: float) -> None:
    for seed in range(4):
        (leak,) = judged(120, seed=seed, leak_mib=40, steps_mib=steps_mib).leaks
        assert leak.claimed
        assert leak.low <= 20.2 * 2**20 <= leak.high or leak.bytes_per_hour == pytest.approx(20.2 * 2**20, rel=0.1)


def test_memory_that_only_wanders_is_no_leak() -> None:
    leaks = [judged(120, seed=seed, steps_mib=1.0).leaks[0].claimed for seed in range(25)]
    assert sum(leaks) <= 1


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda along: 60 * (1 - np.exp(-along * 5)), id="a cache that is full"),
        pytest.param(lambda along: 60.0 * (along > 0.5), id="one large thing"),
        pytest.param(lambda along: 2 * along, id="2 MiB"),
    ],
)
def test_memory_that_does_not_go_on_growing_is_no_leak(shape) -> None:
    truth = soak(120)
    rss = (100 + shape(np.linspace(0, 1, 120))) * 2**20
    found = drifts(replace(truth, rss_bytes={"pid-100": rss}))
    assert found is not None
    assert not found.leaks[0].claimed


def test_a_process_that_was_not_there_all_the_time_is_not_judged() -> None:
    truth = soak(60, leak_mib=200)
    rss = truth.rss_bytes["pid-100"].copy()
    rss[:20] = np.nan
    found = drifts(replace(truth, rss_bytes={"pid-100": rss}))
    assert found is not None
    assert found.leaks == ()


def test_a_day_is_judged_in_longer_units() -> None:
    found = judged(24 * 60, drift=0.3)
    assert found.unit_us == 12 * MINUTE_US
    assert found.units <= 120
    assert "f1 (shop.py)" in claimed(found)


def test_a_short_stretch_is_not_judged() -> None:
    assert drifts(soak(20)) is None


# Sentences


def test_the_sentence_of_a_drift() -> None:
    first = over_time("shop", judged(180, drift=0.5, noise=0.005))[0]
    assert first.kind == "drift"
    assert first.function == "f1 (shop.py)"
    text = first.summary
    assert text.startswith("`f1` (shop.py), in its own code, gets dearer by ")
    assert " an hour at a steady 200 TPS: from 1" in text
    assert text.endswith(" per request over 2.7 h: something fills up (a cache, a list, a table).")


def test_the_sentence_of_a_leak() -> None:
    some = tuple(
        Leak(f"pid-{number}", 24 * 2**20, 20 * 2**20, 28 * 2**20, 120 * 2**20, 192 * 2**20, claimed=True)
        for number in (7, 8, 9)
    )
    found = judged()
    assert over_time("shop", replace(found, leaks=some[:1]))[0].summary == (
        "shop leaks memory: pid-7 grows by 24 [20, 28] MiB an hour, from 120 to 192 MiB."
    )
    assert over_time("shop", replace(found, leaks=some))[0].summary.endswith(", and so do 2 more of its 3 processes.")


def test_the_sentence_of_a_change_holds_all_that_changed_then() -> None:
    found = judged(120, change=2.0, noise=0.01)
    (change,) = found.changes
    both = (change, replace(change, measure="p99", before=12_000.0, after=19_500.0, function=None))
    (told,) = over_time("shop", replace(found, changes=both))
    assert told.kind == "change"
    assert " UTC, at a steady 200 TPS, shop's CPU per request rose from 7" in told.summary
    assert "(`f2` (shop.py): +2" in told.summary
    assert told.summary.endswith(" and the p99 latency rose from 12 ms to 19.5 ms.")


def test_that_nothing_changed_is_said() -> None:
    (told,) = over_time("shop", judged())
    assert told.kind == "steady"
    assert told.summary.startswith(
        "Steady: over 1.8 h at 200 TPS shop got no dearer and no slower, leaked nothing, and changed at no moment (7"
    )


def test_what_grows_with_the_rate_comes_before_time_and_time_before_that_nothing_does() -> None:
    findings = [Finding(kind, "") for kind in ("superlinear", "capacity")]
    drift, steady = Finding("drift", ""), Finding("steady", "")
    assert [one.kind for one in ranked(findings, [drift])] == ["superlinear", "drift", "capacity"]
    assert [one.kind for one in ranked([Finding("none", "")], [drift])] == ["drift", "none"]
    assert [one.kind for one in ranked([Finding("none", "")], [steady])] == ["none", "steady"]


@pytest.mark.parametrize(("hours", "text"), [(0.4, "24 min"), (3, "3.0 h"), (36, "36 h"), (240, "10 days")])
def test_how_long_is_said_in_the_unit_that_fits(hours: float, text: str) -> None:
    assert wording.hours(hours) == text
