"""The tables of a comparison in a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.comparison.difference import Verdict
from analysis.comparison.difference_sentences import change, milliseconds
from views.difference import model
from views.difference.model import Difference
from views.tables import NARROW, WIDE, plain_table

MOST_FUNCTIONS = 14
_BAR_CELLS = 9
_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "dearer": ("bold red", "▲"),
    "slower": ("bold red", "▲"),
    "cheaper": ("green", "▼"),
    "faster": ("green", "▼"),
    "new": ("yellow", "+"),
    "gone": ("cyan", "-"),
    "none": ("dim", "="),
    "unclear": ("dim", "?"),
}
_WORDS: dict[Verdict, str] = {"none": "no difference"}


def shown_functions(difference: Difference) -> Sequence[model.Function]:
    """What changed for certain first, then what changed most."""
    return sorted(difference.functions, key=_rank)[:MOST_FUNCTIONS]


def _rank(one: model.Function) -> tuple[bool, float]:
    told = one.self_us.verdict not in ("none", "unclear")
    return not told, -abs(one.self_us.difference or 0.0)


def functions_table(difference: Difference, width: int) -> Table:
    """The service and its functions: CPU per request on both sides, and the change with its interval."""
    shown = shown_functions(difference)
    table = plain_table()
    table.add_column("function", ratio=1, overflow="ellipsis", no_wrap=True)
    for name in ("base", "new"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("less │ more", no_wrap=True, justify="center")
    table.add_column("change", justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column("95%", justify="right", no_wrap=True, style="dim")
    if width >= WIDE:
        table.add_column("detectable", justify="right", no_wrap=True, style="dim")
    table.add_column("verdict", no_wrap=True)
    most = max((abs(one.self_us.difference or 0.0) for one in shown), default=0.0) or 1.0
    rows = [(Text(difference.service, style="bold"), difference.cpu_us)] if difference.cpu_us else []
    rows += [(_name(one, with_file=width >= NARROW), one.self_us) for one in shown]
    for place, (called, figure) in enumerate(rows):
        bar = [Text() if place == 0 else _bar(figure, most)] if width >= WIDE else []
        table.add_row(called, _us(figure.base), _us(figure.new), *bar, *_judged(figure, width))
        if place == 0:
            table.add_section()
    return table


def latency_table(difference: Difference, width: int) -> Table:
    """One row an endpoint and percentile."""
    table = plain_table(expand=False)
    table.add_column("endpoint", no_wrap=True)
    for name in ("", "base", "new", "change", *(["95%"] if width >= NARROW else [])):
        table.add_column(name, justify="right", no_wrap=True, style="dim" if name == "95%" else "")
    if width >= WIDE:
        table.add_column("detectable", justify="right", no_wrap=True, style="dim")
    table.add_column("verdict", no_wrap=True)
    for one in difference.latency:
        sides = (Text("–" if ms is None else milliseconds(ms)) for ms in (one.ms.base, one.ms.new))
        table.add_row(Text(one.endpoint), Text(one.percentile), *sides, *_judged(one.ms, width))
    return table


def levels_table(difference: Difference) -> Table:
    """Where the sides were compared, and where not."""
    table = Table.grid(padding=(0, 2))
    for one in difference.levels:
        rates = " / ".join("–" if tps is None else wording.tps(tps) for tps in (one.base_tps, one.new_tps))
        told = Text(f"not compared: {one.why}", style="yellow") if one.why else Text("compared", style="green")
        table.add_row(Text(one.level, style="bold"), f"{rates} TPS", told)
    return table


def verdict_of(figure: model.Change) -> Text:
    """Its sign and word; the sign says it without colour, too."""
    style, mark = _VERDICTS[figure.verdict]
    return Text(f"{mark} {_WORDS.get(figure.verdict, figure.verdict)}", style=style)


def _judged(figure: model.Change, width: int) -> list[Text]:
    style = _VERDICTS[figure.verdict][0]
    cells = [Text(change(figure.ratio), style="" if figure.verdict == "none" else style)]
    if width >= NARROW:
        known = figure.low is not None and figure.high is not None
        cells.append(Text(f"{change(figure.low)} to {change(figure.high)}" if known else "–"))
    if width >= WIDE:
        least = figure.minimum_detectable
        cells.append(Text("–" if least is None else change(1 + least)))
    return [*cells, verdict_of(figure)]


def _name(one: model.Function, *, with_file: bool) -> Text:
    name = Text(one.function, no_wrap=True, overflow="ellipsis")
    return name.append(f" {one.file}", style="dim") if with_file else name


def _us(value: float | None) -> Text:
    return Text("–" if value is None else wording.us(value).removesuffix(" us"))


def _bar(figure: model.Change, most: float) -> Text:
    """How much less or more, to the left or the right of a line."""
    length = round(abs(figure.difference or 0.0) / most * _BAR_CELLS)
    less = "█" * length if (figure.difference or 0.0) < 0 else ""
    more = "█" * length if (figure.difference or 0.0) > 0 else ""
    style = _VERDICTS[figure.verdict][0]
    return Text.assemble((less.rjust(_BAR_CELLS), style), ("│", "dim"), (more.ljust(_BAR_CELLS), style))
