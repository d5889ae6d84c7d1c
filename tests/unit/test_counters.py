"""Kernel counters: the whole process, threads that ended included."""

import os
import threading
import time

import pytest

from producers.profiler.counters import ProcessGoneError, cpu_us_of, read_counters


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


def test_the_busiest_thread_is_found_among_several() -> None:
    before = read_counters(os.getpid())
    burn(0.05)
    after = read_counters(os.getpid())
    assert 45_000 <= after.busiest_thread_us(before) <= after.cpu_us - before.cpu_us + 5_000
    assert after.rss_bytes > 1 << 20
    assert os.getpid() in after.threads_us


def test_a_process_that_is_gone_says_so() -> None:
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    with pytest.raises(ProcessGoneError, match=str(pid)):
        read_counters(pid)
    assert cpu_us_of(pid) == 0
