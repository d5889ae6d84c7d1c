"""Findings beside a worker: told while the run is on, at its end as the report has them, and kept in the store."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from loadflame import finder
from loadflame.finder import LATE_S, NEWEST, PATIENCE_S, REST, Eyes, StoreFinder
from loadflame.looked import Look, Stored
from loadflame.looks import WITHDRAWN, check, last_look, look_at, told_in
from processors.desk import WorkerDesk
from processors.records import Place
from schemas.events import (
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    LoadTotals,
    ProducerEnded,
    RunChecked,
    RunEnded,
    RunJudged,
    RunStarted,
    from_message,
)
from schemas.topics import Topics
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from tests.support.batches import WINDOW, WINDOW_US
from tests.support.synthetic import Stage, Synthetic, levels, shop_costs
from views.report import build_report
from views.runs import list_runs

TOPICS = Topics()
SWEEP = "superlinear/sweep (shop.py)"
SHORT = levels(visits=2, seconds=4)
"""Enough for growth to be told, in little time."""


@dataclass
class LooksHere:
    """Looks in this process: its store serves one at a time."""

    eyes: Eyes

    async def look_at(self, run_id: str, stored: Stored, *, before: Collection[str]) -> Look:
        return await self.eyes.see(look_at, run_id, stored, is_over=False, before=before)

    async def check(self, run_id: str) -> Sequence[EventData]:
        return await self.eyes.see(check, run_id)

    async def last_look(self, run_id: str, stored: Stored, *, is_checked_anew: bool) -> Sequence[EventData]:
        return await self.eyes.see(last_look, run_id, stored, is_checked_anew=is_checked_anew)

    async def rest(self) -> None:
        """They have nowhere to go."""


@dataclass
class Bench:
    """A finder on a store of its own; what it tells is sent to a list, and stored."""

    store: ClickHouseStore
    sent: list[EventData] = field(default_factory=list)
    places: set[Place] = field(default_factory=lambda: {Place("loadflame.runs", 0)})
    at_s: float = 0.0
    ended_at_s: float = 0.0
    ended_s_ago: float = 10.0
    finder: StoreFinder = field(init=False)

    def made(self, eyes: Eyes) -> None:
        async def send(topic: str, partition: int | None, key: Any, value: bytes, headers: Any) -> None:
            event = from_message(headers, value)
            assert event is not None
            assert (topic, partition) == (TOPICS.name(event.topic), None)
            assert key == event.run_id.encode()
            self.sent.append(event)

        async def ask(question: Callable[..., Any], *arguments: Any) -> Any:
            return question(*arguments)

        desk = WorkerDesk(TOPICS, send, self.store, ask, lambda: self.places)
        self.finder = StoreFinder(
            desk, eyes, LooksHere(eyes), now_s=lambda: self.at_s, wall_s=lambda: self.ended_at_s + self.ended_s_ago
        )

    async def look(self) -> list[EventData]:
        """What one more look tells."""
        known = len(self.sent)
        await self.finder.look()
        return self.sent[known:]

    def view(self, run: str) -> dict[str, str]:
        """Summaries of the view of findings, by name."""
        sql = "SELECT finding, summary FROM findings WHERE run = {run:String}"
        return dict(self.store.client.query(sql, {"run": run}).result_rows)


@pytest.fixture
def bench(store_client: Client, store_url: str) -> Iterator[Bench]:
    made = Bench(ClickHouseStore(store_client))
    with Eyes(lambda: open_client(store_url)) as eyes:
        made.made(eyes)
        yield made


def part_of(run: str, seconds: int, stages: Sequence[Stage] = SHORT, **changes: Any) -> Synthetic:
    """The first seconds of a run that is on, and so far has come through these stages."""
    reached, so_far = 0, []
    for stage in stages:
        if reached < seconds:
            so_far.append(stage)
        reached += stage.seconds
    return Synthetic(run=run, stages=so_far, reason=None, **changes)


def of_type(events: Sequence[EventData], kind: type[EventData]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_run_is_told_of_while_it_is_on_and_ends_with_what_its_report_says(bench: Bench) -> None:
    part_of("r", 32).write(bench.store)
    assert await bench.look() == [], "the first look finds, and waits for a second one"
    bench.at_s += 1
    assert await bench.look() == [], "nothing more is joined"
    whole = [*SHORT, Stage("more", "map", "level", 3, 160.0, visit=2)]
    part_of("r", 35, whole).write(bench.store)
    live = await bench.look()
    made = of_type(live, FindingMade)
    assert made == live
    assert made[0].finding == SWEEP
    assert {event.revision for event in made} == {1}
    assert {event.windows for event in made} == {35}
    assert "none" not in {event.kind for event in made}

    Synthetic(run="r", stages=[*whole, Stage("last", "map", "level", 3, 40.0, visit=2)]).write(bench.store)
    await bench.finder.finish("r")
    (settled,) = of_type(bench.sent, FindingsSettled)
    assert bench.sent[-2] is settled
    assert (settled.windows, settled.batches) == (38, 76)
    report = build_report(bench.store.client, "r")
    assert bench.sent[-1] == RunJudged(run_id="r", verdict=report.run.verdict)
    told = told_in(bench.sent)
    assert told == told_in(bench.store.read_events("r")), "what was sent is stored"
    stand = {name: one.finding for name, one in told.items() if one.stands}
    assert [stand[name].summary for name in settled.findings] == [row.summary for row in report.findings]
    for name, row in zip(settled.findings, report.findings, strict=True):
        assert (stand[name].kind, stand[name].function, dict(stand[name].evidence)) == (
            row.kind, row.function, pytest.approx(row.evidence, nan_ok=True)
        )  # fmt: skip
    assert set(stand) == set(settled.findings)
    assert bench.view("r") == {name: one.summary for name, one in stand.items()}

    ids = [event.event_id() for event in bench.sent]
    assert len(set(ids)) == len(ids), "each event once"
    count = len(bench.sent)
    await bench.finder.finish("r")
    assert len(bench.sent) == count, "what was settled is not said again"


async def test_a_look_is_followed_by_twenty_times_its_length_of_rest(bench: Bench) -> None:
    part_of("r", 8).write(bench.store)
    steps = iter([100.0, 102.0])  # when it began, and ended
    bench.finder.now_s = lambda: next(steps, bench.at_s)
    await bench.look()
    part_of("r", 12).write(bench.store)
    bench.at_s = 102.0 + 2 * REST - 1
    await bench.look()
    assert bench.finder._looked["r"].stored.windows == 8
    bench.at_s += 1
    await bench.look()
    assert bench.finder._looked["r"].stored.windows == 12


async def test_a_run_that_ended_is_settled_when_all_is_stored_and_again_when_a_batch_comes_late(bench: Bench) -> None:
    Synthetic(run="r", stages=SHORT).write(bench.store)
    bench.ended_at_s = (WINDOW + 32) * WINDOW_US / 1e6
    # One producer of two has said its last words, so more may come.
    assert await bench.look() == []
    bench.ended_s_ago = PATIENCE_S + 1
    first = await bench.look()
    (settled,) = of_type(first, FindingsSettled)
    assert of_type(first, FindingMade)[0].finding == SWEEP
    assert await bench.look() == []
    Synthetic(
        run="r", stages=[*SHORT, Stage("late", "map", "level", 3, 40.0, visit=2)], costs=shop_costs(planted=False)
    ).write(bench.store)
    bench.ended_s_ago += 3
    later = await bench.look()
    (again,) = of_type(later, FindingsSettled)
    assert again.event_id() != settled.event_id()
    assert again.windows == 35
    Synthetic(run="r", stages=[*SHORT, *levels((40, 80), visits=1, seconds=3, seed=9)]).write(bench.store)
    bench.ended_s_ago = LATE_S + 10
    assert await bench.look() == [], "what comes hours later is for the report"


async def test_a_run_that_nobody_else_judges_is_checked_and_judged_once(bench: Bench) -> None:
    Synthetic(run="r", stages=SHORT).write(bench.store)
    await bench.finder.finish("r")
    first, *_, last = bench.sent
    (checked,), (judged,) = of_type(bench.sent, RunChecked), of_type(bench.sent, RunJudged)
    assert (first, last) == (checked, judged), "the verdict rests on the checks"
    assert {check.name: check.ok for check in checked.checks} == {"I0": True, "I1": None, "I3": True}
    report = build_report(bench.store.client, "r")
    assert [check.name for check in report.checks] == ["I0", "I1", "I3"]
    assert [run.verdict for run in list_runs(bench.store.client)] == [report.run.verdict] == [judged.verdict]
    count = len(bench.sent)
    await bench.finder.finish("r")
    assert len(bench.sent) == count

    # An agent may end minutes after the load: what it lost is known by then, and the verdict follows.
    lost = ProducerEnded(
        run_id="r", producer_id="load-2", role="load", batches_acknowledged=9, rows_acknowledged=9, note="",
        totals=LoadTotals(scheduled=9, sent=9, completed=8),
    )  # fmt: skip
    bench.store.write_events([lost], [2])
    await bench.finder.finish("r")
    again, verdict = bench.sent[count:]
    assert isinstance(again, RunChecked)
    assert {check.name: check.ok for check in again.checks}["I3"] is False
    assert verdict == RunJudged(run_id="r", verdict="inconclusive")
    assert [run.verdict for run in list_runs(bench.store.client)] == ["inconclusive"]


async def test_a_run_that_its_session_judges_is_left_to_it(bench: Bench) -> None:
    synthetic = Synthetic(run="r", stages=SHORT)
    synthetic.write(bench.store)
    (ended,) = of_type(bench.store.read_events("r"), RunEnded)
    bench.store.write_events([ended.model_copy(update={"judged": True})], [time.time_ns() // 1000])
    await bench.finder.finish("r")
    assert of_type(bench.sent, FindingsSettled)
    assert {event.topic for event in bench.sent} == {"findings"}


async def test_what_is_stored_just_as_one_asks_belongs_to_what_is_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Synthetic(run="r", stages=SHORT[:2]).write(bench.store)
    bench.ended_at_s = (WINDOW + 8) * WINDOW_US / 1e6

    def is_stored(store: ClickHouseStore, run: str) -> bool:
        Synthetic(run=run, stages=SHORT[:3]).write(store)  # the last flush
        return True

    monkeypatch.setattr(finder, "is_over", lambda *_: True)
    monkeypatch.setattr(finder, "is_stored", is_stored)
    (settled,) = of_type(await bench.look(), FindingsSettled)
    assert settled.windows == 12
    assert await bench.look() == []


async def test_another_worker_goes_on_where_this_one_was_killed(bench: Bench) -> None:
    Synthetic(run="r", stages=SHORT).write(bench.store)
    bench.store.write_events(
        [
            FindingMade(run_id="r", kind="hot", summary="`old` is hot.", function="old", finding="hot/old", revision=3),
            FindingMade(run_id="r", kind="capacity", summary="410 TPS.", finding="capacity/", revision=2, windows=4),
        ],
        [1, 2],
    )
    await bench.finder.finish("r")
    told = {event.finding: event for event in of_type(bench.sent, FindingMade)}
    assert (told["capacity/"].revision, told[SWEEP].revision) == (3, 1)
    (gone,) = of_type(bench.sent, FindingWithdrawn)
    assert (gone.finding, gone.revision, gone.summary) == ("hot/old", 4, f"{WITHDRAWN}`old` is hot.")
    assert "hot/old" not in bench.view("r")


async def test_of_several_workers_one_tells_and_an_error_ends_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    async def look(_: StoreFinder) -> None:
        looks.append(1)
        raise (ValueError("singular matrix"), StoreError("away", retriable=True), StoreError("refused"))[len(looks) % 3]

    monkeypatch.setattr(StoreFinder, "look", look)
    bench.finder.poll_s = 0.0
    mine, bench.places = bench.places, set()
    work = asyncio.create_task(bench.finder.work())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not looks, "the topic of runs is somebody else's"
    bench.places = mine
    while len(looks) < 4:
        await asyncio.sleep(0)
    assert not work.done()
    work.cancel()


async def test_at_the_end_a_store_that_is_away_is_waited_for_and_nothing_else_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Synthetic(run="r", stages=SHORT[:2]).write(bench.store)
    troubles = [StoreError("away", retriable=True), StoreError("away", retriable=True)]
    tell = bench.finder.desk.tell

    async def troubled(events: Sequence[EventData]) -> None:
        if troubles:
            raise troubles.pop(0)
        await tell(events)

    monkeypatch.setattr(bench.finder.desk, "tell", troubled)
    monkeypatch.setattr(finder, "AGAIN_S", 0.0)
    await bench.finder.finish("r")
    assert of_type(bench.sent, FindingsSettled)
    troubles.append(StoreError("refused"))
    Synthetic(run="r", stages=SHORT[:3]).write(bench.store)
    await bench.finder.finish("r")
    assert len(of_type(bench.sent, FindingsSettled)) == 1


async def test_a_look_that_fails_is_not_taken_again_at_once_and_costs_no_other_run_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("a", "b"):
        Synthetic(run=run, stages=SHORT[:2], reason=None).write(bench.store)
    looks: list[str] = []

    async def failing(run_id: str, stored: Stored, *, before: Collection[str]) -> Look:
        looks.append(run_id)
        bench.at_s += 2.0
        raise RuntimeError("the process that looks ended with code -9")

    monkeypatch.setattr(bench.finder.looks, "look_at", failing)
    await bench.look()
    assert sorted(looks) == ["a", "b"]
    await bench.look()
    bench.at_s += REST * 2.0 - 3.0
    await bench.look()
    assert len(looks) == 2, "a twentieth of the time, also when nothing comes of it"
    bench.at_s += 3.0
    await bench.look()
    assert sorted(looks) == ["a", "a", "b", "b"]


async def test_a_worker_that_is_to_end_waits_for_its_last_look_for_a_while_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Synthetic(run="r", stages=SHORT[:2]).write(bench.store)

    async def endless(_: str) -> Sequence[EventData]:
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(bench.finder.looks, "check", endless)
    monkeypatch.setattr(finder, "FINISH_S", 0.01)
    await bench.finder.finish("r")
    assert not of_type(bench.sent, FindingsSettled)


async def test_only_the_newest_runs_are_looked_after(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(NEWEST + 1):
        started = RunStarted(
            run_id=f"r{number}", service="s", target="t", started_at_us=number, window_us=WINDOW_US, partitions=1,
            engine="wire", plan={},
        )  # fmt: skip
        bench.store.write_events([started], [number])
    seen: list[str] = []

    async def note(_: StoreFinder, run_id: str) -> None:
        seen.append(run_id)

    monkeypatch.setattr(StoreFinder, "_look_at", note)
    await bench.look()
    assert set(seen) == {f"r{number}" for number in range(1, NEWEST + 1)}


async def test_what_could_not_be_stored_is_sent_once_and_stored_later() -> None:
    store, sent = MemoryStore(), []
    store.failures = [StoreError("away", retriable=True)]

    async def send(*message: Any) -> None:
        sent.append(message)

    async def ask(question: Callable[..., Any], *arguments: Any) -> Any:
        return question(*arguments)

    desk = WorkerDesk(TOPICS, send, store, ask, set, again_s=0.0)
    event = FindingMade(run_id="r", kind="hot", summary="x")
    await desk.tell([event])
    assert len(sent) == 1
    assert store.read_events("r") == [event]
