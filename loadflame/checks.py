"""The delivery checks of a run, as a small table and as an event."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from processors.verify import Check
from schemas.events import CheckOutcome, RunChecked

_MARK = {True: "[green]holds[/]", False: "[bold red]BROKEN[/]", None: "[dim]not checked[/]"}

_LONGEST = 1024
"""Of a sentence in an event."""


def checks_told(run_id: str, checks: Sequence[Check]) -> RunChecked:
    """The event that tells them."""
    told = [CheckOutcome(name=one.name, ok=one.ok, sentence=one.sentence[:_LONGEST]) for one in checks]
    return RunChecked(run_id=run_id, checks=told)


def checks_table(checks: Sequence[Check]) -> Table:
    """One line a check: its name, whether it holds, and the figures."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        table.add_row(f"[bold]{check.name}[/]", _MARK[check.ok], escape(check.sentence))
    return table
