"""A comparison as a page in a terminal: what got dearer first, in sentences, then the figures behind it."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from analysis import wording
from views.difference import model
from views.difference.model import Difference, Outcome
from views.difference.tables import functions_table, latency_table, levels_table
from views.terminal import WIDEST, sentence, titled

_OUTCOMES: dict[Outcome, tuple[str, str, str]] = {
    "regression": ("red", "▲", "REGRESSION"),
    "improvement": ("green", "▼", "IMPROVEMENT"),
    "none": ("green", "=", "NO DIFFERENCE"),
    "unclear": ("yellow", "?", "UNCLEAR"),
}


def render_difference(difference: Difference) -> RenderableType:
    """The page; it fits itself to the console, from 80 to 140 columns, and needs no colour to be read."""
    return _Page(difference)


class _Page:
    def __init__(self, difference: Difference) -> None:
        self._difference = difference

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        body = Group(*_parts(self._difference, width))
        yield from console.render(body, options.update_width(width))


def _parts(difference: Difference, width: int) -> Iterator[RenderableType]:
    yield _head(difference)
    yield Padding(_sentences(difference), (1, 1, 0, 1))
    if difference.cpu_us is not None:
        yield titled("CPU", "us per answered request, of the function itself")
        yield Padding(functions_table(difference, width), (0, 1))
    if difference.latency:
        yield titled("Latency", "from the scheduled start")
        yield Padding(latency_table(difference, width), (0, 1))
    if difference.levels:
        yield titled("Rates", "base / new")
        yield Padding(levels_table(difference), (0, 1))
    if difference.warnings:
        warnings = (Text.assemble(("! ", "bold yellow"), (warning, "yellow")) for warning in difference.warnings)
        yield Padding(Group(*warnings), (1, 1, 0, 1))
    yield Padding(Group(*(Text(note, style="dim") for note in footnotes(difference))), (1, 1))


def _head(difference: Difference) -> Panel:
    colour, mark, word = _OUTCOMES[difference.outcome]
    lines = [Text(f" {mark} {word} ", f"bold reverse {colour}")]
    lines += [_side(name, side) for name, side in (("base", difference.base), ("new", difference.new))]
    title = Text.assemble(("loadflame", "bold"), f"  {difference.service}, base against new")
    return Panel(Group(*lines), title=title, title_align="left", border_style=colour)


def _side(name: str, side: model.Side) -> Text:
    runs = f"{side.runs[0]} to {side.runs[-1]}" if len(side.runs) > 1 else "".join(side.runs)
    left_out = f", {len(side.left_out)} left out" if side.left_out else ""
    return Text.assemble(
        (f"{name:<5}", "bold"), f"{wording.count(len(side.runs), 'run')}  ", (f"{runs}{left_out}", "dim")
    )


def _sentences(difference: Difference) -> Table:
    colour, mark, _ = _OUTCOMES[difference.outcome]
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    for place, text in enumerate(difference.sentences):
        sign = Text(mark, style=f"bold {colour}") if place == 0 else Text("●", style="dim")
        table.add_row(sign, sentence(text, bold=place == 0))
    return table


def footnotes(difference: Difference) -> Iterator[str]:
    """How the figures were made."""
    method = difference.method
    if method is None:
        return
    spread = method.spread_between_runs
    if spread is not None:
        yield f"Spread between runs of one side: {spread:.1%} for a function, beside the chance of its samples."
    if method.judged:
        drift = ", a linear drift over the runs taken out" if method.drift_removed else ""
        yield (
            f"A run is one observation{drift}; each variance is drawn to what {method.judged} figures show. Of "
            "identical services at most 5% of such pages tell a difference."
        )
    yield "detectable: the change that is found in four of five such comparisons."
