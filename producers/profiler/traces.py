"""What the samplers print, read into stacks. Pure; a line that makes no sense gives None, never an exception.

austin 3.7:   `P4711;T0:4712;/srv/shop.py:<module>:9;/srv/shop.py:Shop.sweep:31 2533`    (microseconds)
with `-f`:    the same line, then `50021,1,0`    (microseconds, whether the thread was idle, bytes)
py-spy 0.4.3: `thread (4712): main;<module> (/srv/shop.py:1);Shop.sweep (/srv/shop.py:30) 17`    (samples)

Both root first; the thread is the kernel's number of it. A path may hold colons, so frames are read from their end.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from producers.profiler.leaves import Leaf, leaf_of
from schemas.stacks import fold, frame

MAX_LINE_BYTES = 64 << 10
_PYSPY_THREAD = re.compile(r"thread \((\d{1,10})\)(?:: .*)?$", re.DOTALL)

Mode = Literal["cpu", "wall"]


@dataclass(frozen=True, slots=True)
class SampledStack:
    """What a line says besides its weight; the same for every sample of one stack on one thread.

    `stack` is folded (`schemas.stacks`), empty when there was no Python to be seen.
    """

    thread_id: int
    stack: str
    leaf: Leaf = "work"

    @property
    def mode(self) -> Mode:
        """`wall` where the thread waits: a sampler that looks a moment late finds it there with no core."""
        return "wall" if self.leaf == "wait" else "cpu"


class WallLine(NamedTuple):
    """What one thread did at a tick: `thread` as austin names it, the time since the tick before, the stack's text."""

    thread: bytes
    weight_us: int
    is_idle: bool
    text: bytes


def split_weight(line: bytes) -> tuple[bytes, int] | None:
    """A line as the text before its last blank and the number behind it."""
    text, blank, number = line.rstrip().rpartition(b" ")
    if not blank or not number.isdigit() or len(number) > 9 or len(line) > MAX_LINE_BYTES:
        return None
    return text, int(number)


def austin_stack(text: bytes) -> SampledStack | None:
    """The part of an austin line before its weight; None for a comment or for a stack that austin calls invalid.

    austin writes `:INVALID:` where frames changed while it read them; the rest of such a line is no whole stack.
    """
    fields = text.decode(errors="replace").split(";")
    if len(fields) < 2 or not fields[0].startswith("P") or not fields[1].startswith("T"):
        return None
    thread = fields[1].rpartition(":")[2].lstrip("T")
    if not (thread.isascii() and thread.isdigit() and len(thread) <= 10):
        return None
    frames = []
    for field in filter(None, fields[2:]):
        path, _, function = field.rpartition(":")[0].rpartition(":")
        if not path or not function:
            return None
        frames.append((function, path))
    return _sampled(int(thread), frames)


def wall_line(line: bytes) -> WallLine | None:
    """A line of austin in its full mode; None when it is none. A damaged stack is an empty one."""
    text, _, numbers = line.rstrip().rpartition(b" ")
    weight, _, more = numbers.partition(b",")
    idle = more.partition(b",")[0]
    if not weight.isdigit() or idle not in (b"0", b"1") or len(weight) > 9 or len(line) > MAX_LINE_BYTES:
        return None
    head = text.split(b";", 2)
    if len(head) < 2 or not head[0].startswith(b"P") or not head[1].startswith(b"T"):
        return None
    return WallLine(head[1], int(weight), idle == b"1", text)


def pyspy_stack(text: bytes) -> SampledStack | None:
    """A py-spy raw line, written with `-t --full-filenames`, before its count."""
    thread_id, frames = 0, []
    for place, field in enumerate(text.decode(errors="replace").split(";")):
        thread = _PYSPY_THREAD.match(field) if place == 0 else None
        if thread is not None:
            thread_id = int(thread[1])
        elif field:
            function, blank, place_of_it = field.removesuffix(")").partition(" (")
            if not blank or not function:
                return None
            path, _, line = place_of_it.rpartition(":")
            frames.append((function, path if line.isdigit() else place_of_it))
    return _sampled(thread_id, frames)


def _sampled(thread_id: int, frames: list[tuple[str, str]]) -> SampledStack:
    leaf = leaf_of(*frames[-1]) if frames else "work"
    return SampledStack(thread_id, fold(frame(*one) for one in frames), leaf)
