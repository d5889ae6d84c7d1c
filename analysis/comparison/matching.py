"""Which function of one version is which of another.

Labels hold no lines, `function (file.py)`, so that code may move within its file. A file that was renamed, or lies in
another folder, is recognised by the functions in it; a function that moved to another file by its name, where that
leaves no doubt.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Key = tuple[str, str]
"""Function and file."""
Samples = Mapping[Key, float]
"""Of each function in a run of one side, on average."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Functions that are taken for the same in another file: those of a whole file, or a single one."""

    base_file: str
    new_file: str
    function: str | None = None

    def takes(self, key: Key) -> bool:
        """Whether it is about a function of the base side."""
        return key[1] == self.base_file and self.function in (None, key[0])

    def gave(self, key: Key) -> bool:
        """Whether it is about a function of the new side."""
        return key[1] == self.new_file and self.function in (None, key[0])


def moved(base: Samples, new: Samples, least_samples: float) -> tuple[Moved, ...]:
    """Files that have another name or folder, then functions that moved between files.

    Only functions with `least_samples` count: two of one name that were each seen once, by chance, are not one. Lambdas
    and comprehensions do not either, for their names say nothing; they go with their file.
    """
    base_often, new_often = _often(base, least_samples), _often(new, least_samples)
    files = tuple(_renamed(base, new, base_often, new_often))
    known = {one.base_file for one in files} | {one.new_file for one in files}
    return (*files, *_of_functions(base, new, base_often, new_often, known))


def new_key(key: Key, moves: tuple[Moved, ...]) -> Key:
    """A function of the base side, as the new side names it."""
    return next(((key[0], one.new_file) for one in moves if one.takes(key)), key)


def _renamed(base: Samples, new: Samples, base_often: set[Key], new_often: set[Key]) -> Iterator[Moved]:
    """Files that one side has and the other has not, which share at least half of their functions with just one."""
    alone = [{file for _, file in one} - {file for _, file in other} for one, other in ((base, new), (new, base))]
    names = [
        {file: _names(side, file) for file in files} for side, files in zip((base_often, new_often), alone, strict=True)
    ]
    pairs = [
        (before, after)
        for before, mine in names[0].items()
        for after, theirs in names[1].items()
        if 2 * len(mine & theirs) >= max(len(mine | theirs), 1)
    ]
    for before, after in pairs:
        if sum(before == one or after == other for one, other in pairs) == 1:
            yield Moved(before, after)


def _of_functions(
    base: Samples, new: Samples, base_often: set[Key], new_often: set[Key], known: set[str]
) -> Iterator[Moved]:
    """Functions of a name that just one function on either side has, at two places."""
    files = [_files_by_name(side) for side in (base, new)]
    for function, before in sorted(base_often):
        there = files[1].get(function, [])
        if len(files[0][function]) != 1 or len(there) != 1 or there[0] == before:
            continue
        if (function, there[0]) in new_often and before not in known and there[0] not in known:
            yield Moved(before, there[0], function)


def _often(side: Samples, least_samples: float) -> set[Key]:
    return {key for key, samples in side.items() if samples >= least_samples and not key[0].endswith(">")}


def _names(keys: set[Key], file: str) -> set[str]:
    return {function for function, its_file in keys if its_file == file}


def _files_by_name(side: Samples) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for function, file in side:
        files.setdefault(function, []).append(file)
    return files
