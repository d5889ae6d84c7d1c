import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.reports import SENTENCE, a_report, function_row, load_row
from views import model
from views.model import Report
from views.terminal import render, save_svg


def page(report: Report, width: int, *, colour: bool = False) -> str:
    console = Console(width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    with console.capture() as captured:
        console.print(render(report))
    return captured.get()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 90, 100, 119, 120, 140])
def test_the_page_fits_itself_to_the_terminal(width: int) -> None:
    lines = page(a_report(), width).splitlines()
    assert max(map(len, lines)) <= width


def test_a_page_is_never_wider_than_140_columns() -> None:
    assert max(map(len, page(a_report(), 300).splitlines())) <= 140


@pytest.mark.parametrize("width", [80, 140])
def test_without_colour_the_page_says_everything_in_words_and_signs(width: int) -> None:
    text = words(page(a_report(), width))
    for expected in (
        "FAILED 1 of 2 thresholds did not hold",
        "BROKEN p99.9 < 500ms (was > 5,000 ms)",
        "held errors < 1% (was 0.08%)",
        SENTENCE.replace("`", ""),
        "▲ superlinear",
        "= linear",
        "↳ linear",
        "> 5,000",
        "410 [390, 432] predicted: CPU time runs out (one interpreter lock)",
        "720 [650, 790] what if: sweep_sessions (shop.py) made linear: 180 us per request at every rate",
        "12,000 scheduled = 11,950 answered + 10 failed + 40 dropped; 11,960 sent, and the service says the same",
        "11,960 outcomes, all of them; 0 dead letters",
        "80 joined, 2 without a profile, 1 joined again after a late batch",
        "! 2 of 80 windows have no profile.",
        "engine aiohttp: it can do all",
    ):
        assert expected in text


@pytest.mark.parametrize("width", [80, 140])
def test_of_plain_traffic_nothing_is_said_to_be_offered_and_an_unknown_latency_is_called_so(width: int) -> None:
    report = a_report()
    unknown = {"p50_ms": None, "p95_ms": None, "p99_ms": None, "p999_ms": None}
    traffic = report.model_copy(
        update={
            "run": report.run.model_copy(update={"observed": True, "target": "access log access.log"}),
            "load": (load_row(41, **unknown, stage="traffic", form="ramp"),),
        }
    )
    text = words(page(traffic, width))
    assert "Traffic ms as whoever told of it took them" in text
    assert "41 unknown unknown unknown" in text
    assert "12,000 seen to end = 11,950 answered + 10 failed" in text
    assert "offered" not in text
    assert "Capacity" not in text
    assert "scheduled" not in text


def test_what_is_not_identifiable_stands_below_the_functions() -> None:
    note = "Which endpoint pays for a function is not identifiable: the mix was the same; add `{modulate: 0.9}`."
    text = words(page(a_report(endpoints_note=note), 100))
    assert text.index("Hot functions") < text.index(note.replace("`", "")) < text.index("Capacity")


def test_a_wide_page_says_which_endpoint_pays_for_most_of_a_function() -> None:
    mostly = model.EndpointCost(
        endpoint="checkout", us_per_request=400, us_low=350, us_high=450, share=0.97, share_low=0.85, share_high=1
    )
    hardly = mostly.model_copy(update={"share": 0.6, "share_low": 0.4})
    rows = (
        function_row("sign", 0.3, "linear", endpoints=(mostly,)),
        function_row("s", 0.2, "linear", endpoints=(hardly,)),
    )
    text = words(page(a_report(functions=rows), 140))
    assert "paid for by" in text
    assert "checkout 97%" in text
    assert "60%" not in text
    assert "paid for by" not in page(a_report(), 140)


