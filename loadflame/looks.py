"""One look at a run: its findings as the report has them, held against what was told, as events. Blocks.

The last look also tells the verdict, unless whoever opened the run does: then that checks and judges it by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from analysis.findings import Evidence, Finding
from analysis.telling import Told, named, to_tell
from analysis.verdict import Verdict
from loadflame.checks import checks_told
from processors.verify import verify_accounts
from schemas.events import (
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    ProducerEnded,
    RunChecked,
    RunEnded,
    RunJudged,
)
from sinks.clickhouse import ClickHouseStore
from views import queries
from views.model import FindingRow
from views.report import build_report

E = TypeVar("E", bound=EventData)
WITHDRAWN = "Does not hold any more: "
_LONGEST, _LONGEST_LABEL = 1024, 960


@dataclass(frozen=True, slots=True)
class Stored:
    """How much of a run is joined: so many windows, of so many batches."""

    windows: int
    batches: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How much is joined of a run that has ended, and how many of its producers have said their last words."""

    stored: Stored
    producers: int


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to be told after a look, the names of all that it found, the dearest first, and the verdict."""

    events: tuple[EventData, ...]
    names: tuple[str, ...]
    verdict: Verdict


def stored_of(store: ClickHouseStore, run_id: str) -> Stored:
    """How much of a run is joined. Raises StoreError."""
    (row,) = queries.fetch(store.client, queries.JOINED, run=run_id).to_pylist()
    return Stored(int(row["windows"]), int(row["batches"]))


def ending_of(store: ClickHouseStore, run_id: str) -> Ending:
    """How much there is of a run that has ended. Raises StoreError."""
    said = {event.producer_id for event in store.read_events(run_id) if isinstance(event, ProducerEnded)}
    return Ending(stored_of(store, run_id), len(said))


def check(store: ClickHouseStore, run_id: str) -> Sequence[EventData]:
    """What is new about the delivery of a run that has ended, on which its verdict rests. Raises StoreError.

    What costs as much as the run itself, to compute every window again, is left to `loadflame verify`.
    """
    events = store.read_events(run_id)
    if _is_judged_elsewhere(events):
        return ()
    found = checks_told(run_id, verify_accounts(store, run_id))
    return () if any(_outcomes(event) == _outcomes(found) for event in _of(RunChecked, events)) else (found,)


def last_look(store: ClickHouseStore, run_id: str, stored: Stored, *, is_checked_anew: bool) -> Sequence[EventData]:
    """What is still to be told of a run that has ended, of which so much is stored. Raises UserError."""
    events = store.read_events(run_id)
    is_settled = any(Stored(event.windows, event.batches) == stored for event in _of(FindingsSettled, events))
    if is_settled and not is_checked_anew:
        return ()
    look = look_at(store, run_id, stored, is_over=True)
    news = list(look.events)
    if not is_settled:
        names, windows, batches = list(look.names), stored.windows, stored.batches
        news.append(FindingsSettled(run_id=run_id, findings=names, windows=windows, batches=batches))
    known = {event.verdict for event in _of(RunJudged, events)}
    if look.verdict not in known and not _is_judged_elsewhere(events):
        news.append(RunJudged(run_id=run_id, verdict=look.verdict))
    return news


def _is_judged_elsewhere(events: Sequence[EventData]) -> bool:
    return any(event.judged for event in _of(RunEnded, events))


def _outcomes(event: RunChecked) -> list[tuple[str, bool | None]]:
    return [(one.name, one.ok) for one in event.checks]


def _of(kind: type[E], events: Sequence[EventData]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def look_at(
    store: ClickHouseStore, run_id: str, stored: Stored, *, is_over: bool, before: Collection[str] = ()
) -> Look:
    """Look at a run of which so much is stored; `before` are the names that the last look found. Raises UserError."""
    report = build_report(store.client, run_id)
    found = named([_as_told(run_id, row) for row in report.findings])
    told = told_in(store.read_events(run_id))
    news = to_tell(told, found, windows=stored.windows, is_over=is_over, before=before)
    return Look(tuple(as_events(run_id, news)), tuple(found), report.run.verdict)


def as_events(run_id: str, news: Mapping[str, Told]) -> list[EventData]:
    """What is new about findings, as events."""
    return [_event(run_id, name, told) for name, told in news.items()]


def _event(run_id: str, name: str, told: Told) -> FindingMade | FindingWithdrawn:
    finding = told.finding
    made = FindingMade(
        run_id=run_id,
        kind=finding.kind,
        summary=finding.summary,
        function=finding.function,
        evidence=dict(finding.evidence),
        finding=name,
        revision=told.revision,
        windows=told.windows,
    )
    if told.stands:
        return made
    shared = made.model_dump(exclude={"summary", "evidence"})
    return FindingWithdrawn(**shared, summary=f"{WITHDRAWN}{finding.summary}"[:_LONGEST])


def told_in(events: Sequence[EventData]) -> dict[str, Told]:
    """What was told of the findings of a run, from its events in any order."""
    told: dict[str, Told] = {}
    mine = [event for event in events if isinstance(event, FindingMade | FindingWithdrawn)]
    for event in sorted(mine, key=lambda event: (event.revision, event.windows)):
        if isinstance(event, FindingMade):
            finding = _finding(event)
        else:
            known = told.get(event.finding)
            finding = known.finding if known else Finding(event.kind, event.summary, event.function)
        told[event.finding] = Told(finding, event.revision, event.windows, stands=isinstance(event, FindingMade))
    return told


def _as_told(run_id: str, row: FindingRow) -> Finding:
    """A finding as an event gives it back: its texts no longer than events hold, its figures as JSON has them."""
    made = FindingMade(
        run_id=run_id,
        kind=row.kind,
        summary=row.summary[:_LONGEST],
        function=row.function and row.function[:_LONGEST_LABEL],
        evidence=row.evidence,
    )
    return _finding(FindingMade.model_validate_json(made.model_dump_json()))


def _finding(event: FindingMade) -> Finding:
    return Finding(event.kind, event.summary, event.function, cast("Evidence", event.evidence))
