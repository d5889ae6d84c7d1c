"""The report as a page in a terminal: what was found first, in sentences, then the figures behind it."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.judging.verdict import Verdict
from schemas.thresholds import parse_threshold
from views import model
from views.marks import FINDINGS, OTHER
from views.model import Report
from views.sentences import accounting_lines, footnotes, trust_lines
from views.tables import capacity_table, errors_table, functions_table, load_table, milliseconds, shown_functions
from views.traffic_table import traffic_table

WIDEST = 140
SVG_WIDTH = 116

_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "passed": ("green", "✔"),
    "failed": ("red", "✘"),
    "inconclusive": ("yellow", "?"),
    "generator-limited": ("yellow", "!"),
    "host-limited": ("yellow", "!"),
    "aborted": ("yellow", "■"),
}


def render(report: Report) -> RenderableType:
    """The page; it fits itself to the console, from 80 to 140 columns, and needs no colour to be read."""
    return _Page(report)


def save_svg(report: Report, path: Path, *, width: int = SVG_WIDTH) -> None:
    """Write the page as a picture."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(render(report))
    console.save_svg(str(path), title=f"loadflame report {report.run.id}", code_format=_SVG)


# Rich's own form without its web fonts: a report must look the same without a network, and tell nobody that it is read.
_SVG = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "font-family: Fira Code, monospace", "font-family: DejaVu Sans Mono, Menlo, Consolas, monospace"
)


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
    if report.run.observed:
        yield titled("Traffic", "ms as whoever told of it took them")
        yield Padding(traffic_table(report, width), (0, 1))
    else:
        yield titled("Load", "ms from the scheduled start")
        yield Padding(load_table(report, width), (0, 1))
    if report.errors:
        yield titled("Errors", "requests that failed, by what went wrong")
        yield Padding(errors_table(report), (0, 1))
    if report.functions:
        yield titled("Hot functions", "CPU us per answered request; growth 1: the same at every rate")
        yield Padding(functions_table(report, width), (0, 1))
        if report.endpoints_note:
            yield Padding(sentence(report.endpoints_note, bold=False), (1, 1, 0, 1))
    if not report.run.observed:  # nobody tried a rate
        yield titled("Capacity", "requests per second")
        yield Padding(capacity_table(report), (0, 1))
    yield titled("Accounting and trust", "")
    yield Padding(Group(*_lines((*accounting_lines(report), *trust_lines(report)))), (0, 1))
    if report.warnings:
        warnings = (Text.assemble(("! ", "bold yellow"), (warning, "yellow")) for warning in report.warnings)
        yield Padding(Group(*warnings), (1, 1, 0, 1))
    notes = (Text(note, style="dim") for note in footnotes(report, shown_functions(report)))
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
        parsed = parse_threshold(threshold.text)
        if parsed.is_share:
            value = f"{threshold.value:.2%}"
        elif parsed.metric == "tps":
            value = f"{wording.tps(threshold.value)} TPS"
        else:
            value = f"{more}{milliseconds(threshold.value)}{'' if threshold.value >= 10_000 else ' ms'}"
        if parsed.for_s is not None:
            value = f"{'up to' if parsed.is_from_above else 'down to'} {value} for so long"
    return Text.assemble(("  ", ""), (held[0], held[1]), f"  {threshold.text}  ", (f"(was {value})", "dim"))


def _findings(report: Report) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    for place, finding in enumerate(report.findings):
        style, mark = FINDINGS.get(finding.kind, OTHER)
        table.add_row(Text(mark, style=style), sentence(finding.summary, bold=place == 0))
    return table


def sentence(summary: str, *, bold: bool) -> Text:
    """The sentence with its function names, in backquotes, set off."""
    text = Text(style="bold" if bold else "")
    for place, part in enumerate(summary.split("`")):
        text.append(part, style="bold cyan" if place % 2 else "")
    return text


def titled(title: str, note: str) -> Padding:
    """A rule with a title, and what is to be known of what follows."""
    return Padding(
        Rule(Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim")), align="left"), (1, 0, 0, 0)
    )


def _lines(pairs: tuple[tuple[str, str], ...]) -> Iterator[Table]:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, line in pairs:
        table.add_row(name, Text(line))
    yield table
