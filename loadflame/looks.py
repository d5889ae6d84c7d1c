"""One look at a run: its findings as the report has them, held against what was told, as events. Blocks."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from analysis.findings import Evidence, Finding
from analysis.telling import Told, named, to_tell
from loadflame.looked import Look, Stored
from schemas.events import EventData, FindingMade, FindingsSettled, FindingWithdrawn
from sinks.clickhouse import ClickHouseStore
from views.model import FindingRow
from views.report import build_report

WITHDRAWN = "Does not hold any more: "
_LONGEST, _LONGEST_LABEL = 1024, 960


def look_at(
    store: ClickHouseStore, run_id: str, stored: Stored, *, is_over: bool, before: Collection[str] = ()
) -> Look:
    """Look at a run of which so much is stored; `before` are the names that the last look found. Raises UserError."""
    found = named([_as_told(run_id, row) for row in build_report(store.client, run_id).findings])
    told = told_in(store.read_events(run_id))
    news = to_tell(told, found, windows=stored.windows, is_over=is_over, before=before)
    events = as_events(run_id, news)
    if is_over:
        settled = FindingsSettled(run_id=run_id, findings=list(found), windows=stored.windows, batches=stored.batches)
        events.append(settled)
    return Look(tuple(events), frozenset(found))


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
