"""What every sampler promises, checked on austin and on py-spy with real targets."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from producers.profiler.backends import choose_backend
from producers.profiler.errors import NoPermissionError, SamplerError
from producers.profiler.own_processes import words_of
from producers.profiler.sampler import LEAD_US, Sampler, Samples
from schemas.stacks import split_frame, unfold
from tests.support.targets import BURN, SLEEP, TURNS, WAIT, target

WINDOW_US = 400_000
SETTLE_US = 100_000
RATE_HZ = 100


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture(params=["austin", "py-spy"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Poll a condition with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


class Watch:
    """A sampler on a process, driven from window to window as an agent does."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        sampler.start()
        until(sampler.watching)
        self.start_us = now_us()
        self.window()

    def window(self) -> Samples:
        """The next window."""
        end_us = self.start_us + WINDOW_US
        until(lambda: now_us() >= end_us - LEAD_US)
        self.sampler.prepare()
        until(lambda: now_us() >= end_us)
        self.sampler.boundary(end_us)
        until(lambda: now_us() >= end_us + SETTLE_US)
        samples = self.sampler.take(self.start_us, end_us)
        self.start_us = end_us
        return samples

    def whole_window(self) -> Samples:
        """The next window that was watched as a whole, or nearly."""
        deadline = time.monotonic() + 60
        while (samples := self.window()).covered_us < 0.9 * WINDOW_US:
            assert time.monotonic() < deadline, "no window is covered"
        return samples


@contextmanager
def watch(backend: str, program: str) -> Iterator[tuple[Watch, int]]:
    """Watch a tiny program; gives its pid too."""
    with target(program) as process:
        sampler = choose_backend(backend).sampler(process.pid, RATE_HZ, now_us)
        try:
            yield Watch(sampler), process.pid
        finally:
            sampler.close()


def charged_us(samples: Samples) -> int:
    return sum(us for us, stack in zip(samples.weight_us, samples.stacks, strict=True) if stack.mode == "cpu")


def leaves(samples: Samples) -> list[str]:
    return [unfold(one.stack)[-1] for one in samples.stacks if one.stack]


def samplers_of(pid: int) -> list[psutil.Process]:
    """Programs of ours that watch the process."""
    ours = psutil.Process().children(recursive=True)
    return [process for process in ours if str(pid) in words_of(process.pid) and process.pid != pid]


@pytest.mark.alone
def test_a_busy_function_has_nearly_all_samples_and_they_stand_for_nearly_all_of_the_time(backend: str) -> None:
    with watch(backend, BURN) as (watched, pid):
        samples = watched.whole_window()
    # The same label from every sampler: no line number, and what is no path stays as it is.
    assert leaves(samples).count("burn (<string>)") > 0.9 * len(samples.stacks)
    assert {one.mode for one in samples.stacks} == {"cpu"}
    assert {one.thread_id for one in samples.stacks} == {pid}
    assert 0.5 * WINDOW_US < sum(samples.weight_us) < 1.5 * WINDOW_US
    assert samples.period_us == 1_000_000 // RATE_HZ
    assert len(samples.sampled_at_us) == len(samples.weight_us) == len(samples.stacks)


@pytest.mark.alone
def test_a_sleeping_target_is_covered_and_charged_with_next_to_nothing(backend: str) -> None:
    with watch(backend, SLEEP) as (watched, _):
        samples = watched.whole_window()
    assert charged_us(samples) < 0.3 * WINDOW_US


@pytest.mark.alone
def test_a_thread_that_waits_is_never_charged(backend: str) -> None:
    with watch(backend, WAIT) as (watched, _):
        windows = [watched.window() for _ in range(2)]
    seen = [
        (split_frame(unfold(one.stack)[-1])[0].rpartition(".")[2], one.mode)
        for samples in windows
        for one in samples.stacks
        if one.stack
    ]
    assert not [one for one in seen if one in {("wait", "cpu"), ("_worker", "cpu")}]
    assert sum(map(charged_us, windows)) < 0.5 * 2 * WINDOW_US


def test_samples_lie_in_the_window_they_are_taken_for(backend: str) -> None:
    with watch(backend, BURN) as (watched, _):

        def seen() -> bool:
            start_us = watched.start_us
            at_us = watched.window().sampled_at_us
            assert all(start_us <= at < start_us + WINDOW_US for at in at_us)
            return bool(at_us)

        until(seen)
        until(seen)


@pytest.mark.alone
def test_windows_follow_one_another_without_a_gap(backend: str) -> None:
    """On a busy machine a start may take longer than it is given, but not every time."""
    with watch(backend, BURN) as (watched, _):
        until(lambda: sum(watched.window().covered_us for _ in range(3)) > 0.96 * 3 * WINDOW_US)


