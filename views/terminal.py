"""The report as a page in a terminal: what was found first, in sentences, then the figures behind it."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.growth import Shape
from analysis.verdict import Verdict
from views import model
from views.model import Report
from views.sentences import accounting_lines, footnotes, trust_lines

WIDEST = 140
NARROW, WIDE = 100, 120
SVG_WIDTH = 116
MOST_FUNCTIONS = 14
_BAR_PARTS = " ▏▎▍▌▋▊▉█"

_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "passed": ("green", "✔"),
    "failed": ("red", "✘"),
    "inconclusive": ("yellow", "?"),
    "generator-limited": ("yellow", "!"),
    "host-limited": ("yellow", "!"),
    "aborted": ("yellow", "■"),
}
_SHAPES: dict[Shape, tuple[str, str]] = {
    "superlinear": ("bold red", "▲"),
    "linear": ("green", "="),
    "sublinear": ("cyan", "▼"),
    "unclear": ("dim", "?"),
}
_FINDINGS = {
    "superlinear": ("bold red", "▲"),
    "indicative": ("yellow", "△"),
    "process-growth": ("yellow", "△"),
    "capacity": ("cyan", "◆"),
    "hot": ("white", "●"),
    "none": ("green", "○"),
}


def render(report: Report) -> RenderableType:
    """The page; it fits itself to the console, from 80 to 140 columns, and needs no colour to be read."""
    return _Page(report)


def save_svg(report: Report, path: Path, *, width: int = SVG_WIDTH) -> None:
    """Write the page as a picture."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(render(report))
    console.save_svg(str(path), title=f"loadflame report {report.run.id}")


class _Page:
    def __init__(self, report: Report) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        body = Group(*_parts(self._report, width))
        yield from console.render(body, options.update_width(width))


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield _head(report)
    yield Padding(_findings(report), (1, 1, 0, 1))
    yield _titled("Load", "ms from the scheduled start")
    yield Padding(_load(report, width), (0, 1))
    if report.functions:
        yield _titled("Hot functions", "CPU us per answered request; growth 1: the same at every rate")
        yield Padding(_functions(report, width), (0, 1))
    yield _titled("Capacity", "requests per second")
    yield Padding(_capacity(report), (0, 1))
    yield _titled("Accounting and trust", "")
    yield Padding(Group(*_lines((*accounting_lines(report), *trust_lines(report)))), (0, 1))
    if report.warnings:
        warnings = (Text.assemble(("! ", "bold yellow"), (warning, "yellow")) for warning in report.warnings)
        yield Padding(Group(*warnings), (1, 1, 0, 1))
    notes = (Text(note, style="dim") for note in footnotes(report, _shown(report)))
    yield Padding(Group(*notes), (1, 1))


def _head(report: Report) -> Panel:
    run = report.run
    colour, mark = _VERDICTS[run.verdict]
    verdict = Text.assemble((f" {mark} {run.verdict.upper()} ", f"bold reverse {colour}"), f"  {run.why}")
    took = ""
    if run.ended_at is not None:
        took = f", {(run.ended_at - run.started_at).total_seconds():.0f} s"
    what = Text.assemble((run.service, "bold"), f" at {run.target}  ·  {run.started_at:%Y-%m-%d %H:%M:%S} UTC{took}")
    lines = (verdict, what, *map(_threshold, report.thresholds))
    return Panel(
        Group(*lines),
        title=Text.assemble(("loadflame", "bold"), f"  run {run.id}"),
        title_align="left",
        border_style=colour,
    )


def _threshold(threshold: model.Threshold) -> Text:
    held = {True: ("held", "green"), False: ("BROKEN", "bold red"), None: ("not judged", "yellow")}[threshold.held]
    value = "no data"
    if threshold.value is not None:
        more = "> " if threshold.censored else ""
        if any(name in threshold.text for name in ("errors", "dropped")):
            value = f"{threshold.value:.2%}"
        elif threshold.text.startswith("tps"):
            value = f"{wording.tps(threshold.value)} TPS"
        else:
            value = f"{more}{_ms(threshold.value)} ms"
    return Text.assemble(("  ", ""), (held[0], held[1]), f"  {threshold.text}  ", (f"(was {value})", "dim"))


def _findings(report: Report) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    for place, finding in enumerate(report.findings):
        style, mark = _FINDINGS.get(finding.kind, ("white", "●"))
        table.add_row(Text(mark, style=style), _sentence(finding.summary, bold=place == 0))
    return table


def _sentence(summary: str, *, bold: bool) -> Text:
    """The sentence with its function names, in backquotes, set off."""
    text = Text(style="bold" if bold else "")
    for place, part in enumerate(summary.split("`")):
        text.append(part, style="bold cyan" if place % 2 else "")
    return text