def test_the_finding_comes_before_every_figure() -> None:
    text = page(a_report(), 100)
    places = [text.index(part) for part in ("FAILED", "stops shop", "Load", "Hot functions", "Capacity", "Accounting")]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_figure_of_the_load_is_cut_off(width: int) -> None:
    slow = {"p50_ms": 1_954.0, "p95_ms": 12_382.0, "p99_ms": 13_872.0, "p999_ms": 14_671.0}
    bound = ("p50_ms", "p95_ms", "p99_ms", "p999_ms")
    overloaded = load_row(12_520, **slow, censored=bound, error_rate=0.123, dropped=210_123, held=False)
    unjudged = load_row(12_521, **slow, error_rate=0.123, dropped=210_123, held=None, limited=True)
    text = page(a_report(load=(load_row(40), overloaded, unjudged)), width)
    load = text[text.index("Load") : text.index("Hot functions")]
    assert "…" not in load
    assert load.count("limited" if width >= 100 else "lim.") == 1


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (140, "…sql_operation_in_thread datasette/database.py "),
        (80, "…sql_operation_in_thread "),
    ],
)
def test_a_name_that_is_too_long_loses_its_front(width: int, shown: str) -> None:
    name = "Database.execute.<locals>.sql_operation_in_thread"
    long = function_row(name, 0.3, "unclear", file="datasette/database.py")
    short = function_row("Shop.sweep", 0.2, "linear", file="shop.py")
    text = page(a_report(functions=(long, short)), width)
    assert shown in text
    assert f"Shop.sweep{' shop.py' if width > 100 else ''} " in text


@pytest.mark.parametrize(
    ("growth", "why"),
    [
        ({"design": "ramp"}, "needs a `levels` stage"),
        ({"design": "levels"}, "not to be told from these rates"),
        ({"design": "unfit", "left_out": ("9 windows (host-limited)",)}, "too little of the run was usable"),
    ],
)
def test_why_there_is_no_prediction_is_said(growth: dict[str, object], why: str) -> None:
    unpredicted = a_report().capacity.model_copy(update={"predicted_tps": None})
    known = a_report().growth.model_copy(update=growth)
    assert f"– predicted: {why}" in words(page(a_report(capacity=unpredicted, growth=known), 140))


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    assert "<listcomp> [x]" in page(a_report(), 140)


def test_sums_that_do_not_close_are_shown_as_such() -> None:
    off = a_report().accounting.model_copy(update={"scheduled": 12_001, "stored": 11_000, "target_counted": 11_961})
    text = words(page(a_report(accounting=off.model_copy(update={"lost": 960})), 140))
    assert "12,001 scheduled ≠ 11,950 answered" in text
    assert "it counted 11,961" in text
    assert "11,000 outcomes, of 11,960; 0 dead letters; 960 lost" in text


def test_colour_carries_the_meaning_of_the_verdict() -> None:
    passed = a_report().run.model_copy(update={"verdict": "passed"})
    assert page(a_report(), 100, colour=True) != page(a_report(run=passed), 100, colour=True)


@pytest.mark.parametrize(
    "verdict", ["passed", "failed", "inconclusive", "generator-limited", "host-limited", "aborted"]
)
def test_every_verdict_has_its_words(verdict: str) -> None:
    run = a_report().run.model_copy(update={"verdict": verdict})
    assert verdict.upper() in page(a_report(run=run), 80)


def test_a_run_of_which_little_is_known_is_a_page_too() -> None:
    nothing = model.Capacity(
        max_tps_within_thresholds=None,
        predicted_tps=None,
        predicted_low=None,
        predicted_high=None,
        limited_by=None,
    )
    empty = load_row(0, p50_ms=None, p95_ms=None, p99_ms=None, p999_ms=None, held=None)
    growth = model.Growth(design="unfit", lowest_tps=None, highest_tps=None, blocks=0)
    profile = model.Profile(coverage=0, agent_cpu_share=0, service_cpu_cores=0)
    bare = a_report(
        run=a_report().run.model_copy(update={"ended_at": None}),
        functions=(),
        load=(empty,),
        capacity=nothing,
        growth=growth,
        profile=profile,
        thresholds=(model.Threshold(text="p99(x) < 1ms", value=None, censored=False, held=None),),
    )
    text = words(page(bare, 80))
    assert "not judged p99(x) < 1ms (was no data)" in text
    assert "none on 0 processes" in text
    assert "Hot functions" not in text


def test_the_page_as_a_picture(tmp_path: Path) -> None:
    save_svg(a_report(), tmp_path / "report.svg")
    picture = (tmp_path / "report.svg").read_text()
    assert picture.startswith("<svg")
    assert "@font-face" not in picture  # it looks the same without a network
    assert "sweep_sessions" in picture


def test_figures_in_json_have_six_digits() -> None:
    row = json.loads(load_row(123.456789, p99_ms=1 / 3).model_dump_json())
    assert (row["offered_tps"], row["p99_ms"]) == (123.457, 0.333333)
