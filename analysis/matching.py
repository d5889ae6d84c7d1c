"""Which function of one version is which of another.

Labels hold no lines, `function (file.py)`, so that code may move within its file. A file that was renamed, or a
function that moved to another one, is recognised by the function's name where that leaves no doubt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, str]
"""Function and file."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A function that is taken for the same in another file."""

    function: str
    base_file: str
    new_file: str


def moved(base: Mapping[Key, float], new: Mapping[Key, float], least_samples: float) -> tuple[Moved, ...]:
    """Functions that moved between files; the values are samples a run, on average.

    Of either side just one function may have the name, the other side may have none at the same place, and both must
    have been seen often: two functions of one name that were each seen once, by chance, are not one. Lambdas and
    comprehensions are never matched, for their names say nothing.
    """
    files = [_files_by_name(side) for side in (base, new)]
    found = []
    for function, base_files in files[0].items():
        new_files = files[1].get(function, ())
        if len(base_files) != 1 or len(new_files) != 1 or function.endswith(">"):
            continue
        before, after = base_files[0], new_files[0]
        often = min(base[function, before], new[function, after]) >= least_samples
        if before != after and often:
            found.append(Moved(function, before, after))
    return tuple(found)


def _files_by_name(side: Mapping[Key, float]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for function, file in side:
        files.setdefault(function, []).append(file)
    return files