def _titled(title: str, note: str) -> Padding:
    return Padding(
        Rule(Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim")), align="left"), (1, 0, 0, 0)
    )


def _load(report: Report, width: int) -> Table:
    table = _table(expand=False)
    table.add_column("stage", no_wrap=True)
    for name in ("offered", "achieved", "p50", "p95", "p99", "p99.9", "errors", "dropped"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column("kB/s", justify="right", no_wrap=True)
    table.add_column("held", no_wrap=True)
    for row in report.load:
        visits = f" ×{row.visits}" if row.visits > 1 else ""
        cells: list[RenderableType] = [
            Text.assemble(row.stage, (visits, "dim")),
            wording.tps(row.offered_tps),
            Text(wording.tps(row.achieved_tps), style="bold"),
            *(_percentile(row, name) for name in ("p50_ms", "p95_ms", "p99_ms", "p999_ms")),
            Text(f"{row.error_rate:.1%}", style="red" if row.error_rate else "dim"),
            Text(f"{row.dropped:,}", style="red" if row.dropped else "dim"),
        ]
        if width >= NARROW:
            cells.append(f"{row.bytes_per_s / 1000:,.0f}")
        held = {True: Text("yes", style="green"), False: Text("no", style="bold red"), None: Text("–", style="dim")}
        table.add_row(*cells, held[row.held])
    return table


def _percentile(row: model.LoadRow, name: str) -> Text:
    value = getattr(row, name)
    if value is None:
        return Text("–", style="dim")
    return Text(f"> {_ms(value)}", style="bold red") if name in row.censored else Text(_ms(value))


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _functions(report: Report, width: int) -> Table:
    shown = _shown(report)
    table = _table()
    table.add_column("function", ratio=1, overflow="ellipsis", no_wrap=True)
    table.add_column("own CPU", no_wrap=True)
    table.add_column("own", justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column("total", justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("95% of total", justify="right", no_wrap=True, style="dim")
    spread = any(one.us_at_lowest is not None for one in shown)
    if spread:
        low, high = (wording.tps(rate or 0) for rate in (report.growth.lowest_tps, report.growth.highest_tps))
        table.add_column(f"@{low} → @{high}" if width >= NARROW else f"@{low}→@{high}", justify="right", no_wrap=True)
    table.add_column("growth", justify="right", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    most = max((one.self_share for one in shown), default=0) or 1
    for one in shown:
        style, mark = _SHAPES[one.shape]
        name = Text(one.function, style="bold" if one.shape == "superlinear" else "")
        if width >= NARROW:
            name.append(f" {one.file}", style="dim not bold")
        cells: list[RenderableType] = [
            name,
            _bar(one.self_share, most, 12 if width >= WIDE else 6, style if one.shape == "superlinear" else "yellow"),
            _us(one.self_us_per_request),
        ]
        if width >= NARROW:
            cells.append(_us(one.total_us_per_request))
        if width >= WIDE:
            ends = one.us_low is not None and one.us_high is not None
            cells.append(f"{_us(one.us_low or 0)} – {_us(one.us_high or 0)}" if ends else "–")
        if spread:
            cells.append(_from_to(one))
        table.add_row(*cells, _growth(one, width), _shape(one, style, mark))
    return table


def _shown(report: Report) -> list[model.Function]:
    """The hottest in themselves; callers that only pass on what they call are in the JSON."""
    hot = [one for one in report.functions if one.self_share >= 0.005 or one.shape == "superlinear"]
    return hot[:MOST_FUNCTIONS]


def _us(value: float) -> str:
    return wording.us(value).removesuffix(" us")


def _from_to(one: model.Function) -> str:
    if one.us_at_lowest is None or one.us_at_highest is None:
        return "–"
    return f"{_us(one.us_at_lowest)} → {_us(one.us_at_highest)}"


def _growth(one: model.Function, width: int) -> Text:
    if one.growth is None or one.growth_low is None or one.growth_high is None:
        return Text("–", style="dim")
    if width < NARROW:
        return Text(f"{one.growth:.2f}")
    return Text(f"{one.growth:.2f} [{one.growth_low:.2f}, {one.growth_high:.2f}]")


def _shape(one: model.Function, style: str, mark: str) -> Text:
    return Text(f"{'↳' if one.inherits_from else mark} {one.shape}", style=style)


def _bar(share: float, most: float, cells: int, style: str) -> Text:
    eighths = round(share / most * cells * 8)
    bar = "█" * (eighths // 8) + (_BAR_PARTS[eighths % 8] if eighths % 8 else "")
    return Text.assemble((f"{share:4.0%} ", "bold"), (bar.ljust(cells), style))


def _capacity(report: Report) -> Table:
    capacity = report.capacity
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column()
    seen = capacity.max_tps_within_thresholds
    table.add_row("–" if seen is None else wording.tps(seen), "seen: the highest rate tried that held")
    if capacity.predicted_tps is None:
        table.add_row("–", Text("predicted: needs a `levels` stage with a profile", style="dim"))
        return table
    predicted = _interval(capacity.predicted_tps, capacity.predicted_low, capacity.predicted_high)
    table.add_row(Text(predicted), Text(f"predicted: CPU time runs out ({capacity.limited_by})"))
    for change in capacity.what_if:
        change_to = _interval(change.tps, change.tps_low, change.tps_high)
        table.add_row(Text(change_to, style="green"), Text(f"what if: {change.function} {change.change}"))
    return table


def _interval(value: float, low: float | None, high: float | None) -> str:
    return wording.between(wording.tps(value), *(None if end is None else wording.tps(end) for end in (low, high)))


def _lines(pairs: tuple[tuple[str, str], ...]) -> Iterator[Table]:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, line in pairs:
        table.add_row(name, Text(line))
    yield table


def _table(*, expand: bool = True) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        expand=expand,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold dim",
    )
