"""Some seconds of damaged messages; the fault campaign takes more."""

import time

import numpy as np
import pyarrow as pa
import pytest

from schemas.topics import BULK
from tests.faults.fuzzing import FuzzError, Letter, fuzz, read_letter, real_letters

SECONDS = 3.0


def test_damaged_messages_are_refused_by_decode_error_and_nothing_else_in_bounded_memory_and_time() -> None:
    report = fuzz(SECONDS, time.time_ns() % 1_000_000)
    assert report.refused.total() > report.rounds // 4
    assert all(report.refused[topic] and report.read[topic] for topic in (*BULK, "runs", "windows", "findings"))


def test_what_is_damaged_was_good_before() -> None:
    assert all(read_letter(letter) for letter in real_letters())


def test_a_round_is_the_same_wherever_it_is_run() -> None:
    def letters(seed: int) -> list[Letter]:
        seen: list[Letter] = []

        def keep(letter: Letter) -> bool:
            seen.append(letter)
            if len(seen) == 50:
                raise RuntimeError
            return True

        with pytest.raises(FuzzError):
            fuzz(SECONDS, seed, keep)
        return seen

    assert letters(7) == letters(7) != letters(8)


def test_another_error_than_decode_error_ends_it_and_names_the_round() -> None:
    def careless(letter: Letter) -> bool:
        return bool(int(dict(letter.headers).get("rows") or b"0") + 1)

    with pytest.raises(FuzzError, match=r"seed 7, round \d+: \w+: ValueError"):
        fuzz(SECONDS, 7, careless)


def test_a_message_that_takes_much_memory_or_time_ends_it() -> None:
    def greedy(_: Letter) -> bool:
        return len(pa.array(np.zeros(64 << 20, np.int8)).cast(pa.int16())) > 0

    def slow(_: Letter) -> bool:
        until_s = time.process_time() + 1.1
        while time.process_time() < until_s:
            pass
        return True

    for reader in (greedy, slow):
        with pytest.raises(FuzzError, match="too much for one message"):
            fuzz(SECONDS, 7, reader)
