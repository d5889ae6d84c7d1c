"""Which windows belong to which block, told to the store in a few numbers.

A day has 86,400 windows; as a list they are a question of a megabyte, and more than a gateway takes. Blocks are
stretches of windows with few gaps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.evidence.limits import Ints

NO_BLOCK = -1
AMONG_SQL = (
    "window IN (SELECT arrayJoin(arrayFlatten(arrayMap((since, until) -> range(since, until), "
    "{since:Array(UInt64)}, {until:Array(UInt64)}))))"
)
"""Whether a row's window is one of those that `among` tells; they prune as a list of them does."""
AMONG: dict[str, Any] = dict.fromkeys(("first", "last"), 1_790_000_000)
AMONG |= {"since": [1_790_000_000], "until": [1_790_000_001]}
"""Its parameters, for trying it out."""


def placed(blocks: Sequence[Ints]) -> dict[str, Any]:
    """Parameters of `views.queries` that say which windows make block 0, block 1 and so on; no window is in two.

    From `starts[i]` to the window before `starts[i + 1]` it is block `numbers[i]`, NO_BLOCK for none; all of them lie
    from `first` to `last`.
    """
    windows = np.concatenate([*blocks, np.array([], np.int64)])
    if not len(windows):
        return {"starts": [0], "numbers": [NO_BLOCK], "first": 1, "last": 0}
    order = np.argsort(windows)
    windows = windows[order].astype(np.int64)
    numbers = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])[order]
    begins = np.flatnonzero(np.diff(windows, prepend=windows[0] - 2) > 1)
    changes = np.flatnonzero(np.diff(numbers, prepend=NO_BLOCK))
    at = np.union1d(begins, changes)
    gaps = windows[begins - 1] + 1  # that of the first one is the end of all
    starts = np.concatenate([windows[at], gaps])
    of = np.concatenate([numbers[at], np.full(len(gaps), NO_BLOCK)])
    order = np.argsort(starts)
    return {
        "starts": starts[order].tolist(),
        "numbers": of[order].tolist(),
        "first": int(windows[0]),
        "last": int(windows[-1]),
    }


def among(windows: Ints) -> dict[str, Any]:
    """Parameters of AMONG_SQL for some windows, in any order: stretches of them, from `since[i]` to before `until[i]`.

    All of them lie from `first` to `last`.
    """
    if not len(windows):
        return {"since": [], "until": [], "first": 1, "last": 0}
    windows = np.unique(windows)
    ends = np.append(np.flatnonzero(np.diff(windows) > 1), len(windows) - 1)
    begins = np.append(0, ends[:-1] + 1)
    return {
        "since": windows[begins].tolist(),
        "until": (windows[ends] + 1).tolist(),
        "first": int(windows[0]),
        "last": int(windows[-1]),
    }
