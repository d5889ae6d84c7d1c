from dataclasses import replace

import numpy as np
import pytest

from analysis.bounds.bottleneck import Bottleneck, bottleneck
from analysis.bounds.bound_findings import how_it_scales, what_limits
from analysis.bounds.ceiling import Ceiling
from analysis.bounds.scalability import Scalability, scalability
from analysis.evidence.limits import Windows
from tests.support.windows import US, windows_of

LOCK = Ceiling(1.0, "one interpreter lock")
BEHIND = replace(windows_of([180] * 20), scheduled=np.full(20, 200))


def with_cpu(cpu_us: int, busiest_us: int | None = None, **more: np.ndarray) -> Windows:
    busiest = np.full(20, cpu_us if busiest_us is None else busiest_us)
    return replace(BEHIND, cpu_us=np.full(20, cpu_us), busiest_thread_us=busiest, **more)


@pytest.mark.parametrize(
    ("windows", "ceiling", "cause"),
    [
        pytest.param(with_cpu(950_000), LOCK, "cpu", id="the lock is taken all the time"),
        pytest.param(with_cpu(300_000), LOCK, "waiting", id="the CPU has time"),
        pytest.param(with_cpu(1_200_000, 900_000), Ceiling(4.0, "4 locks"), "thread", id="one thread of four does all"),
        pytest.param(
            with_cpu(300_000, host_cpu_us=np.full(20, 7_900_000)), LOCK, "host", id="neighbours take the host's cores"
        ),
        pytest.param(
            with_cpu(950_000, busiest_generator_us=np.full(20, 950_000)), LOCK, "generator", id="the generator is busy"
        ),
        pytest.param(
            with_cpu(300_000, run_queue_us=np.full(20, US), own_cpu_us=np.full(20, US)), LOCK, "own", id="we take them"
        ),
    ],
)
def test_what_limits(windows: Windows, ceiling: Ceiling, cause: str) -> None:
    found = bottleneck(windows, ceiling, 8)
    assert found is not None
    assert found.cause == cause
    assert (found.tps, found.achieved_tps) == (200, 180)


def test_without_a_profile_it_is_not_told_what_limits() -> None:
    nothing = np.zeros(20, np.int64)
    assert bottleneck(replace(BEHIND, instances=nothing, cpu_us=nothing), LOCK, 8) is None
    assert bottleneck(BEHIND.at(np.zeros(20, bool)), LOCK, 8) is None


def test_the_sentence_of_a_service_that_waits() -> None:
    found = Bottleneck("waiting", "waiting (for a lock, a pool, or a service behind it), not the CPU", 200, 180, 0.3, 1)
    assert what_limits("shop", found).summary == (
        "What limits shop where 180 of 200 TPS got through, with 0.30 of 1.0 cores in use: waiting (for a lock, a "
        "pool, or a service behind it), not the CPU; more cores would not help: look at wall-clock stacks for what it "
        "waits for."
    )


def test_our_own_limit_is_no_fault_of_the_service() -> None:
    found = Bottleneck("generator", "the load generator, which could not keep its schedule", 240, 200, 0.3, 1)
    assert what_limits("shop", found).summary == (
        "At 240 TPS shop was not the limit but the load generator, which could not keep its schedule; use more load "
        "processes, or another machine."
    )


# Users who wait for their answers

USERS = (1, 2, 4, 8, 16, 32, 48, 64)
CONTENTION, COHERENCE = 0.03, 0.0012


def law(users: float) -> float:
    return users * 100 / (1 + CONTENTION * (users - 1) + COHERENCE * users * (users - 1))


def test_the_law_is_found_with_its_peak() -> None:
    random = np.random.default_rng(2)
    peak = ((1 - CONTENTION) / COHERENCE) ** 0.5
    held = 0
    for _ in range(20):
        found = scalability([(users, law(users) * random.normal(1, 0.02)) for users in USERS])
        assert isinstance(found, Scalability)
        assert found.peak_users == pytest.approx(peak, rel=0.15)
        assert found.contention == pytest.approx(CONTENTION, abs=0.02)
        held += found.peak_tps_low <= law(peak) <= found.peak_tps_high
    assert held >= 17
    assert how_it_scales("shop", found).summary.startswith("shop gives most, ")


@pytest.mark.parametrize(
    ("users", "lacks"),
    [
        ((), "0 numbers of users, and the scalability law needs 6"),
        ((1, 2, 4, 8, 16), "5 numbers of users, and the scalability law needs 6"),
        ((1, 2, 3, 4, 5, 6), "0 numbers of users past the peak, and the scalability law needs 2"),
        ((1, 2, 4, 8, 28, 40), "1 numbers of users past the peak, and the scalability law needs 2"),
    ],
)
def test_without_users_past_the_peak_nothing_is_claimed(users: tuple[int, ...], lacks: str) -> None:
    assert scalability([(one, law(one)) for one in users]) == lacks
