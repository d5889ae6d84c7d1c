"""The delivery checks of a run as a small table."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from processors.verify import Check

_MARK = {True: "[green]holds[/]", False: "[bold red]BROKEN[/]", None: "[dim]not checked[/]"}


def checks_table(checks: Sequence[Check]) -> Table:
    """One line a check: its name, whether it holds, and the figures."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        table.add_row(f"[bold]{check.name}[/]", _MARK[check.ok], escape(check.sentence))
    return table
