"""What every sampler promises, checked on austin and on py-spy with real targets."""

import time
from collections.abc import Callable

import pytest

from producers.profiler.backends import choose_backend
from producers.profiler.errors import SamplerError
from producers.profiler.sampler import Sampler, Samples
from schemas.stacks import split_frame, unfold
from tests.support.targets import BURN, SLEEP, target

WINDOW_US = 1_000_000


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture(params=["austin", "py-spy"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Poll a condition with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def one_window(sampler: Sampler) -> Samples:
    """Watch for a window, as an agent does."""
    sampler.start()
    until(sampler.watching)
    start_us = now_us()
    sampler.boundary(start_us)
    sampler.take(0, start_us)
    until(lambda: now_us() >= start_us + WINDOW_US)
    end_us = now_us()
    sampler.boundary(end_us)
    until(lambda: now_us() >= end_us + 80_000)
    try:
        return sampler.take(start_us, end_us)
    finally:
        sampler.close()


def test_a_busy_function_has_nearly_all_samples_and_they_stand_for_nearly_all_of_the_time(backend: str) -> None:
    with target(BURN) as process:
        samples = one_window(choose_backend(backend).sampler(process.pid, now_us))
    leaves = [split_frame(unfold(stack)[-1])[0] for stack in samples.stack if stack]
    assert leaves.count("burn") > 0.9 * len(leaves)
    assert set(samples.mode) == {"cpu"}
    assert sum(samples.weight_us) > 0.5 * WINDOW_US
    assert samples.covered_us > 0.9 * WINDOW_US
    lengths = {len(samples.sampled_at_us), len(samples.thread_id), len(samples.mode), len(samples.weight_us)}
    assert lengths == {len(samples.stack)}


def test_a_sleeping_target_is_covered_and_charged_with_next_to_nothing(backend: str) -> None:
    with target(SLEEP) as process:
        samples = one_window(choose_backend(backend).sampler(process.pid, now_us))
    on_cpu = sum(us for us, mode in zip(samples.weight_us, samples.mode, strict=True) if mode == "cpu")
    assert on_cpu < 0.3 * WINDOW_US
    assert samples.covered_us > 0.9 * WINDOW_US


def test_samples_lie_in_the_window_they_are_taken_for(backend: str) -> None:
    with target(BURN) as process:
        sampler = choose_backend(backend).sampler(process.pid, now_us)
        before = now_us()
        samples = one_window(sampler)
    assert all(before < at <= now_us() for at in samples.sampled_at_us)


def test_a_process_that_is_not_there_is_an_error_with_the_samplers_own_words(backend: str) -> None:
    sampler = choose_backend(backend).sampler(4_194_000, now_us)
    sampler.start()
    try:
        with pytest.raises(SamplerError, match="4194000"):
            until(sampler.watching)
    finally:
        sampler.close()


def test_watching_has_a_cost_and_says_it(backend: str) -> None:
    with target(BURN) as process:
        sampler = choose_backend(backend).sampler(process.pid, now_us)
        sampler.start()
        until(sampler.watching)
        until(lambda: backend == "py-spy" or sampler.cpu_us() > 0)
        sampler.close()


def test_auto_takes_austin_and_a_wrong_name_is_refused() -> None:
    assert choose_backend("auto").name == "austin"
    assert choose_backend("py-spy", 50).rate_hz == 50
    with pytest.raises(SamplerError, match="auto, austin or py-spy"):
        choose_backend("perf")


def test_without_austin_auto_takes_pyspy_and_a_missing_sampler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("producers.profiler.sampler.sys.executable", str(tmp_path / "python"))
    with pytest.raises(SamplerError, match=r"pip install 'loadflame\[profiler\]'"):
        choose_backend("austin")
    (tmp_path / "py-spy").write_text("")
    (tmp_path / "py-spy").chmod(0o755)
    assert choose_backend("auto").name == "py-spy"
