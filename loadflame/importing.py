"""Another tool's result file becomes a run on this machine: broker, worker, publishing, drained, checked.

find the form -> broker -> topics -> worker -> outcomes published -> worker drained -> checks -> report
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from loadflame.commands.common import run_until_stopped
from loadflame.parts import START_S, Parts, parts_here
from loadflame.preflight import check_surroundings, refuse_second_load
from loadflame.runs import RunOutcome
from loadflame.session import judge_and_print
from loadflame.settings import Settings
from loadflame.starting import STOP_S, new_run_id
from loadflame.stopping import StoppedError
from producers.imports import Format, Imported, ImportFileError, Tally, find_format, open_lines, publish_outcomes
from producers.publisher import KafkaPublisher, say_last_words
from schemas.events import RunEnded, RunStarted
from views.report import Report

SOURCE = "loadflame/import"
CLOCK_SLACK_US = 5_000_000
"""How far ahead of ours the clock of the tool's host may be."""


@dataclass(frozen=True, slots=True)
class ImportFile:
    """What is to be imported, and as what."""

    path: Path
    form: Format
    service: str
    run_id: str


def import_and_report(
    path: Path, tool: str | None, settings: Settings, console: Console, *, service: str, run: str | None, as_json: bool
) -> Report:
    """Import a file, say on `console` what became of its lines, print the report, and return it.

    Raises ImportFileError when nothing in the file is understood, and UserError when a part cannot start or fails.
    """
    file = ImportFile(path, find_format(path, tool), service, run or new_run_id())
    if run is not None:
        refuse_second_load(settings, run)
    console.print(
        f"[bold]run {file.run_id}[/]: {escape(service)} from {file.form.tool}'s {escape(path.name)}", highlight=False
    )
    tally = Tally(until_us=int(time.time() * 1e6) + CLOCK_SLACK_US)

    def on_phase(text: str) -> None:
        console.print(f"· {text}", highlight=False, markup=False)

    outcome = run_until_stopped(lambda stop: _import_here(file, settings, tally, stop, on_phase))
    console.print(f"· {lines_read(tally)}", highlight=False, markup=False)
    for unknown in tally.examples:
        console.print(f"  line {unknown.number}: {escape(unknown.why)}", highlight=False)
    return judge_and_print(outcome, settings, console, as_json=as_json)


def lines_read(tally: Tally) -> str:
    """What became of a file's lines, in one line."""
    unknown = f"{tally.unknown:,} not understood{', the first of them:' if tally.examples else ''}"
    dropped = f" ({tally.dropped:,} arrivals that were dropped)" if tally.dropped else ""
    return (
        f"{tally.lines:,} lines read: {tally.requests:,} requests, {tally.others:,} of other things{dropped}, {unknown}"
    )


async def _import_here(
    file: ImportFile, settings: Settings, tally: Tally, stop: asyncio.Event, on_phase: Callable[[str], None]
) -> RunOutcome:
    await check_surroundings(settings)
    on_phase("starting the broker and the stream processor")
    async with parts_here(settings, settings.data_dir / "runs" / file.run_id) as parts:
        worker = await parts.worker(file.run_id)
        await worker.ready(START_S)
        on_phase("reading and publishing")
        await _publish(file, parts, tally, stop, on_phase)
        on_phase("storing and joining")
        # However much it is: the worker itself gives up when nothing moves.
        checks = await parts.drained(worker, file.run_id, timeout_s=None)
    return RunOutcome(file.run_id, int(time.time() * 1e6), checks)


async def _publish(
    file: ImportFile, parts: Parts, tally: Tally, stop: asyncio.Event, on_phase: Callable[[str], None]
) -> None:
    topics = parts.settings.topics
    async with (
        KafkaPublisher(parts.broker, topics, file.run_id, source=SOURCE, security=parts.security) as publisher,
        KafkaPublisher(parts.broker, topics, file.run_id, source=SOURCE, security=parts.security) as announcer,
    ):
        with open_lines(file.path) as lines:
            imported = await publish_outcomes(
                file.form.outcomes(lines, tally),
                publisher=publisher,
                run_id=file.run_id,
                engine=file.form.tool,
                window_us=parts.settings.window_us,
                stop=stop,
                on_progress=_each_million(on_phase),
            )
        if imported is None and stop.is_set():
            raise StoppedError("aborted before anything was read")
        if imported is None:
            raise ImportFileError(_nothing(file, tally))
        announcer.announce(_started(file, parts.settings, tally, imported))
        note = f"latency is {file.form.tool}'s own, from when it sent; {tally.unknown} lines were not understood"
        await say_last_words(publisher, file.run_id, "load", totals=imported.totals, timeout_s=STOP_S, note=note)
        reason: Literal["aborted", "finished"] = "aborted" if stop.is_set() else "finished"
        announcer.announce(
            RunEnded(
                run_id=file.run_id,
                ended_at_us=imported.ended_at_us,
                reason=reason,
                producers=1,
                note=note,
                judged=True,
            )
        )
        await announcer.close(STOP_S)


def _started(file: ImportFile, settings: Settings, tally: Tally, imported: Imported) -> RunStarted:
    """Opens the run: announced when all is read, for a file need not begin with its first request."""
    return RunStarted(
        run_id=file.run_id,
        service=file.service,
        target=f"{file.form.tool} file {file.path.name}",
        started_at_us=imported.started_at_us,
        window_us=settings.window_us,
        partitions=settings.partitions,
        engine=file.form.tool,
        plan={
            "imported": {
                "tool": file.form.tool,
                "file": file.path.name,
                "lines": tally.lines,
                "unknown_lines": tally.unknown,
            }
        },
    )


def _each_million(on_phase: Callable[[str], None]) -> Callable[[int], None]:
    told = 0

    def on_progress(requests: int) -> None:
        nonlocal told
        if requests // 1_000_000 > told:
            told = requests // 1_000_000
            on_phase(f"{requests:,} requests published")

    return on_progress


def _nothing(file: ImportFile, tally: Tally) -> str:
    tool = file.form.tool
    if tally.examples:
        first = tally.examples[0]
        return (
            f"no line of {file.path} is a request as {tool} writes it (line {first.number}: {first.why}); "
            "name the tool that wrote it with --from"
        )
    return f"{file.path} tells of no request ({tally.lines} lines of other things); give a file of a run that sent some"
