"""Tiny target programs for profilers: each says `up` when it runs, and is ended by its id."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BURN = """
import time
def burn():
    total = 0
    for number in range(20000):
        total += number & 7
    return total
def main():
    print('up', flush=True)
    while True:
        burn()
main()
"""

SLEEP = """
import time
def nap():
    time.sleep(0.01)
print('up', flush=True)
while True:
    nap()
"""

TURNS = """
import time
def even():
    while time.time_ns() // 5_000_000 % 2 == 0:
        pass
def odd():
    while time.time_ns() // 5_000_000 % 2 == 1:
        pass
print('up', flush=True)
while True:
    even()
    odd()
"""

POOL = """
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
pool, never = ThreadPoolExecutor(4), Event()
for _ in range(4):
    pool.submit(never.wait)
def burn():
    return sum(number & 7 for number in range(20000))
print('up', flush=True)
while True:
    burn()
    time.sleep(0.002)
"""

WAIT = """
import threading
from concurrent.futures import ThreadPoolExecutor
pool, never = ThreadPoolExecutor(4), threading.Event()
print('up', flush=True)
while True:
    pool.submit(int)
    never.wait(0.002)
"""

TWO_WORKERS = """
import os, time
def burn():
    end = time.process_time() + 0.005
    while time.process_time() < end:
        sum(range(200))
parent, pids = os.getpid(), []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        while os.getppid() == parent:
            burn()
            time.sleep(0.005)
        os._exit(0)
    pids.append(pid)
print('up', flush=True)
try:
    os.waitpid(pids[0], 0)
finally:
    for pid in pids:
        try: os.kill(pid, 9)
        except OSError: pass
"""

SHORT_WORKERS = """
import os, time
started_by = os.getppid()
print('up', flush=True)
while os.getppid() == started_by:
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            sum(range(200))
        os._exit(0)
    os.waitpid(pid, 0)
"""


@contextmanager
def target(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program in a process of its own, up and running."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()
