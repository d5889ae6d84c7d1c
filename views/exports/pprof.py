"""pprof's profile.proto, compressed: what `go tool pprof`, Pyroscope, Parca and others open.

Written by hand, for it is a handful of messages: https://github.com/google/pprof/blob/main/proto/profile.proto. Wire
format: https://protobuf.dev/programming-guides/encoding/ (a key is number << 3 | type; 0 is a varint, 2 has a length).
"""

import gzip
from collections.abc import Iterable

from schemas.stacks import split_frame
from schemas.varint import varint
from views.stacks import RangeStacks


def pprof(found: RangeStacks) -> bytes:
    """Two values a stack: the number of samples, and CPU in nanoseconds, which is shown by default."""
    strings: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    functions: dict[str, int] = {}
    samples = []
    for one in found.merged():
        leaf_first = [functions.setdefault(frame, len(functions) + 1) for frame in reversed(one.frames)]
        samples.append(_message(2, _packed(1, leaf_first) + _packed(2, (one.samples, one.cpu_us * 1000))))
    named = {place: split_frame(label) for label, place in functions.items()}
    body = b"".join(
        (
            _message(1, _number(1, text("samples")) + _number(2, text("count"))),
            _message(1, _number(1, text("cpu")) + _number(2, text("nanoseconds"))),
            *samples,
            # A location a function: lines of code are not in a label.
            *(_message(4, _number(1, place) + _message(4, _number(1, place))) for place in named),
            *(
                _message(
                    5, _number(1, place) + _number(2, text(name)) + _number(3, text(name)) + _number(4, text(file))
                )
                for place, (name, file) in named.items()
            ),
            _number(9, found.part.clock.started_us * 1000 + round(found.part.from_s * 1e9)),
            _number(10, round(found.seconds * 1e9)),
            _message(11, _number(1, text("cpu")) + _number(2, text("nanoseconds"))),
            _number(14, text("cpu")),
        )
    )
    table = b"".join(_message(6, value.encode(errors="replace")) for value in strings)
    return gzip.compress(body + table, mtime=0)


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _message(field: int, body: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(body)) + body


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _message(field, b"".join(map(varint, values)))
