"""What a fault is, and what came of one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.faults.site import Site


@dataclass(slots=True)
class Outcome:
    """What came of one run with so many faults (`times`) in it. Recoveries are in seconds, one for each, where told."""

    times: int
    lost: int = 0
    """Batches that Kafka acknowledged, and that are not in the store with all their rows, or not in their window."""
    repeated: int = 0
    """Batches that can be seen twice, or with rows more than they brought."""
    recoveries_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Conditions that did not hold, in sentences."""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Nothing lost, nothing repeated, every condition held."""
        return not (self.lost or self.repeated or self.broken)


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table. `run` is given the site and how many of these faults to bring about, in one run.

    `times` are wanted in all, `short_times` in the short form (0: not in it), at most `at_once` in one run. A fault
    that is not `alone` touches nothing but its own workers, and may be run beside others.
    """

    name: str
    run: "Callable[[Site, Fault, int], Awaitable[Outcome]]"
    times: int
    short_times: int = 1
    at_once: int = 1
    alone: bool = True
    kind: Literal["kill", "fault", "simulated"] = "fault"
