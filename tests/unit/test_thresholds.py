"""The grammar of thresholds: what it reads, what it refuses, and what it says then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.thresholds import parse_threshold

# The limit is in milliseconds, a share, or requests per second.
READ = [
    ("p99(search) < 250ms", "p99", "search", "<", 250.0, 0.99),
    ("p99.9 <= 1.5s", "p99.9", None, "<=", 1500.0, 0.999),
    ("p50<800us", "p50", None, "<", 0.8, 0.5),
    (" mean ( GET /a b ) < 1ms ", "mean", "GET /a b", "<", 1.0, None),
    ("max > 2s", "max", None, ">", 2000.0, None),
    ("errors < 1%", "errors", None, "<", 0.01, None),
    ("errors(checkout) <= 0.5%", "errors", "checkout", "<=", 0.005, None),
    ("dropped <= 0%", "dropped", None, "<=", 0.0, None),
    ("tps >= 100", "tps", None, ">=", 100.0, None),
]


NARROWED = [
    ("p99@peak < 1s", None, "peak", None),
    ("errors ( pay )@ main stage <= 1%", "pay", "main stage", None),
    ("p95 < 250ms for 10s", None, None, 10.0),
    ("p99.9 < 250ms for 10s", None, None, 10.0),
    ("mean < 250ms for 10s", None, None, 10.0),
    ("max < 1s for 10s", None, None, 10.0),
    ("tps(pay)@peak > 5 for 2m", "pay", "peak", 120.0),
    ("checks(pay) > 99%", "pay", None, None),
]


@pytest.mark.parametrize(("text", "endpoint", "stage", "for_s"), NARROWED)
def test_a_threshold_may_be_of_an_endpoint_a_stage_and_so_long(
    text: str, endpoint: str | None, stage: str | None, for_s: float | None
) -> None:
    threshold = parse_threshold(text)
    assert (threshold.endpoint, threshold.stage, threshold.for_s) == (endpoint, stage, for_s)


@pytest.mark.parametrize(("text", "metric", "endpoint", "comparison", "limit", "quantile"), READ)
def test_a_threshold_is_read_into_one_unit(  # noqa: PLR0917  the columns of the table
    text: str, metric: str, endpoint: str | None, comparison: str, limit: float, quantile: float | None
) -> None:
    threshold = parse_threshold(text)
    assert (threshold.metric, threshold.endpoint, threshold.comparison) == (metric, endpoint, comparison)
    assert threshold.limit == pytest.approx(limit)
    assert threshold.quantile == (None if quantile is None else pytest.approx(quantile))


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_a_threshold_holds_as_its_comparison_says(comparison: str, below: bool, at: bool, above: bool) -> None:
    threshold = parse_threshold(f"p99 {comparison} 10ms")
    assert [threshold.holds(value) for value in (9.99, 10.0, 10.01)] == [below, at, above]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not parse"),
        ("p99 250ms", "does not parse"),
        ("p99 = 250ms", "does not parse"),
        ("p99(search < 250ms", "does not parse"),
        ("p99 < -5ms", "does not parse"),
        ("p99 < 250ms and errors < 1%", "does not parse"),
        ("p99 < 250", "needs a time in us, ms or s"),
        ("p99 < 250min", "needs a time in us, ms or s"),
        ("max < 1%", "needs a time in us, ms or s"),
        ("errors < 0.01", "needs a percentage"),
        ("dropped < 5ms", "needs a percentage"),
        ("tps > 5ms", "plain number"),
        ("dropped(search) < 5%", "write 'dropped' alone"),
        ("checks > 5", "needs a percentage"),
        ("p99 < 5ms for", "does not parse"),
        ("p99 < 5ms for 10", "is no time"),
        ("p99 < 5ms for 1d", "is no time"),
        ("p90 < 5ms for 10s", "'for' goes with p50, p95, p99, p99.9, mean, max, errors, dropped and tps"),
        ("checks > 5% for 10s", "'for' goes with"),
        ("p99@ < 5ms", "does not parse"),
        ("latency < 5ms", "unknown metric 'latency'"),
        ("p100 < 5ms", "unknown metric 'p100'"),
        ("p < 5ms", "unknown metric 'p'"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence_that_says_what_would(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        parse_threshold(text)
    assert repr(text) in str(refusal.value)


@given(st.text(max_size=30))
def test_any_text_is_a_threshold_or_a_value_error(text: str) -> None:
    try:
        threshold = parse_threshold(text)
    except ValueError:
        return
    assert threshold.limit >= 0