@pytest.mark.alone
def test_another_rate_takes_over_without_a_gap(backend: str) -> None:
    with watch(backend, BURN) as (watched, _):
        rates = [RATE_HZ, RATE_HZ // 2]

        def taken_over() -> bool:
            rates.reverse()
            watched.sampler.set_rate(rates[0])
            windows = [watched.window() for _ in range(4)]
            assert windows[-1].period_us == 1_000_000 // rates[0]
            return sum(samples.covered_us for samples in windows) > 0.96 * 4 * WINDOW_US

        until(taken_over)


@pytest.mark.alone
def test_a_sampler_whose_program_dies_watches_again_and_says_what_it_missed(backend: str) -> None:
    with watch(backend, BURN) as (watched, pid):
        for process in samplers_of(pid):
            process.kill()
        assert watched.window().covered_us < 0.5 * WINDOW_US
        until(lambda: watched.window().covered_us > 0.9 * WINDOW_US)
        until(lambda: bool(watched.window().stacks))


def test_a_process_that_is_not_there_is_an_error_with_the_samplers_own_words(backend: str) -> None:
    sampler = choose_backend(backend).sampler(4_194_000, RATE_HZ, now_us)
    sampler.start()
    try:
        with pytest.raises(SamplerError, match=r"cannot watch process 4194000; it says: \w"):
            until(sampler.watching)
    finally:
        sampler.close()


@pytest.mark.alone
def test_watching_has_a_cost_that_never_falls(backend: str) -> None:
    with watch(backend, BURN) as (watched, _):
        costs_us = [watched.sampler.cpu_us()]
        for _ in range(2):
            watched.window()
            costs_us.append(watched.sampler.cpu_us())
        watched.sampler.close()
        costs_us.append(watched.sampler.cpu_us())
    assert costs_us == sorted(costs_us)
    assert 0 < costs_us[-1] - costs_us[0] < WINDOW_US


def test_nothing_is_left_running_after_the_close_which_may_be_called_again(backend: str) -> None:
    with watch(backend, BURN) as (watched, pid):
        watched.sampler.set_rate(RATE_HZ * 2)
        watched.sampler.prepare()
        watched.sampler.close()
        watched.sampler.close()
        assert not samplers_of(pid)


def test_austin_follows_the_service_from_core_to_core_and_leaves_it_alone() -> None:
    cores = os.sched_getaffinity(0)
    with watch("austin", BURN) as (_, pid):
        (austin,) = samplers_of(pid)
        assert os.sched_getaffinity(pid) == cores
        for core in cores:
            os.sched_setaffinity(pid, {core})  # the scheduler moves it
            until(lambda core=core: os.sched_getaffinity(austin.pid) == {core})
            assert os.sched_getaffinity(pid) == {core}


def test_what_the_kernel_refuses_austin_takes_for_no_python_and_the_error_is_about_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("producers.profiler.austin.refused", lambda _: True)
    sampler = choose_backend("austin").sampler(4_194_000, RATE_HZ, now_us)
    sampler.start()
    try:
        with pytest.raises(NoPermissionError, match="no permission to profile process 4194000"):
            until(sampler.watching)
    finally:
        sampler.close()


def test_auto_takes_austin_and_a_wrong_name_or_rate_is_refused() -> None:
    assert choose_backend("auto").name == "austin"
    assert not choose_backend("auto").warning
    assert choose_backend("py-spy", 50).wanted_hz == 50
    assert choose_backend("py-spy", 50).fixed
    assert not choose_backend("py-spy").fixed
    with pytest.raises(SamplerError, match="auto, austin or py-spy"):
        choose_backend("perf")
    with pytest.raises(SamplerError, match="take 1 to 1000"):
        choose_backend("auto", 0)


def test_without_austin_auto_takes_pyspy_with_a_warning_and_a_missing_sampler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("producers.profiler.sampler.sys.executable", str(tmp_path / "python"))
    with pytest.raises(SamplerError, match=r"pip install 'loadflame\[profiler\]'"):
        choose_backend("austin")
    with pytest.raises(SamplerError, match=r"pip install 'loadflame\[profiler\]'"):
        choose_backend("auto")
    (tmp_path / "py-spy").write_text("")
    (tmp_path / "py-spy").chmod(0o755)
    assert choose_backend("auto").name == "py-spy"
    assert "thread pools" in choose_backend("auto").warning
    assert not choose_backend("py-spy").warning  # it was asked for


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's times are Linux's")
def test_where_it_is_asked_for_a_sample_has_the_time_at_which_its_function_ran() -> None:
    with target(TURNS) as process:
        choice = choose_backend("austin")
        assert choice.knows_when
        sampler = choice.sampler(process.pid, 211, now_us, stamped=True)
        try:
            samples = Watch(sampler).whole_window()
        finally:
            sampler.close()
    turns = [at_us // 5_000 % 2 for at_us in samples.sampled_at_us]
    ran = [name.partition(" ")[0] for name in leaves(samples)]
    right = [function == ("even", "odd")[turn] for turn, function in zip(turns, ran, strict=True)]
    assert len(right) > 20
    # By the times at which lines are read it is one of two. Nearly all are, where austin need not wait for a core.
    assert sum(right) >= 0.75 * len(right)


def test_py_spy_does_not_know_when_a_sample_was_taken() -> None:
    assert not choose_backend("py-spy").knows_when
