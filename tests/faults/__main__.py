"""The campaign's runner: `python -m tests.faults`. It can be ended at any time, and goes on where it was."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from loadflame import topics
from tests.faults import agents, broker, clocks, duplicates, groups, inputs, kills, simulated, spools, store
from tests.faults.fault import Fault, Outcome
from tests.faults.results import ROOT, Results, Row, table_of
from tests.faults.site import Site
from tests.support.forked import only_roles
from tests.support.kafka_server import KafkaMissingError
from tests.support.roles import RoleProcess

FAULTS: tuple[Fault, ...] = tuple(
    fault
    for family in (kills, simulated, groups, duplicates, spools, inputs, clocks, agents, broker, store)
    for fault in family.FAULTS
)
SIDE_BY_SIDE = 4
RUN_S = 600.0
_out = Console(stderr=True, highlight=False)


def main() -> int:
    """1 when anything was lost or repeated, or a condition did not hold, 130 when Ctrl-C ended it.

    Where no Kafka is to be had the short form is left out, as the tests are that need one; but not in CI.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", action="append", help="faults whose name holds this text")
    parser.add_argument("--times", type=int, metavar="N", help="so many of each, instead of what the fault says")
    parser.add_argument("--short", action="store_true", help="a few of each, in minutes; nothing is resumed")
    parser.add_argument("--fresh", action="store_true", help="forget the results that are there")
    options = parser.parse_args()
    wanted = [fault for fault in FAULTS if any(text in fault.name for text in options.only or [""])]
    if options.short:
        wanted = [replace(fault, times=fault.short_times) for fault in wanted if fault.short_times]
    if options.times:
        wanted = [replace(fault, times=options.times) for fault in wanted]
    if not wanted:
        parser.error(f"no fault is called {options.only!r}; there are: {', '.join(fault.name for fault in FAULTS)}")
    name = "faults-short.jsonl" if options.short else "faults.jsonl"
    results = Results(ROOT / ".cache" / name)
    if options.fresh or options.short:
        results.forget(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs in the background hears of no Ctrl-C
    only_roles()
    topics.CONNECT_S = topics.ANSWER_S = 60.0  # lanes make theirs side by side
    RoleProcess.is_forked = options.short  # else what a recovery takes is what it takes an operator
    folder = Path(tempfile.mkdtemp(prefix="loadflame-faults-"))
    try:
        asyncio.run(campaign(wanted, results, folder))
    except KafkaMissingError as error:
        shutil.rmtree(folder)
        _out.print(f"no fault was brought about: {error}")
        return int(not options.short or os.environ.get("CI") == "true")
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        _out.print("ended early; what was found is kept")
        return 130
    rows = [Row(fault, found) for fault in wanted if (found := results.of(fault))]
    bad = _told(rows, is_short=options.short)
    if bad or len(rows) < len(wanted):
        _out.print(f"what happened is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _told(rows: Sequence[Row], *, is_short: bool) -> list[Row]:
    """The tables, and behind them the rows that are not well, which are given back."""
    for table in table_of(rows):
        Console(width=None if sys.stdout.isatty() else 150).print(table)
    if is_short:
        _out.print("Here workers are forked: their recoveries lack the second or two that starting Python takes.")
    bad = [row for row in rows if not row.outcome.ok]
    for row in bad:
        _out.print(f"{row.fault.name}: {row.outcome}", style="red", markup=False)
    return bad


async def campaign(wanted: Sequence[Fault], results: Results, folder: Path) -> None:
    """Run what is missing: those that touch only their own workers side by side, then the others one by one."""
    runs = [(fault, count) for fault in wanted for count in _missing(fault, results)]
    if not runs:
        return
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    async with Site(folder / "site") as site:

        async def beside(fault: Fault, count: int) -> None:
            async with room:
                results.add(fault, await _outcome(site, fault, count))

        await asyncio.gather(*(beside(fault, count) for fault, count in runs if not fault.alone))
        for fault, count in runs:
            if fault.alone:
                results.add(fault, await _outcome(site, fault, count))


def _missing(fault: Fault, results: Results) -> list[int]:
    """Sizes of the runs that are still to be made."""
    done = results.of(fault)
    left = fault.times - (done.times if done else 0)
    return [min(fault.at_once, left - begun) for begun in range(0, max(left, 0), fault.at_once)]


async def _outcome(site: Site, fault: Fault, count: int) -> Outcome:
    """Bring a fault about. Whatever is raised meanwhile is a condition that did not hold."""
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(RUN_S):
            outcome = await fault.run(site, fault, count)
    except Exception as error:  # noqa: BLE001  any: the campaign goes on, and ends with 1
        traceback.print_exc()
        outcome = Outcome(count, broken=[f"{type(error).__name__}: {str(error)[:500]}"])
    said = f"{fault.name} x {count}: {'ok' if outcome.ok else outcome} ({time.monotonic() - started_s:.0f} s)"
    _out.print(said, style="" if outcome.ok else "red", markup=False)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
