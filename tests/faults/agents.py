"""The side that profiles: an agent that dies, a service that ends or comes again. Outcomes are kept all the same."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.events import WindowJoined
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.loads import LoadedLane, environment_in, loaded_lane
from tests.faults.site import Site
from tests.support.roles import RoleProcess
from tests.support.targets import BURN, target
from tests.support.traffic import joined_events

_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
BEFORE_S, AFTER_S = 5.0, 6.0
LOAD_S = 20


@asynccontextmanager
async def _watched(site: Site, pid: int) -> AsyncIterator[tuple[LoadedLane, RoleProcess]]:
    """A load, a worker, and an agent that watches a process."""
    async with loaded_lane(site, LOAD_S) as loaded, agent_at(loaded.lane, pid) as agent:
        await loaded.begin()
        await asyncio.sleep(BEFORE_S)
        yield loaded, agent


@asynccontextmanager
async def agent_at(lane: Lane, pid: int) -> AsyncIterator[RoleProcess]:
    """An agent of the lane's run that watches a process, and is ready."""
    arguments = ["profile", "--run", lane.run_id, "--pid", str(pid)]
    agent = RoleProcess(arguments, environment_in(lane), lane.folder / "agent.log")
    try:
        await asyncio.to_thread(agent.__enter__)
        yield agent
    finally:
        agent.__exit__(None, None, None)


async def _agent_killed(site: Site, _: Fault, times: int) -> Outcome:
    with target(BURN) as process:
        async with _watched(site, process.pid) as (loaded, agent):
            agent.kill()
            killed_at = time.time()
            await asyncio.sleep(AFTER_S)
            return await _no_profile_since(killed_at, loaded, times, unknown={"I1"})


async def _target_exits(site: Site, _: Fault, times: int) -> Outcome:
    with target(BURN) as process:
        async with _watched(site, process.pid) as (loaded, agent):
            process.kill()
            process.wait()
            ended_at = time.time()
            await asyncio.to_thread(agent.end)
            return await _no_profile_since(ended_at, loaded, times)


async def _same_pid(site: Site, _: Fault, times: int) -> Outcome:
    """Another process gets the PID of the one that ended, at once: it is not the one that was to be watched."""
    with target(BURN) as process:
        async with _watched(site, process.pid) as (loaded, agent):
            process.kill()
            process.wait()
            ended_at = time.time()
            again = await asyncio.to_thread(_started_as, process.pid)
            try:
                await asyncio.to_thread(agent.end)
                return await _no_profile_since(ended_at, loaded, times)
            finally:
                again.kill()
                again.wait()


def _started_as(pid: int) -> subprocess.Popen[bytes]:
    """A process with that PID. Needs the right to say which PID comes next."""
    for _ in range(200):
        _LAST_PID.write_text(str(pid - 1))
        process = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.DEVNULL)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise OSError(f"no process could be started as {pid}")


async def _no_profile_since(moment_s: float, loaded: LoadedLane, times: int, unknown: Collection[str] = ()) -> Outcome:
    """Every outcome is stored; the windows after that moment say that there is no profile, and none says zero."""
    return await loaded.outcome(
        times, [], on_schedule=False, unknown=unknown, closing=lambda lane: _say_no_profile(lane, moment_s)
    )


async def _say_no_profile(lane: Lane, moment_s: float) -> None:
    joined = (await lane.see()).joined
    announced = await joined_events(lane.broker, lane.topics, lane.run_id)
    after = [window for window in joined if window * 1_000_000 > (moment_s + 1.5) * 1e6]
    before = [window for window in joined if (window + 1) * 1_000_000 < moment_s * 1e6 and joined[window].instances]
    lane.expect(len(after) > 3, f"only {len(after)} windows came after it")
    lane.expect(len(before) > 2, f"only {len(before)} windows before it have a profile")
    filled = [window for window in after if joined[window].instances or not _says_none(announced[window])]
    lane.expect(not filled, f"{len(filled)} windows without a profile do not say so")


def _says_none(event: WindowJoined) -> bool:
    return (event.cpu_us, event.profile_coverage, event.functions) == (None, None, [])


FAULTS = (
    Fault("agent killed", _agent_killed, 2, 0),
    Fault("service ends", _target_exits, 2, 0),
    *([Fault("service ends, another process gets its PID", _same_pid, 2, 0)] if os.access(_LAST_PID, os.W_OK) else []),
)
