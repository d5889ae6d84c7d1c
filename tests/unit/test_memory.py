"""How the memory of a load is read: whole minutes, and nothing that is gone in a moment."""

import os
import subprocess
import sys

from benchmarks.memory import by_minute, resident_bytes

MIB = 1 << 20


def test_a_minute_is_the_median_of_its_seconds_and_a_part_of_one_is_none() -> None:
    seen = [100 * MIB] * 50 + [400 * MIB] * 10 + [103 * MIB] * 60 + [500 * MIB] * 59
    assert by_minute(seen) == [100.0, 103.0]


def test_what_the_processes_of_a_load_hold_counts_together() -> None:
    alone = resident_bytes(os.getpid())
    program = "b = bytearray(64 << 20); print('up', flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        assert resident_bytes(os.getpid()) - alone > 60 * MIB
        child.communicate("\n")
