"""Stacks in the forms that other viewers read."""

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.exports.folded import folded
from views.exports.pprof import pprof
from views.exports.speedscope import speedscope
from views.ranges import Clock
from views.stacks import RangeStacks, StackCost

CLOCK = Clock("run-1", 1_790_000_000_000_000, 1_000_000, 1_790_000_000, 1_790_000_059)
STACKS = (
    StackCost(("main (shop.py)", "search (shop.py)", "rank (shop.py)"), 0, 1_500, 3),
    StackCost(("main (shop.py)", "search (shop.py)", "rank (shop.py)"), 1, 500, 1),
    StackCost(("main (shop.py)", "a;b (shop.py)"), 0, 700, 2),
    StackCost(("main (shop.py)",), 0, 0, 0),
    StackCost(("(unattributed)",), 0, 300, 0),
)


def found(*stacks: StackCost) -> RangeStacks:
    return RangeStacks(CLOCK.part(10, 20), stacks, 10.0, 100, sum(one.cpu_us for one in stacks), 300)


def test_folded_stacks_are_a_line_each_with_microseconds() -> None:
    assert folded(found(*STACKS)) == (
        "(unattributed) 300\nmain (shop.py);a:b (shop.py) 700\nmain (shop.py);search (shop.py);rank (shop.py) 2000\n"
    )


FRAMES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6).map(tuple)
COSTS = st.lists(st.builds(StackCost, FRAMES, st.just(0), st.integers(1, 10**9), st.integers(0, 99)), max_size=8)


@given(COSTS)
def test_folded_stacks_hold_all_of_the_cpu_whatever_the_names(stacks: list[StackCost]) -> None:
    lines = folded(found(*stacks)).splitlines()
    assert all(re.fullmatch(r".*? \d+", line) for line in lines)
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == sum(one.cpu_us for one in stacks)


@given(COSTS)
def test_a_speedscope_file_holds_its_own_sums(stacks: list[StackCost]) -> None:
    told = json.loads(speedscope(found(*stacks), name="run-1"))
    (profile,) = told["profiles"]
    frames = told["shared"]["frames"]
    assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "microseconds", 0)
    assert len(profile["samples"]) == len(profile["weights"])
    assert all(0 <= place < len(frames) for sample in profile["samples"] for place in sample)
    assert profile["endValue"] == sum(profile["weights"]) == sum(one.cpu_us for one in stacks)
    assert all(frame.keys() <= {"name", "file"} and frame["name"] is not None for frame in frames)


def test_speedscope_is_told_files_apart_from_names() -> None:
    told = json.loads(speedscope(found(*STACKS), name="run-1, 10 to 20 s"))
    assert told["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert told["shared"]["frames"][:2] == [{"name": "main", "file": "shop.py"}, {"name": "search", "file": "shop.py"}]
    assert told["profiles"][0]["samples"][0] == [0, 1, 2]
    assert told["profiles"][0]["weights"][0] == 2_000


Field = tuple[int, int | bytes]


def fields(body: bytes) -> Iterator[Field]:
    """The fields of a protobuf message: number, and a whole number or bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(body):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            length = varint()
            yield key >> 3, body[at : at + length]
            at += length
    assert at == len(body)


def packed(body: bytes) -> list[int]:
    return [
        value for _, value in fields(b"".join(b"\x08" + bytes(one) for one in _varints(body))) if isinstance(value, int)
    ]


def _varints(body: bytes) -> Iterator[bytes]:
    start = 0
    for at, byte in enumerate(body):
        if byte < 0x80:
            yield body[start : at + 1]
            start = at + 1


def all_of(message: list[Field], number: int) -> list[bytes]:
    return [value for field, value in message if field == number and isinstance(value, bytes)]


@given(COSTS)
def test_a_pprof_profile_is_read_back_by_the_wire_format(stacks: list[StackCost]) -> None:
    profile = list(fields(gzip.decompress(pprof(found(*stacks)))))
    texts = [value.decode() for value in all_of(profile, 6)]
    assert texts[0] == ""
    functions = {}
    for body in all_of(profile, 5):
        one = dict(fields(body))
        functions[one[1]] = texts[int(one[2])]
    samples = {}
    for body in all_of(profile, 2):
        sample = dict(fields(body))
        locations, values = packed(bytes(sample[1])), packed(bytes(sample[2]))
        samples[tuple(locations)] = values
        assert all(place in functions for place in locations)
    wanted: dict[tuple[str, ...], int] = {}
    for cost in stacks:
        wanted[cost.frames] = wanted.get(cost.frames, 0) + cost.cpu_us * 1000
    assert sorted(value for _, value in samples.values()) == sorted(wanted.values())
    assert dict(profile)[9] == (CLOCK.started_us + 10_000_000) * 1000


def test_go_reads_the_profile(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("`go tool pprof` would read it, and there is no go")
    path = tmp_path / "profile.pb.gz"
    path.write_bytes(pprof(found(*STACKS)))
    done = subprocess.run(
        [go, "tool", "pprof", "-top", "-unit=us", str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert re.search(r"^\s+2000us .* rank$", done.stdout, re.MULTILINE), done.stdout
    assert "Duration: 10s" in done.stdout
