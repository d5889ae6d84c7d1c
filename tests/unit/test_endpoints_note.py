"""What is said below the functions of a run: how far it was seen who pays, or why nobody knows, and what to do."""

from types import SimpleNamespace
from typing import Any

import pytest

from views.natural import endpoints_note

OBSERVED, LOADED = {"observed": {"by": "middleware", "from": "told"}}, {"stages": []}
AUSTIN, PY_SPY = ({"backend": "austin"},), ({"backend": "py-spy"},)


@pytest.mark.parametrize(
    ("plan", "instances", "note", "seen", "said"),
    [
        pytest.param(OBSERVED, AUSTIN, "as seen: 97%", True, "as seen: 97%", id="it was seen"),
        pytest.param(OBSERVED, AUSTIN, "", False, "", id="one endpoint alone pays for everything"),
        pytest.param(OBSERVED, AUSTIN, "no mix", False, "none was taken on a thread while", id="nothing joined"),
        pytest.param(OBSERVED, PY_SPY, "no mix", False, "take austin (`--backend austin`)", id="no times of samples"),
        pytest.param(OBSERVED, (), "no mix", False, "middleware tells (`loadflame observe --socket`", id="no agent"),
        pytest.param({"observed": {"by": "log"}}, AUSTIN, "no mix", False, "the service's own middleware", id="a log"),
        pytest.param(LOADED, AUSTIN, "no mix", False, "no mix", id="a load without a swung mix"),
    ],
)
def test_the_note_says_what_to_do(plan: dict[str, Any], instances: Any, note: str, seen: bool, said: str) -> None:
    run: Any = SimpleNamespace(plan=plan, instances=instances)
    found = endpoints_note(run, note, seen=seen)
    assert said in found
    assert bool(found) is bool(said)
