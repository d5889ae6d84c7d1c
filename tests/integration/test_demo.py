"""`loadflame demo`, as a newcomer runs it: on a busy machine too it counts exactly and accuses nobody innocent."""

import json
from pathlib import Path

import pytest

from benchmarks.demo_agrees import LINEAR, PLANTED, demo, function_of, misblamed, uncounted, unfound
from loadflame.demo import LEVELS_TPS, MIX_TPS, MIX_VISIT_S, MIX_VISITS, VISIT_S, VISITS
from schemas.stacks import split_frame, unfold
from tests.support.commands import loadflame

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def stands_with(name: str, folder: Path) -> set[str]:
    """A function, and all that call it, as the run's stacks have them."""
    loadflame("report", "--folded", str(folder / "stacks"), data_dir=folder / "data")
    found = set()
    for line in (folder / "stacks").read_text().splitlines():
        frames = unfold(line.rpartition(" ")[0])
        last = max((place for place, label in enumerate(frames) if split_frame(label)[0] == name), default=-1)
        found.update(frames[: last + 1])
    return found


def test_the_demo_counts_every_request_and_accuses_nobody_innocent(tmp_path: Path) -> None:
    done = demo(data_dir=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["accounting"]["scheduled"] == VISITS * VISIT_S * sum(LEVELS_TPS) + MIX_TPS * MIX_VISITS * MIX_VISIT_S
    assert uncounted(report) == []
    assert report["profile"]["coverage"] > 0.9
    assert function_of(report, PLANTED)["samples"] > 0
    assert function_of(report, LINEAR)["shape"] != "superlinear"
    growing = {finding["function"] for finding in report["findings"] if finding["kind"] == "superlinear"}
    assert growing <= stands_with(PLANTED, tmp_path), "who calls it grows as well, and is seen in more samples"
    assert misblamed(report) == []
    if report["run"]["verdict"] == "passed" and report["growth"]["design"] == "levels":
        assert unfound(report) == []
