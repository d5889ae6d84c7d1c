import pytest

from analysis.matching import Moved, moved

OFTEN = 100.0


@pytest.mark.parametrize(
    ("base", "new", "found"),
    [
        pytest.param({"rank (shop.py)": OFTEN}, {"rank (shop.py)": OFTEN}, [], id="it stayed"),
        pytest.param({"rank (shop.py)": OFTEN}, {"rank (search.py)": OFTEN}, [("shop.py", "search.py")], id="it moved"),
        pytest.param(
            {"rank (shop.py)": OFTEN, "rank (mail.py)": OFTEN},
            {"rank (search.py)": OFTEN, "rank (mail.py)": OFTEN},
            [],
            id="two functions of the name: nobody knows which",
        ),
        pytest.param({"rank (shop.py)": 3.0}, {"rank (search.py)": OFTEN}, [], id="it was hardly seen before"),
        pytest.param({"rank (shop.py)": OFTEN}, {"order (search.py)": OFTEN}, [], id="another name"),
        pytest.param({"<lambda> (shop.py)": OFTEN}, {"<lambda> (search.py)": OFTEN}, [], id="a name that says nothing"),
    ],
)
def test_a_function_that_moved_to_another_file_is_known_by_its_name(
    base: dict[str, float], new: dict[str, float], found: list[tuple[str, str]]
) -> None:
    sides = [
        {(name, file.rstrip(")")): samples for label, samples in side.items() for name, file in [label.split(" (")]}
        for side in (base, new)
    ]
    assert moved(*sides, 15.0) == tuple(Moved("rank", *files) for files in found)
