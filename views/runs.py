"""The runs in a store."""

from datetime import datetime
from typing import Literal

from clickhouse_connect.driver.client import Client
from pydantic import BaseModel, ConfigDict

from schemas.errors import UserError
from views import queries

State = Literal["live", "broken off", "ended"]
"""`broken off`: nobody said its end, and nothing was heard of it for two minutes. See the view of runs."""
NEWEST = "last"
_MOST = 1000
_NAMED = 5


class RunRow(BaseModel):
    """One run; `ended_at` is null until it has ended, `verdict` until it was judged."""

    model_config = ConfigDict(frozen=True)

    id: str
    service: str
    started_at: datetime
    ended_at: datetime | None
    verdict: str | None
    state: State


class UnknownRunError(UserError):
    """The store holds no such run."""


def list_runs(client: Client, *, most: int = _MOST) -> list[RunRow]:
    """Runs in the store, newest first. Raises StoreError."""
    rows = queries.fetch(client, queries.RUNS, most=most).to_pylist()
    return [
        RunRow(
            id=row["run"],
            service=row["service"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            verdict=row["verdict"] or None,
            state=row["state"],
        )
        for row in rows
    ]


def resolve_run(client: Client, run: str) -> str:
    """The id that `run` stands for: itself, or the newest for `last`. Raises UnknownRunError when there is none."""
    if run == NEWEST:
        newest = list_runs(client, most=1)
        if not newest:
            raise UnknownRunError("the store holds no runs yet; `loadflame demo` makes one")
        return newest[0].id
    if not queries.fetch(client, queries.RUN, run=run).num_rows:
        raise unknown_run(client, run)
    return run


def unknown_run(client: Client, run: str) -> UnknownRunError:
    """The error for a run that is not there, with the ones that are."""
    recent = ", ".join(row.id for row in list_runs(client, most=_NAMED))
    known = f"the newest are {recent}" if recent else "the store holds no runs yet; `loadflame demo` makes one"
    return UnknownRunError(f"no run {run!r} in the store; {known}")
