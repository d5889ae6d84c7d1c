"""What samples weigh once the kernel has said how long the process's threads stood in the run queue. Pure.

Sampled time is time on a core and time in the queue for one, together; CPU must be charged by the first alone. Queued
time is taken to be spent, as far as it goes, where threads wait (their samples are the wall clock's and weigh nothing
in CPU anyway), then where a thread has just woken another, then where it has sent; what is still left lies anywhere,
in proportion, and takes from no function more than from another. On a quiet machine there is little of it, and every
sample keeps its weight: a service that spends its CPU on sending large answers is charged for it.

Measured on two busy cores, thread pool at 320/s, queued 2.7 times as long as it ran: found/true of four functions
0.47-0.67 without this.

The other way round, threads that stand where they wait for longer than anything queued spend CPU on going to sleep and
on being woken. It belongs to no function; spread over all, it made functions of a service that is mostly idle look a
tenth dearer (found/true of all together 1.10 at 80/s beside 1.03 at 320/s, in services of one thread, of a pool and of
two processes alike).
"""

from collections import Counter
from collections.abc import Sequence

from producers.profiler.leaves import Leaf
from producers.profiler.traces import SampledStack

_KEPT_OF_SENDS = 0.2
"""Of the time in sends at least this is kept, about what it was where nothing queued. To wake takes next to nothing."""
_OF_WAITS = 0.75
"""Of what waits show beyond the queue so much is charged: some samples are of work that ended as they were taken."""
_IN_ORDER: tuple[tuple[Leaf, float], ...] = (("wake", 0.0), ("send", _KEPT_OF_SENDS))


def charged_us(weights_us: Sequence[int], stacks: Sequence[SampledStack], run_queue_us: int) -> list[int]:
    """Weights of samples in microseconds, less what was queued; of the same length and order, none under 1."""
    times_us: Counter[Leaf] = Counter()
    for us, stack in zip(weights_us, stacks, strict=True):
        times_us[stack.leaf] += us
    kept: dict[Leaf, float] = {}
    queued_us = run_queue_us - times_us["wait"]
    for leaf, least in _IN_ORDER:
        if queued_us > 0 and times_us[leaf]:
            kept[leaf] = max(least, 1 - queued_us / times_us[leaf])
            queued_us -= times_us[leaf]
    return [
        max(1, round(us * kept[stack.leaf])) if stack.leaf in kept else us
        for us, stack in zip(weights_us, stacks, strict=True)
    ]


def waiting_us(weights_us: Sequence[int], stacks: Sequence[SampledStack], run_queue_us: int) -> int:
    """The CPU that waiting took, in microseconds: going to sleep and being woken, which no function is charged for."""
    stood_us = sum(us for us, stack in zip(weights_us, stacks, strict=True) if stack.leaf == "wait")
    return max(0, round(_OF_WAITS * (stood_us - run_queue_us)))
