"""What a middleware tells, on its way to whoever samples the service: passed on in order, taken in as samples are."""

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest

from producers.context import relay
from producers.context.listening import Listener
from producers.context.relay import Relay
from producers.natural import MiddlewareSocket
from producers.profiler.stamps import received, stamped_pair
from producers.profiler.told import Told
from tests.support.polling import wait_until
from tests.support.telling import spin


def datagram(endpoint: str, at_us: int = 1_000) -> bytes:
    note = ["", 4711, 0, at_us, 500, endpoint, 200]
    return json.dumps({"v": 1, "pid": 7, "dropped": 0, "requests": [note]}).encode()


def told_to(path: Path, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        for one in datagrams:
            telling.sendto(one, str(path))


def test_what_is_told_is_passed_on_word_by_word_and_what_finds_nobody_waits(tmp_path: Path) -> None:
    passing = MiddlewareSocket(tmp_path / "told", relay=Relay(tmp_path / "beside"))
    told_to(tmp_path / "told", datagram("GET /a"), b"nonsense")
    assert [seen.endpoint for seen in passing.look(2_000)] == ["GET /a"]
    beside = Listener(tmp_path / "beside")
    told_to(tmp_path / "told", datagram("GET /b"))
    passing.look(2_000)
    assert list(beside.datagrams(10)) == [datagram("GET /a"), b"nonsense", datagram("GET /b")]
    beside.close()
    told_to(tmp_path / "told", datagram("GET /c"))
    assert [seen.endpoint for seen in passing.look(2_000)] == ["GET /c"]  # whoever is gone keeps nobody waiting
    passing.close()


def test_what_finds_no_room_waits_in_order_and_of_too_much_the_oldest_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Listener(tmp_path / "beside")
    passing = Relay(tmp_path / "beside")
    numbers = [str(number).encode() for number in range(400)]
    for one in numbers:
        passing.pass_on(one)  # a socket has room for some ten of them
    found: list[bytes] = []
    while more := list(beside.datagrams(1000)):
        found += more
        passing.try_again()
    assert found == numbers
    passing.close()
    monkeypatch.setattr(relay, "MOST_WAITING", 3)
    late = Relay(tmp_path / "nobody")
    for one in numbers[:5]:
        late.pass_on(one)
    there = Listener(tmp_path / "nobody")
    late.try_again()
    assert list(there.datagrams(10)) == numbers[2:5]
    late.close()
    for one in (there, beside):
        one.close()


async def test_what_comes_is_taken_in_by_the_clock_of_samples_and_nonsense_is_counted(tmp_path: Path) -> None:
    ahead_us = 5_000_000
    held_up_s = iter([0.005])

    def now_us() -> int:
        now_us = time.time_ns() // 1000 + ahead_us
        spin(next(held_up_s, 0.0))  # between a look at this clock and one at the other
        return now_us

    told = Told(tmp_path / "told", now_us, "run-1")
    with told.listening():
        told_to(tmp_path / "told", datagram("GET /a", 1_000_000), b"nonsense")
        await asyncio.sleep(0)
        wait_until(lambda: told.unknown == 1 or told.take_in() is not None, 60, "it is taken in")
    found = told.served.endpoints(7, [4711, 4711], [6_000_200, 1_000_200])
    assert found == ["GET /a", ""]
    assert not (tmp_path / "told").exists()


def test_a_line_has_the_time_at_which_it_was_printed_however_late_it_is_read() -> None:
    reading, printing = stamped_pair()
    with reading, printing:
        before_us = time.time_ns() // 1000
        printing.send(b"line\n")
        after_us = time.time_ns() // 1000
        data, at_us = received(reading, 1000)
        assert data == b"line\n"
        assert before_us <= at_us <= after_us
        for _ in range(100):  # much more than a program prints until it is read
            printing.send(b"x" * 200, socket.MSG_DONTWAIT)
        printing.close()
        assert [received(reading, 1000)[0] for _ in range(101)] == [b"x" * 200] * 100 + [b""]
