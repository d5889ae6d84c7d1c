r"""Folded stacks: root first, frames `function (file.py)` joined by `;`.

A `;` inside a name is written `\;` and a backslash `\\`, so that folding and unfolding are exact inverses. The
format is that of Brendan Gregg's FlameGraph tools with py-spy's frame labels.
"""

import re
from collections.abc import Iterable

WAITING = "(waiting)"
"""The last frame, one that no function has, of a thread that waited when the wall clock's ticks saw it."""
_FRAME_END = re.compile(r"(?<!\\)(?:\\\\)*;")
_LABEL = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*)\)$", re.DOTALL)


def frame(function: str, file: str) -> str:
    """Label of one frame. `file` is cut to its last two parts, so that `a/__init__.py` stays telling."""
    return f"{function} ({'/'.join(file.rsplit('/', 2)[-2:])})"


def join_frame(function: str, file: str) -> str:
    """Label of a function; of one without a file its name. The inverse of `split_frame`."""
    return frame(function, file) if file else function


def split_frame(label: str) -> tuple[str, str]:
    """Function and file of a label; the file is empty when there is none."""
    match = _LABEL.match(label)
    return (match["function"], match["file"]) if match else (label, "")


def fold(frames: Iterable[str]) -> str:
    """Join frame labels, root first."""
    return ";".join(label.replace("\\", "\\\\").replace(";", "\\;") for label in frames)


def unfold(stack: str) -> tuple[str, ...]:
    """Frame labels of a folded stack, root first; the inverse of `fold`."""
    if not stack:
        return ()
    if "\\" not in stack:
        return tuple(stack.split(";"))
    labels, start = [], 0
    for end in _FRAME_END.finditer(stack):
        labels.append(stack[start : end.end() - 1])
        start = end.end()
    labels.append(stack[start:])
    return tuple(re.sub(r"\\(.)", r"\1", label, flags=re.DOTALL) for label in labels)
