"""`loadflame find-limit` on the sample shop: real processes, real load."""

import json
import urllib.request
from pathlib import Path

import pytest
import yaml

from loadflame.demo import demo_plan, sample_shop
from tests.support.commands import checks_of, loadflame, report_of

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_the_rate_is_raised_until_a_threshold_breaks_and_everything_is_counted(tmp_path: Path) -> None:
    with sample_shop() as (url, pid):
        plan = demo_plan(url).model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
        file = tmp_path / "plan.yaml"
        file.write_text(yaml.safe_dump(plan | {"profile": {"pid": pid}, "thresholds": ["p99 < 100ms"]}))
        options = ("--start", "300", "--each", "3", "--resolution", "0.5", "--json")
        done = loadflame("find-limit", str(file), *options, data_dir=tmp_path / "data")
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    assert done.returncode in (0, 3), done.stderr  # 3: a busy machine may keep the generator from its schedule
    limit = json.loads(done.stdout)["limit"]
    assert [step["tps"] for step in limit["steps"]][:1] == [300]
    if done.returncode == 0:
        assert limit["steps"][-1]["broken"] is not None or limit["violated_tps"] is not None
        assert (limit["held_tps"] or 0) < limit["violated_tps"]
    report = report_of(tmp_path / "data")
    assert len(report["load"]) == len(limit["steps"])
    assert report["generator"]["reason"] == "the fastest, and it can do all that the plan asks for"
    assert report["accounting"]["sent"] == counted
    assert all(checks_of(tmp_path / "data")[name] for name in ("I0", "I1", "I2", "I3"))
