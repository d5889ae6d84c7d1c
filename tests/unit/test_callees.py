import pytest

from analysis.costs.callees import shares_of_callees

STACKS = [
    (("main", "search", "rank"), 6.0),
    (("main", "search", "sweep", "scan"), 3.0),
    (("main", "search"), 1.0),
    (("main", "checkout", "sweep"), 10.0),
]


@pytest.mark.parametrize(
    ("function", "shares"),
    [
        ("search", {"rank": 0.6, "sweep": 0.3, "search": 0.1}),
        ("main", {"search": 0.5, "checkout": 0.5}),
        ("rank", {"rank": 1.0}),
        ("nobody", {}),
    ],
)
def test_the_time_of_a_function_is_its_callees_and_its_own(function: str, shares: dict[str, float]) -> None:
    found = shares_of_callees(STACKS, function)
    assert found == pytest.approx(shares)
    assert list(found) == list(shares)


def test_a_function_that_calls_itself_is_no_callee_of_its_own() -> None:
    assert shares_of_callees([(("walk", "walk", "walk", "hash"), 4.0)], "walk") == {"hash": 1.0}
