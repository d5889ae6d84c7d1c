"""What is seen while a run is on."""

from io import StringIO

from rich.console import Console

from loadflame.live import LivePanel, PlainLines, display_on, hottest
from schemas.events import FindingMade, HotFunction, WindowJoined


def window(index: int, stage: str = "hold", **changes: object) -> WindowJoined:
    hot = HotFunction(
        service="shop", function="sweep", file="shop.py", self_cpu_us=300_000, total_cpu_us=300_000, samples=120
    )
    cold = hot.model_copy(update={"function": "rank", "self_cpu_us": 100_000})
    fields = {
        "run_id": "r",
        "window": index,
        "starts_at_us": index * 1_000_000,
        "window_us": 1_000_000,
        "batches_covered": 2,
        "closed_by": "producers",
        "stages": [stage],
        "offered_tps": 100.0,
        "tps": 98.0,
        "completed": 97,
        "failed": 1,
        "dropped": 0,
        "in_flight": 1,
        "p50_ms": 2.0,
        "p95_ms": 4.0,
        "p99_ms": 8.5,
        "cpu_us": 500_000,
        "profile_coverage": 1.0,
        "functions": [cold, hot],
    }
    return WindowJoined.model_validate(fields | changes)


def plain(*windows: WindowJoined) -> list[str]:
    out = StringIO()
    with PlainLines(Console(file=out, width=200), duration_s=60) as lines:
        for each in windows:
            lines.window(each)
    return out.getvalue().splitlines()


def test_without_a_terminal_there_are_plain_lines_and_with_one_a_panel() -> None:
    assert isinstance(display_on(Console(file=StringIO()), duration_s=1), PlainLines)
    assert isinstance(display_on(Console(file=StringIO(), force_terminal=True), duration_s=1), LivePanel)


def test_a_plain_line_says_stage_rates_latency_and_the_hottest_function() -> None:
    (line,) = plain(window(1))
    for part in ("hold", "offered 100 TPS", "achieved 98", "p99 8.5 ms", "sweep (shop.py) 60%"):
        assert part in line


def test_plain_lines_come_at_a_change_of_stage_and_every_fifth_window() -> None:
    assert len(plain(*(window(index) for index in range(10)))) == 2
    assert len(plain(window(1), window(2), window(3, "ramp"), window(4, "ramp"))) == 2


def test_a_window_without_a_profile_names_no_function() -> None:
    assert hottest(window(1, cpu_us=None, functions=[]), 3) == []
    (line,) = plain(window(1, cpu_us=None, functions=[]))
    assert "hottest" not in line


def test_the_panel_shows_the_newest_window_and_ignores_an_older_one_that_comes_late() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100)
    panel = LivePanel(console, duration_s=60)
    panel.window(window(5, "newer"))
    panel.window(window(3, "older"))
    with console.capture() as captured:
        console.print(panel._render())
    assert "newer" in captured.get()
    assert "older" not in captured.get()
    assert "0.50 cores" in captured.get()


def test_a_finding_stays_on_the_screen_in_one_line_marked_as_in_the_report() -> None:
    finding = FindingMade(run_id="r", kind="superlinear", summary="`sweep` stops shop at 410 TPS " * 9, revision=2)
    out = StringIO()
    with PlainLines(Console(file=out, width=80), duration_s=60) as lines:
        lines.finding(finding)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("  ▲ (revision 2) `sweep` stops shop")
    console = Console(file=StringIO(), force_terminal=True, width=80)
    panel = LivePanel(console, duration_s=60)
    with console.capture() as captured:
        panel.finding(finding)
    assert "(revision 2)" in captured.get()
