"""What comes of a run's checks: its verdict, its JSON, its exit code, and what any later command says of it."""

import json
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadflame.runs import RunOutcome
from loadflame.session import judge_and_print
from loadflame.settings import read_settings
from processors.verify import Check
from sinks.clickhouse import open_store
from tests.support.commands import loadflame
from tests.support.synthetic import Synthetic, levels

HOLDS = Check("I0", True, "9 requests were sent, the target counted 9")
OPEN = Check("I4", None, "not checked")
BROKEN = Check("I3", False, "9 scheduled = 8 completed; 7 stored")


@pytest.mark.parametrize(
    ("checks", "verdict", "code"),
    [
        pytest.param([HOLDS, OPEN], "passed", 0, id="an open check is no broken one"),
        pytest.param([HOLDS, BROKEN], "inconclusive", 3, id="a broken check"),
    ],
)
def test_a_broken_check_is_in_the_verdict_the_json_and_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], checks: list[Check], verdict: str, code: int
) -> None:
    settings = read_settings(data_dir=tmp_path)
    with closing(open_store(settings.store_url)) as store:
        Synthetic(run="r", stages=levels(visits=1, seconds=3)).write(store)
    page = StringIO()
    for as_json in (False, True):
        report = judge_and_print(RunOutcome("r", 1, checks), settings, Console(file=page, width=200), as_json=as_json)
        assert report.run.verdict == verdict
    printed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["ok"]) for one in printed["checks"]] == [(check.name, check.ok) for check in checks]
    assert ("BROKEN" in page.getvalue()) == (BROKEN in checks)
    told = loadflame("report", "r", "--json", data_dir=tmp_path)
    assert (told.returncode, json.loads(told.stdout)) == (code, printed)
    (listed,) = json.loads(loadflame("runs", "--json", data_dir=tmp_path).stdout)
    assert listed["verdict"] == verdict
