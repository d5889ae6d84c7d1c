"""`loadflame find-limit` on the sample shop: real processes, real load."""

import json
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
import yaml

from loadflame.demo import demo_plan, sample_shop
from tests.support.commands import checks_in, loadflame, report_of

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_the_rate_is_raised_until_a_threshold_breaks_and_everything_is_counted(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = demo_plan(url).model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
        file = tmp_path / "plan.yaml"
        file.write_text(yaml.safe_dump(plan | {"profile": {"pid": pid}, "thresholds": ["p99 < 100ms"]}))
        options = ("--start", "450", "--each", "3", "--resolution", "0.5", "--json")
        done = loadflame("find-limit", str(file), *options, data_dir=tmp_path / "data")
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    # 3: a busy machine may keep the generator from its schedule; 1: or the service from any rate.
    assert done.returncode in (0, 1, 3), done.stderr
    limit = json.loads(done.stdout)["limit"]
    steps = limit["steps"]
    assert steps[0]["tps"] == 450
    assert limit["sentence"] in " ".join(done.stderr.split())
    assert all(3 <= step["seconds"] <= 9 for step in steps)
    assert [step["late"] is not None for step in steps] == [False] * (len(steps) - 1) + [done.returncode == 3]
    judged = steps[:-1] if done.returncode == 3 else steps
    for step in judged:
        if limit["held_tps"] and step["tps"] <= limit["held_tps"]:
            assert step["broken"] is None
        if limit["violated_tps"] and step["tps"] >= limit["violated_tps"]:
            assert step["broken"] is not None
    if done.returncode == 0:
        assert limit["interval"] == [limit["held_tps"], limit["violated_tps"]]
        assert f"the limit lies in [{limit['held_tps']:,.5g}, {limit['violated_tps']:,.5g}]" in limit["sentence"]
        visits = Counter(step["tps"] for step in steps)
        assert visits[limit["held_tps"]] == visits[limit["violated_tps"]] == 2
    elif done.returncode == 1:
        assert limit["held_tps"] is None
        assert all(step["broken"] for step in steps)
    else:
        assert f"the generator could not keep up at {steps[-1]['tps']:.4g} TPS" in limit["note"]
    report = report_of(tmp_path / "data")
    rows = report["load"]
    tried = [f"find {step['tps']:.6g}" for step in steps]
    assert [row["stage"].removesuffix(" again") for row in rows] == tried
    for row, step in zip(rows, steps, strict=True):
        assert row["offered_tps"] == pytest.approx(step["tps"], rel=0.15), "a step is as long as it was held"
    assert report["generator"]["reason"] == "the fastest, and it can do all that the plan asks for"
    assert report["accounting"]["sent"] == counted
    assert all(checks_in(report)[name] for name in ("I0", "I1", "I2", "I3"))
