"""Crash points that are played, thousands of them: the state machine of the unit tests, whose workers die in memory."""

import asyncio

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.fault import Fault, Outcome
from tests.faults.site import Site
from tests.unit.test_delivery import Delivery

STORIES = 50


async def _played(_: Site, __: Fault, times: int) -> Outcome:
    before = Delivery.crashes.total()
    stories = 0
    while Delivery.crashes.total() - before < times:
        await asyncio.to_thread(_stories)
        stories += STORIES
    return Outcome(Delivery.crashes.total() - before, note=f"in {stories} stories of up to 60 steps")


def _stories() -> None:
    """Raises AssertionError with the shortest story in which something is lost or repeated."""
    run_state_machine_as_test(
        Delivery,
        settings=settings(
            max_examples=STORIES, stateful_step_count=60, database=None, deadline=None, derandomize=False
        ),
    )


FAULTS = (Fault("worker dies at any step", _played, 5_000, 0, 1_000, alone=False, kind="simulated"),)
