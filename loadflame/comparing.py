"""Two commands under one plan, started in turns: what `loadflame compare` does from its first to its last word."""

import asyncio
import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.markup import escape

from analysis import wording
from loadflame.commands.common import run_until_stopped
from loadflame.early_end import EarlyEnd
from loadflame.live import display_on
from loadflame.runs import RunOutcome, run_here
from loadflame.session import Profiled, judge, preflight
from loadflame.settings import Settings, SettingsError
from loadflame.starting import cores_here, new_run_id
from loadflame.stopping import StoppedError
from producers.load.plan import Plan
from producers.load.segments import segments_of
from producers.load.settled import settled
from producers.load.workers import Workers, workers_for
from producers.profiler.backends import choose_backend
from schemas.errors import UserError
from sinks.clickhouse import open_for_reading
from views.difference.build import Difference, build_difference
from views.model import Report

Side = Literal["base", "new"]
_STYLE = {"base": "cyan", "new": "magenta"}


@dataclass(slots=True)
class Sequel:
    """The runs as they come: ids of each side, and why they ended early, if they did."""

    base: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    stopped: bool = False
    failure: UserError | None = None

    def keep(self, side: Side, run_id: str) -> None:
        """Note a run that is stored."""
        (self.base if side == "base" else self.new).append(run_id)


def turns(restarts: int) -> tuple[Side, ...]:
    """The order of the runs: ABBA, again and again, in which a linear drift falls on both sides alike.

    With an odd number of restarts half a turn is left, AB; the drift of one run in so many is then on one side.
    """
    return tuple("new" if place % 4 in (1, 2) else "base" for place in range(2 * restarts))


def command_of(text: str, flag: str) -> Profiled:
    """What to start for a side. It is split as a shell would, but no shell runs it. Raises SettingsError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{flag} {text!r} is no command: {error}; mind its quotes") from None
    if not words:
        raise SettingsError(f"{flag} is empty; give it the command that starts the service")
    profiled = Profiled.of(pid=None, name=None, command=words)
    assert profiled is not None
    return profiled


def compare_and_report(
    plan: Plan,
    settings: Settings,
    commands: tuple[str, str],
    backend: str,
    console: Console,
    *,
    restarts: int,
    workers: int | None = None,
) -> tuple[Sequel, Difference]:
    """Run a plan on both commands in turns, and compare what was measured, also when it was broken off.

    Raises the UserError that ended it, or StoppedError, where there is nothing to compare.
    """
    profiled_of: dict[Side, Profiled] = {"base": command_of(commands[0], "--a"), "new": command_of(commands[1], "--b")}
    choose_backend(backend)
    about = settled(plan, time.time_ns() // 1000)
    needed = Workers(workers, "as --workers says") if workers else workers_for(about, cores_here())
    order, sequel = turns(restarts), Sequel()
    console.print(_announced(about, order), highlight=False)

    async def one(side: Side, run_id: str, stop: asyncio.Event) -> RunOutcome:
        profiled = profiled_of[side]
        await preflight(about, settings, profiled, stop, loads=needed.count)
        with display_on(console, duration_s=_seconds(about)) as display:
            return await run_here(
                plan,
                settings,
                profile=("--service", plan.service, "--backend", backend, *profiled.arguments),
                run_id=run_id,
                stop=stop,
                on_phase=display.phase,
                on_window=display.window,
                workers=needed.count,
                early_end=EarlyEnd.of(about),
            )

    async def all_of_them(stop: asyncio.Event) -> None:
        began_s = time.monotonic()
        for place, side in enumerate(order):
            run_id = new_run_id()
            console.print(_before(place, order, side, run_id, time.monotonic() - began_s), highlight=False)
            try:
                outcome = await one(side, run_id, stop)
            except StoppedError:
                sequel.stopped = True
                return
            sequel.keep(side, run_id)
            report = await asyncio.to_thread(judge, outcome, settings, console)
            console.print(_after(report), highlight=False)
            sequel.failure, sequel.stopped = outcome.failure, stop.is_set()
            if sequel.failure or sequel.stopped:
                return

    try:
        run_until_stopped(all_of_them)
    except UserError as error:
        sequel.failure = error
    return sequel, _compared(sequel, settings, console)


def _compared(sequel: Sequel, settings: Settings, console: Console) -> Difference:
    if not sequel.base or not sequel.new:
        if sequel.failure:
            raise sequel.failure
        raise StoppedError("ended by Ctrl-C before both sides had been measured; `loadflame runs` lists what was")
    if sequel.stopped or sequel.failure:
        console.print(f"broken off: {len(sequel.base)} and {len(sequel.new)} runs are compared", style="yellow")
    with contextlib.closing(open_for_reading(settings.store_url)) as client:
        return build_difference(client, sequel.base, sequel.new)


def again(sequel: Sequel) -> str:
    """The command that shows the comparison again."""
    return f"loadflame diff --base {','.join(sequel.base)} --new {','.join(sequel.new)}"


def _seconds(plan: Plan) -> float:
    return max(segment.offset_s + segment.duration_s for segment in segments_of(plan))


def _announced(plan: Plan, order: Sequence[Side]) -> str:
    letters = "".join("A" if side == "base" else "B" for side in order)
    each = f"{_seconds(plan):.0f} s of load each"
    return f"[bold]{len(order)} runs[/] of {escape(plan.service)} in turns, {letters}: {each}"


def _before(place: int, order: Sequence[Side], side: Side, run_id: str, spent_s: float) -> str:
    left = ""
    if place:
        minutes = spent_s / place * (len(order) - place) / 60
        left = f", about {wording.count(max(1, round(minutes)), 'minute')} left"
    letter = "A" if side == "base" else "B"
    return f"[bold]run {place + 1} of {len(order)}[/], [{_STYLE[side]}]{letter} ({side})[/]: {run_id}[dim]{left}[/]"


def _after(report: Report) -> str:
    cost = report.profile.service_cpu_cores
    rows = [row for row in report.load if row.role == "measure" and row.p50_ms is not None]
    p50 = f", p50 {rows[-1].p50_ms:.1f} ms" if rows else ""
    return f"  [dim]{report.run.verdict}: {cost:.2f} cores, {report.accounting.completed:,} answers{p50}[/]"
