"""One look at a run: its findings as the report has them, held against what was told, as events. Blocks.

The last look also tells the verdict, unless whoever opened the run does: then that checks and judges it by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from analysis.finding import Evidence, Finding
from analysis.telling import Told, named, to_tell
from loadflame.checks import checks_told
from loadflame.looked import Look, Stored, is_judged_elsewhere, is_settled, of_type
from processors.verify import verify_accounts
from schemas.events import (
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    RunChecked,
    RunJudged,
)
from sinks.clickhouse import ClickHouseStore
from views.model import FindingRow
from views.report import build_report

WITHDRAWN = "Does not hold any more: "
_LONGEST, _LONGEST_LABEL = 1024, 960


def check(store: ClickHouseStore, run_id: str) -> Sequence[EventData]:
    """What is new about the delivery of a run that has ended, on which its verdict rests. Raises StoreError.

    What costs as much as the run itself, to compute every window again, is left to `loadflame verify`.
    """
    events = store.read_events(run_id)
    if is_judged_elsewhere(events):
        return ()
    found = checks_told(run_id, verify_accounts(store, run_id))
    return () if any(_outcomes(event) == _outcomes(found) for event in of_type(RunChecked, events)) else (found,)


def last_look(store: ClickHouseStore, run_id: str, stored: Stored, *, is_checked_anew: bool) -> Sequence[EventData]:
    """What is still to be told of a run that has ended, of which so much is stored. Raises UserError."""
    events = store.read_events(run_id)
    is_told = is_settled(events, stored)
    if is_told and not is_checked_anew:
        return ()
    look = look_at(store, run_id, stored, is_over=True)
    news = list(look.events)
    if not is_told:
        names, windows, batches = list(look.names), stored.windows, stored.batches
        news.append(FindingsSettled(run_id=run_id, findings=names, windows=windows, batches=batches))
    known = {event.verdict for event in of_type(RunJudged, events)}
    if look.verdict not in known and not is_judged_elsewhere(events):
        news.append(RunJudged(run_id=run_id, verdict=look.verdict))
    return news


def _outcomes(event: RunChecked) -> list[tuple[str, bool | None]]:
    return [(one.name, one.ok) for one in event.checks]


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
