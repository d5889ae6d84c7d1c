"""A report made by hand, with something of everything in it."""

from datetime import UTC, datetime, timedelta

from views import model
from views.model import Report

STARTED = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
SENTENCE = (
    "`sweep_sessions` (shop.py) stops shop at about 410 TPS: it costs 180 us per request at 40 TPS and 1,450 us at "
    "320 TPS (growth 2.0 [1.8, 2.2]); made linear, expect 720 [650, 790] TPS."
)


def load_row(tps: float, **changes: object) -> model.LoadRow:
    """One level that held."""
    values = {
        "stage": f"map@{tps:g}",
        "offered_tps": tps,
        "achieved_tps": tps,
        "p50_ms": 8.8,
        "p95_ms": 14.1,
        "p99_ms": 17.2,
        "p999_ms": 122.7,
        "error_rate": 0.0,
        "bytes_per_s": tps * 1_000,
        "form": "level",
        "visits": 4,
        "seconds": 20.0,
        "held": True,
    }
    return model.LoadRow.model_validate(values | changes)


def function_row(function: str, share: float, shape: str, **changes: object) -> model.Function:
    """One function of shop.py."""
    values = {
        "function": function,
        "file": "shop.py",
        "self_share": share,
        "total_share": share,
        "self_us_per_request": share * 1_800,
        "total_us_per_request": share * 1_800,
        "us_low": share * 1_700,
        "us_high": share * 1_900,
        "samples": round(share * 6_000),
        "growth": 1.0,
        "growth_low": 0.9,
        "growth_high": 1.1,
        "shape": shape,
        "us_at_lowest": share * 1_800,
        "us_at_highest": share * 1_800,
    }
    return model.Function.model_validate(values | changes)


def a_report(**changes: object) -> Report:
    """A failed run with a growing function, drops, a censored percentile and a warning."""
    values = {
        "run": model.Run(
            id="20260921-141320-ab12",
            service="shop",
            started_at=STARTED,
            ended_at=STARTED + timedelta(seconds=80),
            verdict="failed",
            why="1 of 2 thresholds did not hold",
            target="http://127.0.0.1:8080",
        ),
        "accounting": model.Accounting(
            scheduled=12_000,
            sent=11_960,
            completed=11_950,
            failed=10,
            dropped=40,
            stored=11_960,
            late=1,
            dead_letters=0,
            windows=80,
            windows_without_profile=2,
            target_counted=11_960,
        ),
        "load": (
            load_row(40),
            load_row(320, dropped=40, error_rate=0.004, p999_ms=5_000.0, censored=("p999_ms",), held=False),
        ),
        "generator": model.Generator(
            engine="aiohttp", send_lag_p99_ms=0.42, cpu_share=0.21, limited=False, reason="it can do all"
        ),
        "profile": model.Profile(
            coverage=0.991,
            agent_cpu_share=0.031,
            service_cpu_cores=0.44,
            unattributed_share=0.02,
            samples=7_152,
            instances=(
                model.Instance(
                    instance="pid-100",
                    pid=100,
                    backend="austin",
                    timing="exact",
                    threads=1,
                    cpu_share=1.0,
                    rss_bytes=80 << 20,
                ),
            ),
        ),
        "functions": (
            function_row(
                "sweep_sessions",
                0.54,
                "superlinear",
                growth=2.0,
                growth_low=1.8,
                growth_high=2.2,
                us_at_lowest=180.0,
                us_at_highest=1_450.0,
            ),
            function_row("rank_products", 0.21, "linear"),
            function_row("search", 0.02, "linear", inherits_from="sweep_sessions (shop.py)"),
            function_row("<listcomp> [x] with a name that is far too long for any terminal to show", 0.05, "unclear"),
            function_row("main", 0.0, "unclear", growth=None, growth_low=None, growth_high=None),
        ),
        "findings": (
            model.FindingRow(kind="superlinear", summary=SENTENCE, function="sweep_sessions (shop.py)", evidence={}),
            model.FindingRow(kind="capacity", summary="shop held up at 40 TPS.", function=None, evidence={}),
        ),
        "capacity": model.Capacity(
            max_tps_within_thresholds=40.0,
            predicted_tps=410.2,
            predicted_low=390.0,
            predicted_high=432.0,
            limited_by="one interpreter lock",
            what_if=(
                model.WhatIf(
                    function="sweep_sessions (shop.py)",
                    change="made linear: 180 us per request at every rate",
                    tps=720.0,
                    tps_low=650.0,
                    tps_high=790.0,
                ),
            ),
        ),
        "thresholds": (
            model.Threshold(text="p99.9 < 500ms", value=5_000.0, censored=True, held=False),
            model.Threshold(text="errors < 1%", value=0.0008, censored=False, held=True),
        ),
        "growth": model.Growth(design="levels", lowest_tps=40.0, highest_tps=320.0, blocks=16),
        "warnings": ("2 of 80 windows have no profile.",),
    }
    return Report.model_validate(values | changes)
