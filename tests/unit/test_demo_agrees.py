"""What `make demo-agrees` holds against a demo's report; `tests/integration/test_demo.py` shows it a real one."""

import copy
from typing import Any

import pytest

from benchmarks.demo_agrees import LINEAR, PLANTED, SIGNED, disagreements

GOOD: dict[str, Any] = {
    "accounting": {
        "scheduled": 100,
        "sent": 97,
        "completed": 95,
        "failed": 1,
        "dropped": 3,
        "in_flight_at_end": 1,
        "stored": 96,
        "dead_letters": 0,
        "target_counted": 97,
    },
    "profile": {"coverage": 0.97},
    "functions": [
        {"function": PLANTED, "shape": "superlinear", "growth_low": 1.16},
        {"function": LINEAR, "shape": "linear", "growth_low": 0.9},
    ],
    "findings": [
        {"kind": "superlinear", "function": f"{PLANTED} (sample/shop.py)"},
        {"kind": "superlinear", "function": "search (sample/shop.py)"},
        {"kind": "capacity", "function": None},
        {"kind": "endpoint", "function": f"{SIGNED} (sample/shop.py)", "evidence": {"endpoint": "checkout"}},
        {
            "kind": "endpoint",
            "function": f"{LINEAR}.<locals>.<genexpr> (sample/shop.py)",
            "evidence": {"endpoint": "search"},
        },
    ],
}

CASES = [
    ("one that is as it must be", (), None, 90, None),
    (
        "a request that the shop did not count",
        ("accounting", "target_counted"),
        96,
        90,
        "counted by the shop: 97 and 96",
    ),
    ("no count by the shop", ("accounting", "target_counted"), None, 90, "counted by the shop: 97 and None"),
    ("an arrival that went nowhere", ("accounting", "dropped"), 2, 90, "scheduled, accounted for: 100 and 99"),
    ("an outcome that is not stored", ("accounting", "stored"), 95, 90, "ended, stored: 96 and 95"),
    ("a dead letter", ("accounting", "dead_letters"), 1, 90, "dead letters"),
    ("a planted function that is not found", ("functions", 0, "shape"), "unclear", 90, f"{PLANTED} is unclear"),
    ("one that is not in the profile", ("functions", 0, "function"), "other", 90, f"{PLANTED} is not seen"),
    ("one that hardly grows", ("functions", 0, "growth_low"), 1.15, 90, "grows by 1.15 at least"),
    ("a linear function that is accused", ("functions", 1, "shape"), "superlinear", 90, f"{LINEAR} is superlinear"),
    ("another function first", ("findings", 0, "function"), "main (shop.py)", 90, "main (shop.py) comes first"),
    (
        "a signature that nobody pays for",
        ("findings", 3, "kind"),
        "hot",
        90,
        "nobody is said to pay for Shop.sign_receipt",
    ),
    (
        "one that another pays for",
        ("findings", 3, "evidence", "endpoint"),
        "search",
        90,
        "search is said to pay for Shop.sign_receipt",
    ),
    ("a profile with holes", ("profile", "coverage"), 0.969, 90, "96.9% of the time"),
    ("a run that takes too long", (), None, 101, "it took 101 s"),
]


@pytest.mark.parametrize(("what", "path", "value", "took_s", "said"), CASES, ids=[case[0] for case in CASES])
def test_a_demo_disagrees_when_it_is(
    what: str, path: tuple[str | int, ...], value: object, took_s: float, said: str | None
) -> None:
    report: Any = copy.deepcopy(GOOD)
    if path:
        part = report
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value
    wrong = disagreements(report, took_s)
    assert len(wrong) == (said is not None), wrong
    assert said is None or said in wrong[0]
