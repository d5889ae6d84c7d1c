"""How what Grafana has differs from what we would put there, in words.

Only what we say is compared: Grafana adds defaults of its own, and newer ones to what older ones saved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_LONGEST = 60
_NAMES = ("title", "name", "refId")
"""By which an entry of a list is known."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one thing, or would: `what` is its kind and name, `details` say what is changed."""

    what: str
    state: Literal["new", "changed", "unchanged", "left out"]
    details: tuple[str, ...] = ()
    url: str = ""

    def __str__(self) -> str:
        """For people: a line, and one for each detail."""
        head = f"{self.state:<10} {self.what}{f'  {self.url}' if self.url else ''}"
        return "\n".join((head, *(f"             {detail}" for detail in self.details)))


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """One phrase for each part of `ours` that is not so in `theirs` (both as JSON)."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key, value in ours.items():
            inner = f"{path}.{key}" if path else str(key)
            if key in theirs:
                yield from differences(theirs[key], value, inner)
            elif not _is_nothing(value):
                yield f"{inner}: {_shown(value)} is new"
    elif _is_list(ours) and _is_list(theirs):
        yield from _of_lists(theirs, ours, path)
    elif theirs != ours and not (_is_nothing(ours) and _is_nothing(theirs)):
        yield _of_values(theirs, ours, path)


def _of_lists(theirs: Sequence[Any], ours: Sequence[Any], path: str) -> Iterator[str]:
    known = [_name(one) for one in theirs], [_name(one) for one in ours]
    if None in known[0] + known[1] or any(len(set(names)) < len(names) for names in known):
        if len(theirs) != len(ours):
            yield f"{path}: {len(ours)} instead of {len(theirs)}"
        else:
            for place, pair in enumerate(zip(theirs, ours, strict=True)):
                yield from differences(*pair, f"{path}[{place}]")
        return
    there, here = ({_name(one): one for one in side} for side in (theirs, ours))
    yield from (f"{path} {name!r} is new" for name in here if name not in there)
    yield from (f"{path} {name!r} is taken away" for name in there if name not in here)
    common = [name for name in here if name in there]
    if common != [name for name in there if name in here]:
        yield f"{path}: in another order"
    for name in common:
        yield from differences(there[name], here[name], f"{path} {name!r}")


def _of_values(theirs: Any, ours: Any, path: str) -> str:
    if isinstance(ours, str) and isinstance(theirs, str) and "\n" in ours + theirs:
        before, after = theirs.splitlines(), ours.splitlines()
        new, gone = (sum(line not in other for line in one) for one, other in ((after, before), (before, after)))
        if not new:
            return f"{path}: {gone} of {len(before)} lines are taken away"
        return f"{path}: {new} of {len(after)} lines are new"
    return f"{path}: {_shown(ours)} instead of {_shown(theirs)}"


def _name(entry: Any) -> str | None:
    if isinstance(entry, Mapping):
        return next((str(entry[key]) for key in _NAMES if entry.get(key)), None)
    return None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_nothing(value: Any) -> bool:
    """Grafana leaves out what is empty, and says what is false."""
    return value is None or value in ("", False) or (_is_list(value) and not value) or value == {}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
