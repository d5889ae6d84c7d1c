"""Comparisons of five runs with five: which runs are made for them, and how they are drawn from those.

A comparison by itself takes ten runs, twenty minutes and more. So a service has a pool: ten runs of it as it is, five
with one function 10% slower and five with it 30% slower, in turns. Of one pool there is one comparison of ten different
runs for each question; more are drawn from the same runs, of each two neighbours one for each side or one of them, so
that the sides stay interleaved. Those share runs with each other: they say how often chance has it otherwise, and are
not independent of each other. Only the first of each service is.
"""

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.planted.results import Result, append

SIDES = ("clean", "slower-10", "slower-30", "clean", "clean", "slower-30", "slower-10", "clean")
RUNS = 20
"""Of a service: ten as it is, five slower by a tenth, five by three tenths."""
A_SIDE = 5
DRAWN: Mapping[str, int] = {"clean": 14, "slower-10": 14, "slower-30": 7}
"""Comparisons a service for each question, the disjoint one with them."""
GIVEN_UP_S = 1800.0
COMPARISONS = "comparisons.jsonl"


@dataclass(frozen=True, slots=True)
class Groups:
    """Two groups of runs of one service, by their ids; `question` is what the new ones are."""

    seed: int
    question: str
    place: int
    base: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def name(self) -> str:
        """By which it is known; the first of a service and a question is the disjoint one."""
        return f"{self.seed}/{self.question}/{self.place}"


@dataclass(frozen=True, slots=True)
class Compared:
    """What `loadflame diff` said of two groups (see `comparing.summary`)."""

    groups: Groups
    said: Mapping[str, Any]

    @property
    def disjoint(self) -> bool:
        """Whether it shares no run with another comparison of its question."""
        return self.groups.place == 0

    def names(self, function: str) -> bool:
        """Whether a function is said to be dearer."""
        return function in self.said["worse"]


def turn_of(done: int) -> tuple[int, str]:
    """Seed and side of the next run of the pool, when so many are done."""
    return 1 + done // RUNS, SIDES[done % RUNS % len(SIDES)]


def groups_of(results: Iterable[Result]) -> list[Groups]:
    """Every comparison that the runs of the pool allow."""
    by_seed: dict[int, dict[str, list[str]]] = {}
    for one in results:
        if one.task.bundle == "pool" and one.judged:
            by_seed.setdefault(one.task.seed, {}).setdefault(one.task.side, []).append(one.run)
    found = []
    for seed, sides in sorted(by_seed.items()):
        clean = sides.get("clean", [])
        if len(clean) < 2 * A_SIDE:
            continue
        pairs = list(zip(clean[: 2 * A_SIDE : 2], clean[1 : 2 * A_SIDE : 2], strict=True))
        for question, count in DRAWN.items():
            slower = sides.get(question, [])
            if question != "clean" and len(slower) < A_SIDE:
                continue
            drawn = itertools.islice(_ways(seed, question), count)
            for place, way in enumerate(drawn):
                chosen = [pair[which] for pair, which in zip(pairs, way, strict=True)]
                others = [pair[1 - which] for pair, which in zip(pairs, way, strict=True)]
                new = others if question == "clean" else slower[:A_SIDE]
                found.append(Groups(seed, question, place, tuple(chosen), tuple(new)))
    return found


def _ways(seed: int, question: str) -> Iterator[tuple[int, ...]]:
    """Which of each two neighbours is on the base side: in turns first (ABBA), then by chance, none twice.

    Of identical services a way and its mirror image are the same comparison.
    """
    first = tuple(place % 2 for place in range(A_SIDE))
    others = [way for way in itertools.product((0, 1), repeat=A_SIDE) if way != first]
    if question == "clean":
        others = [way for way in others if way[0] == 0]
    random.Random(f"{seed} {question}").shuffle(others)
    return iter((first, *others))


def data_of(keep: Path, seed: int) -> Path:
    """The data folder of a service's runs."""
    return keep / "pool" / str(seed) / "data"


def usable(results: Iterable[Result], out: Path, keep: Path) -> list[Result]:
    """Results without the pool's runs that can be compared no more: another machine made them, and has their data."""
    compared = {run for one in _said(out).values() for run in (*one["base"], *one["new"])}
    return [one for one in results if one.task.bundle != "pool" or one.run in compared or _is_here(keep, one)]


def _is_here(keep: Path, one: Result) -> bool:
    return (data_of(keep, one.task.seed) / "runs" / one.run).exists()


def _said(out: Path) -> dict[str, dict[str, Any]]:
    """The comparisons that were made, by their names."""
    path = out / COMPARISONS
    lines = path.read_text().splitlines() if path.exists() else []
    return {one["name"]: one for line in lines if line.endswith("}") for one in [json.loads(line)]}


def compare(results: Sequence[Result], out: Path, keep: Path) -> list[Compared]:
    """What `loadflame diff` says of all comparisons; those that were made before are read from the file."""
    said = _said(out)
    wanted = groups_of(results)
    for seed in sorted({one.seed for one in wanted}):
        new = [one for one in wanted if one.seed == seed and not _is_of(one, said.get(one.name))]
        for answer in _answers(new, data_of(keep, seed)):
            append(out / COMPARISONS, answer)
            one = json.loads(answer)
            said[one["name"]] = one
    return [Compared(one, said[one.name]) for one in wanted if _is_of(one, said.get(one.name))]


def _is_of(groups: Groups, said: Mapping[str, Any] | None) -> bool:
    return said is not None and (said["base"], said["new"]) == (list(groups.base), list(groups.new))


def _answers(groups: Sequence[Groups], data_dir: Path) -> list[str]:
    if not groups:
        return []
    asked = "".join(json.dumps({"name": one.name, "base": one.base, "new": one.new}) + "\n" for one in groups)
    command = [sys.executable, "-m", "benchmarks.planted.comparing", str(data_dir)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=GIVEN_UP_S)
    return done.stdout.splitlines()
