"""One instance under watch, with a sampler that samples nothing: whose counters are they?"""

from types import SimpleNamespace

import pytest

from producers.profiler.sampler import Samples
from producers.profiler.targets import Instance, instances_of, target_of
from producers.profiler.watched import WatchedInstance
from tests.support.polling import wait_until
from tests.support.targets import BURN, SLEEP, target


class NoSampler(SimpleNamespace):
    backend, timing = "austin", "exact"

    def __getattr__(self, _: str):
        return lambda *_: 0

    def take(self, *_: int) -> Samples:
        return Samples(0)


def watched(instance: Instance) -> WatchedInstance:
    return WatchedInstance(instance, SimpleNamespace(sampler=lambda *_, **__: NoSampler()), 100, lambda: 0)


@pytest.mark.parametrize("program", [BURN, SLEEP])
def test_another_process_with_the_same_pid_is_not_the_one_that_is_watched(program: str) -> None:
    with target(program) as process:
        (instance,) = instances_of(target_of(pid=process.pid))
        one = watched(instance)
        one.boundary(1)
        assert not one.gone
        assert one.window("shop", 0, 1).facts.threads
        one.instance = Instance(process.pid, started_at=1.0)  # as it would be known, had that one been before it
        one.boundary(2)
        facts = one.window("shop", 1, 2).facts
    assert one.gone
    assert (facts.cpu_us, facts.busiest_thread_us) == (0, 0), "what the other one uses is not charged to it"


def test_a_process_that_ended_is_gone_and_its_last_cpu_time_is_kept() -> None:
    with target(BURN) as process:
        (instance,) = instances_of(target_of(pid=process.pid))
        one = watched(instance)
        process.kill()  # and not waited for: the kernel still knows it
        wait_until(lambda: not instance.runs(), 60, "its end")
        one.boundary(1)
        assert one.gone
        assert not instance.replaced()
