"""Does a load's memory stay as it is? Resident memory at a steady rate, minute by minute.

    python -m benchmarks.memory [--minutes 10] [--tps 5000] [--engine wire]

The load is the command itself, `loadflame load`, in a process of its own on one core: every outcome recorded and
streamed to the embedded broker. nginx and the broker have the other core. A minute's figure is the median of what was
read each second of it (procfs, all processes of the load together), so that a batch that is just being encoded is not
taken for growth. The first minute is left out: it fills pools, caches and the windows under way.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.generator_services import nginx
from loadflame.broker import LocalBroker
from loadflame.children import Child
from loadflame.settings import read_settings
from loadflame.topics import ensure_topics
from producers.load.plan import Plan

SERVER_CORE, LOAD_CORE = 0, 1
AIM_MIB = 5.0
_READY_S = 30.0


def resident_bytes(pid: int) -> int:
    """Of a process and its children."""
    process = psutil.Process(pid)
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


async def watch(plan: Plan, broker: LocalBroker, folder: Path, minutes: int) -> list[int]:
    """Run the load; gives resident bytes, one a second, from when it was ready."""
    settings = read_settings(broker=broker.bootstrap, data_dir=folder)
    await ensure_topics(broker.bootstrap, settings.topics)
    path = folder / "plan.yaml"
    path.write_text(plan.to_yaml())
    load = await Child.start("load", [str(path), "--run", "memory"], settings.environment(), folder / "load.log")
    os.sched_setaffinity(load.pid, {LOAD_CORE})
    await load.ready(_READY_S)
    seen: list[int] = []
    began_s = time.monotonic()
    while load.running and len(seen) < minutes * 60:
        seen.append(resident_bytes(load.pid))
        await asyncio.sleep(began_s + len(seen) - time.monotonic())
    await load.wait()
    return seen


def by_minute(seen: Sequence[int]) -> list[float]:
    """Median MiB of each whole minute."""
    minutes = np.array(seen[: len(seen) // 60 * 60], dtype=np.float64).reshape(-1, 60)
    medians: list[float] = (np.median(minutes, axis=1) / (1 << 20)).tolist()
    return medians


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--tps", type=float, default=5000)
    parser.add_argument("--engine", choices=("wire", "aiohttp"), default="wire")
    options = parser.parse_args()
    if options.minutes < 2:
        parser.error("growth is from the first minute to the last: give --minutes 2 or more")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target, broker = stack.enter_context(nginx(SERVER_CORE)), stack.enter_context(LocalBroker())
        os.sched_setaffinity(broker.pid, {SERVER_CORE})
        plan = Plan.model_validate(
            {
                "target": target.url.rstrip("/"),
                "service": "nginx",
                # A little longer than it is watched: the last minute, too, is one under load.
                "stages": [{"name": "soak", "soak": options.tps, "for": f"{options.minutes * 60 + 5}s"}],
                "requests": [{"name": "only", "path": "/"}],
                "engine": options.engine,
            }
        )
        minutes = by_minute(asyncio.run(watch(plan, broker, folder, options.minutes)))
    table = Table(title=f"{options.engine} at {options.tps:g} requests/s: resident memory, MiB")
    for number in range(len(minutes)):
        table.add_column(f"minute {number + 1}", justify="right")
    table.add_row(*(f"{mib:.1f}" for mib in minutes))
    Console(width=max(120, Console().width)).print(table)
    grown_mib = minutes[-1] - minutes[0]
    print(f"grown by {grown_mib:.1f} MiB from minute 1 to minute {len(minutes)} (aim: under {AIM_MIB:g} MiB)")
    if grown_mib >= AIM_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
