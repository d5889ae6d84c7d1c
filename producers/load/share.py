"""The share of a plan that a load process had, from outside: for when it can no longer say so itself. Pure."""

from bisect import bisect_right

import numpy as np

from producers.load.pacer import Pacer
from producers.load.plan import Plan
from producers.load.segments import segments_of
from producers.load.shards import WHOLE, Shard
from schemas.events import LoadTotals
from schemas.rows import RequestFacts


def arrivals_of(plan: Plan, shard: Shard = WHOLE, until_s: float | None = None) -> int:
    """How many arrivals a shard has that are due in the first `until_s` seconds of a plan; None: in all of it.

    Without those of users: whether a user comes again hangs on its answers.
    """
    pacer = Pacer(segments_of(plan), plan.seed if plan.arrivals == "poisson" else None)
    due = pacer.total
    if until_s is not None:
        due = bisect_right(range(due), until_s * 1e6, key=lambda number: int(pacer.due_us(np.array([number]))[0]))
    return max(0, -(-(due - shard.index) // shard.count))


def totals_of(facts: RequestFacts, *, rows: int, failed: int, planned: int) -> LoadTotals:
    """What a process that died did in a run, of which its batches say `facts` (their sums), rows and failed ones.

    What was under way in its last window nobody can tell: it is in flight at the end. What was planned besides was
    never heard of: it counts as dropped.
    """
    in_flight = max(0, facts.scheduled - facts.dropped - rows)
    scheduled = max(planned, facts.dropped + rows + in_flight)
    return LoadTotals(
        scheduled=scheduled,
        sent=facts.sent,
        completed=rows - failed,
        failed=failed,
        dropped=scheduled - rows - in_flight,
        in_flight_at_end=in_flight,
    )
