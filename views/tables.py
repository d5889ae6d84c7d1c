"""The tables of the terminal page; each takes the width that it must fit into."""

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.costs.growth import Shape
from views import model
from views.model import Report

NARROW, WIDE = 100, 120
MOST_FUNCTIONS = 14
MOST_ERRORS = 10
_PERCENTILES = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))
_BAR_PARTS = " ▏▎▍▌▋▊▉█"

_SHAPES: dict[Shape, tuple[str, str]] = {
    "superlinear": ("bold red", "▲"),
    "linear": ("green", "="),
    "sublinear": ("cyan", "▼"),
    "unclear": ("dim", "?"),
}


def load_table(report: Report, width: int) -> Table:
    """One row a stage or level."""
    table = plain_table(expand=False)
    table.add_column("stage", no_wrap=True)
    wide = width >= NARROW
    percentiles = _PERCENTILES if wide else _PERCENTILES[:-1]
    before = ("offered", "achieved") if wide else ("offered", "got")
    after = ("errors", "dropped") if wide else ("err", "drop")
    for name in (*before, *(name for name, _ in percentiles), *after):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        for name in ("kB/s out", "in"):
            table.add_column(name, justify="right", no_wrap=True)
    table.add_column("held", no_wrap=True)
    for row in report.load:
        visits = f" ×{row.visits}" if row.visits > 1 and wide else ""
        cells: list[RenderableType] = [
            Text.assemble(row.stage, (visits, "dim")),
            wording.tps(row.offered_tps),
            Text(wording.tps(row.achieved_tps), style="bold"),
            *(_percentile(row, field) for _, field in percentiles),
            Text(f"{row.error_rate:.1%}", style="red" if row.error_rate else "dim"),
            Text(f"{row.dropped:,}", style="red" if row.dropped else "dim"),
        ]
        if width >= WIDE:
            cells += [f"{rate / 1000:,.0f}" for rate in (row.sent_bytes_per_s, row.received_bytes_per_s)]
        held = {True: Text("yes", style="green"), False: Text("no", style="bold red"), None: Text("–", style="dim")}
        table.add_row(*cells, Text("limited" if wide else "lim.", style="yellow") if row.limited else held[row.held])
    return table


def _percentile(row: model.LoadRow, name: str) -> Text:
    value = getattr(row, name)
    if value is None:
        return Text("–", style="dim")
    return Text(f"> {milliseconds(value)}", style="bold red") if name in row.censored else Text(milliseconds(value))


def milliseconds(value: float) -> str:
    """Milliseconds without their unit; from ten seconds on seconds with it, which is shorter."""
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def functions_table(report: Report, width: int) -> Table:
    """The hottest functions with what they cost at the lowest and the highest rate, and how that grows."""
    shown = shown_functions(report)
    table = plain_table()
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
    paid = width >= WIDE and any(one.endpoints for one in shown)
    if paid:
        table.add_column("paid for by", no_wrap=True)
    most = max((one.self_share for one in shown), default=0) or 1
    for one in shown:
        style, mark = _SHAPES[one.shape]
        cells: list[RenderableType] = [
            _Name(one, with_file=width >= NARROW),
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
        cells += [_growth(one, width), _shape(one, style, mark)]
        table.add_row(*cells, *([_payer(one)] if paid else []))
    return table


def _payer(one: model.Function) -> str:
    """The endpoint that pays for most of it, by the low end of its interval."""
    payers = (f"{cost.endpoint} {cost.share:.0%}" for cost in one.endpoints if cost.share_low > 0.5)
    return next(payers, "–")


class _Name:
    """A function and its file in one line, as much as fits.

    What is too long loses its front: of `Database.execute.<locals>.read`, `read` tells more than `Database`.
    """

    def __init__(self, one: model.Function, *, with_file: bool) -> None:
        self._function = one.function
        self._style = "bold" if one.shape == "superlinear" else ""
        self._file = f" {one.file}" if with_file else ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, cell_len(self._function + self._file))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts, cut = self._function.split("."), ""
        while len(parts) > 1 and cell_len(cut + ".".join(parts) + self._file) > options.max_width:
            parts, cut = parts[1:], "…"
        name = Text(cut + ".".join(parts), style=self._style, no_wrap=True, overflow="ellipsis")
        yield name.append(self._file, style="dim not bold")


def shown_functions(report: Report) -> list[model.Function]:
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


def errors_table(report: Report) -> Table:
    """How requests failed, the most frequent first."""
    table = plain_table(expand=False)
    table.add_column("requests", justify="right", no_wrap=True)
    table.add_column("error", style="red")
    table.add_column("endpoint")
    for row in report.errors[:MOST_ERRORS]:
        table.add_row(f"{row.requests:,}", Text(row.error), Text(row.endpoint))
    more = len(report.errors) - MOST_ERRORS
    if more > 0:
        table.add_row("", Text(f"and {more} more kinds; --json has them", style="dim"), "")
    return table


def capacity_table(report: Report) -> Table:
    """What was seen, what is predicted, and what a change would bring."""
    capacity = report.capacity
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column()
    seen = capacity.max_tps_within_thresholds
    table.add_row("–" if seen is None else wording.tps(seen), "seen: the highest rate tried that held")
    if capacity.predicted_tps is None:
        table.add_row("–", Text(f"predicted: {_unpredicted(report.growth)}", style="dim"))
        return table
    predicted = _interval(capacity.predicted_tps, capacity.predicted_low, capacity.predicted_high)
    table.add_row(Text(predicted), Text(f"predicted: CPU time runs out ({capacity.limited_by})"))
    for change in capacity.what_if:
        change_to = _interval(change.tps, change.tps_low, change.tps_high)
        table.add_row(Text(change_to, style="green"), Text(f"what if: {change.function} {change.change}"))
    return table


def _unpredicted(growth: model.Growth) -> str:
    """Why there is no prediction."""
    if growth.left_out:
        return "too little of the run was usable (what was left out stands below)"
    if growth.design == "levels":
        return "not to be told from these rates"
    return "needs a `levels` stage with a profile"


def _interval(value: float, low: float | None, high: float | None) -> str:
    return wording.between(wording.tps(value), *(None if end is None else wording.tps(end) for end in (low, high)))


def plain_table(*, expand: bool = True) -> Table:
    """Without any lines but that below its head."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        expand=expand,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold dim",
    )
