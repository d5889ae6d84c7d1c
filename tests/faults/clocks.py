"""A host whose clock is wrong, and a load on it that goes by Kafka's: nobody downstream can tell."""

import asyncio
from functools import partial

from schemas.events import ProducerEnded
from tests.faults.agents import agent_at
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.loads import loaded_lane
from tests.faults.site import Site
from tests.support.preludes import clock_off_by
from tests.support.target import Target
from tests.support.targets import SLEEP, target

LOAD_S, WATCHED_S = 10, 6.0
NEAR_S = 0.5
"""How near a request's times must be to those of the target, whose clock is Kafka's."""
RESIDUAL_US = 50_000


async def _corrected(off_s: float, site: Site, _: Fault, times: int) -> Outcome:
    """An agent whose clock is right watches beside it: both sides of a window must meet."""
    with target(SLEEP) as process:
        async with loaded_lane(site, LOAD_S, prelude=clock_off_by(off_s)) as loaded:
            lane, said = loaded.lane, [""]
            async with agent_at(lane, process.pid) as agent:
                await loaded.begin()
                await asyncio.sleep(WATCHED_S)
                process.kill()
                process.wait()
                await asyncio.to_thread(agent.end)

            async def at_kafkas_time(_: Lane) -> None:
                await _in_their_windows(lane)
                said[0] = f"{await _corrections(lane, off_s)}, {await _farthest(lane, loaded.target)}"

            outcome = await loaded.outcome(times, [], on_schedule=False, closing=at_kafkas_time)
            outcome.note = said[0]
            return outcome


async def _corrections(lane: Lane, off_s: float) -> str:
    """Both producers have said how far off their clocks were, and are."""
    ended = {event.role: event for event in await lane.events() if isinstance(event, ProducerEnded)}
    load, agent = ended["load"], ended["profiler"]
    off_us = load.clock_correction_us + round(off_s * 1e6)
    lane.expect(abs(off_us) < RESIDUAL_US, f"the load corrected by {load.clock_correction_us} us")
    lane.expect(agent.clock_correction_us == 0, f"the agent corrected by {agent.clock_correction_us} us")
    for role, event in ended.items():
        left_us = event.clock_residual_us
        lane.expect(left_us is not None and abs(left_us) < RESIDUAL_US, f"the {role} has {left_us} us left")
    return (
        f"corrected by {load.clock_correction_us / 1e6:.3f} s, "
        f"left {(load.clock_residual_us or 0) / 1000:.1f} +- {(load.clock_error_us or 0) / 1000:.1f} ms"
    )


async def _farthest(lane: Lane, target: Target) -> str:
    """The target saw each request after it was sent and before it was over: so it is of the first, the second, ..."""
    sql = (
        "SELECT (toUnixTimestamp64Micro(scheduled_at) + dispatch_lag_us) / 1e6, "
        "(toUnixTimestamp64Micro(scheduled_at) + latency_us) / 1e6 FROM requests WHERE run = {run:String}"
    )
    sent_s, over_s = (sorted(map(float, column)) for column in zip(*await lane.rows(sql), strict=True))
    came = zip(sent_s, sorted(target.came_s), over_s, strict=True)
    farthest_s = max(max(sent - seen, seen - over) for sent, seen, over in came)
    lane.expect(farthest_s < NEAR_S, f"the target saw a request {farthest_s:.3f} s before it was sent or after its end")
    return f"no request more than {max(0, farthest_s) * 1000:.0f} ms from where the target saw it"


async def _in_their_windows(lane: Lane) -> None:
    """Nothing is late, dead-lettered, in another window than it belongs to, or there without its other side."""
    ((astray,),) = await lane.rows(
        "SELECT countIf(intDiv(toUnixTimestamp64Micro(scheduled_at) + latency_us, 1000000) != window) "
        "FROM requests WHERE run = {run:String}"
    )
    lane.expect(not astray, f"{astray} requests lie in another window than that in which they were completed")
    ((letters,),) = await lane.rows("SELECT count() FROM dead_letters WHERE run = {run:String}")
    lane.expect(not letters, f"{letters} dead letters")
    joined = (await lane.see()).joined
    late = [window for window, one in joined.items() if one.closed_by == "late"]
    lane.expect(not late, f"{len(late)} windows were late")
    both = [window for window, one in joined.items() if one.sent and one.instances]
    lane.expect(len(both) >= WATCHED_S - 3, f"load and agent meet in {len(both)} windows")


FAULTS = tuple(
    Fault(f"clock {name}, corrected by Kafka's", partial(_corrected, off_s), 2, 0)
    for name, off_s in (
        ("5 s ahead", 5.0),
        ("5 s behind", -5.0),
        ("1 h ahead", 3600.0),
        ("1 h behind", -3600.0),
    )
)
