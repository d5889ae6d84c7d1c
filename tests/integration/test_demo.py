"""`loadflame demo`, as a newcomer runs it: on a busy machine too it counts exactly and accuses nobody innocent."""

import json
from pathlib import Path

import pytest

from benchmarks.demo_agrees import LINEAR, PLANTED, demo, function_of, misblamed, uncounted, unfound
from loadflame.demo import LEVELS_TPS, MIX_TPS, MIX_VISIT_S, MIX_VISITS, VISIT_S, VISITS

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_the_demo_counts_every_request_and_names_the_planted_function_first(tmp_path: Path) -> None:
    done = demo(data_dir=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["accounting"]["scheduled"] == VISITS * VISIT_S * sum(LEVELS_TPS) + MIX_TPS * MIX_VISITS * MIX_VISIT_S
    assert uncounted(report) == []
    assert report["profile"]["coverage"] > 0.9
    assert function_of(report, PLANTED)["samples"] > 0
    assert function_of(report, LINEAR)["shape"] != "superlinear"
    growing = [finding["function"] for finding in report["findings"] if finding["kind"] == "superlinear"]
    assert not growing or growing[0].startswith(f"{PLANTED} "), growing
    assert misblamed(report) == []
    if report["run"]["verdict"] == "passed" and report["growth"]["design"] == "levels":
        assert unfound(report) == []
