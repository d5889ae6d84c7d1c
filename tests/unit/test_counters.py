"""Kernel counters: the whole process, threads that ended included."""

import os
import threading
import time

import pytest

from producers.profiler.counters import Counters, ProcessGoneError, core_of, cpu_us_of, host_cpu_us, read_counters


def burn(cpu_s: float) -> None:
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        sum(range(100))


def test_cpu_time_of_another_process_is_that_of_its_own_clock() -> None:
    before, own = read_counters(os.getpid()), time.process_time_ns() // 1000
    burn(0.05)
    after, own_after = read_counters(os.getpid()), time.process_time_ns() // 1000
    assert after.cpu_us - before.cpu_us == pytest.approx(own_after - own, abs=20_000)


def test_the_time_of_a_thread_that_ended_is_kept() -> None:
    before = read_counters(os.getpid())
    thread = threading.Thread(target=burn, args=(0.05,))
    thread.start()
    thread.join()
    assert read_counters(os.getpid()).cpu_us - before.cpu_us >= 50_000


def test_what_the_host_spent_holds_what_we_did_and_no_more_than_its_cores_have() -> None:
    began = time.monotonic()  # around all of it: others work on while we are held up
    before_us = host_cpu_us()
    burn(0.3)
    spent_us, took_s = host_cpu_us() - before_us, time.monotonic() - began
    assert 250_000 <= spent_us <= (took_s * (os.cpu_count() or 1) + 0.1) * 1e6


def test_the_busiest_thread_is_found_among_several() -> None:
    before = read_counters(os.getpid())
    burn(0.05)
    after = read_counters(os.getpid())
    assert threading.get_native_id() in after.threads_us
    assert 45_000 <= after.busiest_thread_us_since(before) <= after.cpu_us - before.cpu_us + 5_000
    assert after.rss_bytes > 1 << 20


def counters(threads_us: dict[int, int], waits_us: dict[int, int]) -> Counters:
    return Counters(cpu_us=0, rss_bytes=0, threads_us=threads_us, waits_us=waits_us)


def test_a_thread_that_ended_takes_nothing_from_the_waiting_of_the_others() -> None:
    before = counters({1: 100, 2: 100}, {1: 10, 2: 90_000})
    after = counters({1: 150, 3: 20}, {1: 30, 3: 5})
    assert after.run_queue_us_since(before) == 20 + 5
    assert after.busiest_thread_us_since(before) == 50


def test_without_threads_there_is_no_busiest_one() -> None:
    assert counters({}, {}).busiest_thread_us_since(counters({1: 5}, {})) == 0


def test_a_kernel_that_does_not_say_how_long_threads_waited_still_says_what_they_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("producers.profiler.counters._schedstats", lambda _: {})
    burn(0.05)
    found = read_counters(os.getpid())
    assert found.threads_us[threading.get_native_id()] > 0
    assert not found.waits_us


def test_the_core_of_a_thread_is_one_of_those_it_may_run_on() -> None:
    assert core_of(os.getpid(), threading.get_native_id()) in os.sched_getaffinity(0)
    assert core_of(os.getpid(), 4_194_000) is None


def test_a_process_that_is_gone_says_so() -> None:
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    with pytest.raises(ProcessGoneError, match=str(pid)):
        read_counters(pid)
    assert cpu_us_of(pid) == 0
