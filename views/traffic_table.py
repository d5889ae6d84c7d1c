"""The load side of the terminal page where nobody loaded: nothing was offered, dropped or held."""

from rich.table import Table
from rich.text import Text

from analysis import wording
from views import model
from views.model import Report
from views.tables import NARROW, milliseconds, plain_table

_PERCENTILES = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))


def traffic_table(report: Report, width: int) -> Table:
    """What came, and how it was answered; a latency that nobody took is `unknown`, never a number."""
    table = plain_table(expand=False)
    percentiles = _PERCENTILES if width >= NARROW else _PERCENTILES[:-1]
    for name in ("answered/s", *(name for name, _ in percentiles), "errors", "kB/s out"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.load:
        table.add_row(
            Text(wording.tps(row.achieved_tps), style="bold"),
            *(_percentile(row, field) for _, field in percentiles),
            Text(f"{row.error_rate:.1%}", style="red" if row.error_rate else "dim"),
            f"{row.received_bytes_per_s / 1000:,.0f}",
        )
    return table


def _percentile(row: model.LoadRow, name: str) -> Text:
    value = getattr(row, name)
    if value is None:
        return Text("unknown" if row.achieved_tps else "–", style="dim")
    return Text(f"{'> ' if name in row.censored else ''}{milliseconds(value)}")
