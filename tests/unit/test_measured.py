"""What the truth benchmark showed is said in three places: README has the table, and the others say the same."""

import re
from pathlib import Path

from producers.profiler import backends
from views.warnings import PYSPY_IN_POOLS

README = (Path(__file__).parents[2] / "README.md").read_text()
RANGE = r"(\d\.\d\d-\d\.\d\d)"
ROW = re.compile(rf"^\| (one thread|a pool of 16|two processes)[^|]*\| {RANGE} [^|]*\| {RANGE} ", re.MULTILINE)


def test_the_samplers_ratios_are_those_of_readme() -> None:
    found = {kind: (austin, pyspy) for kind, austin, pyspy in ROW.findall(README)}
    assert list(found) == ["one thread", "a pool of 16", "two processes"]
    assert backends.__doc__ is not None
    said = {line.split()[0]: line.split()[1:] for line in backends.__doc__.splitlines() if re.search(RANGE, line)}
    assert said["austin"] == [austin for austin, _ in found.values()]
    assert said["py-spy"] == [pyspy for _, pyspy in found.values()]
    assert found["a pool of 16"][1] == PYSPY_IN_POOLS


def test_the_cost_of_watching_is_that_of_readme() -> None:
    costs = re.findall(r"^\| (?:one thread|a pool of 16|two processes).*\| (\d\.\d)% \|$", README, re.MULTILINE)
    assert len(costs) == 3
    assert f"{min(costs)}-{max(costs)}% of a core" in " ".join((backends.__doc__ or "").split())
