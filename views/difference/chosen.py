"""Which runs a comparison is of: ids, lists of them, and ranges from one run to another."""

from collections.abc import Iterable

from clickhouse_connect.driver.client import Client

from schemas.errors import UserError
from views.runs import RunRow, list_runs, resolve_run, unknown_run

_RANGE = ".."


class GroupError(UserError):
    """The runs that were named make no two groups."""


def chosen_runs(client: Client, texts: Iterable[str]) -> tuple[str, ...]:
    """Ids of the runs that `texts` name, each once. Raises UnknownRunError, GroupError or StoreError.

    A text is an id, `last`, several with commas between, or FIRST..LAST: all runs of the service from one to the other.
    """
    found: dict[str, None] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        if part:
            found.update(dict.fromkeys(_range(client, part) if _RANGE in part else [resolve_run(client, part)]))
    return tuple(found)


def two_groups(base: Iterable[str], new: Iterable[str]) -> None:
    """Raise GroupError unless both have a run, and none is in both."""
    base, new = tuple(base), tuple(new)
    if not base or not new:
        raise GroupError("name the runs of both sides: `loadflame diff --base R1,R2,R3 --new R4,R5,R6`, or `diff A B`")
    twice = next((run for run in base if run in new), None)
    if twice is not None:
        raise GroupError(
            f"run {twice} is on both sides; a range takes in every run of the service between its ends, so name the "
            "runs one by one"
        )


def _range(client: Client, text: str) -> list[str]:
    ends = text.split(_RANGE)
    if len(ends) != 2 or not all(ends):
        raise GroupError(f"{text!r} is no range of runs; write one as FIRST..LAST")
    first, last = (_row(client, end) for end in ends)
    if last.started_at < first.started_at:
        first, last = last, first
    if first.service != last.service:
        raise GroupError(f"{text}: the first is a run of {first.service} and the last one of {last.service}")
    inside = (row for row in list_runs(client) if first.started_at <= row.started_at <= last.started_at)
    return [row.id for row in sorted(inside, key=lambda row: row.started_at) if row.service == first.service]


def _row(client: Client, run: str) -> RunRow:
    run = resolve_run(client, run)
    row = next((row for row in list_runs(client) if row.id == run), None)
    if row is None:
        raise unknown_run(client, run)
    return row
