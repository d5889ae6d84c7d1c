import pytest

from analysis.comparison.matching import Key, Moved, moved, new_key

OFTEN, SELDOM = 100.0, 3.0


def side(*labels: str, **seldom: str) -> dict[Key, float]:
    """Functions as `name file`, seen often; those by name and file seldom."""
    found = {(label.split()[0], label.split()[1]): OFTEN for label in labels}
    return found | dict.fromkeys(seldom.items(), SELDOM)


STAYED = ("main app.py", "serve app.py")


@pytest.mark.parametrize(
    ("base", "new", "found"),
    [
        pytest.param(side("rank shop.py"), side("rank shop.py"), [], id="it stayed"),
        pytest.param(
            side("rank shop.py", "buy shop.py", "mail mail.py"),
            side("rank mail.py", "buy shop.py", "mail mail.py"),
            [Moved("shop.py", "mail.py", "rank")],
            id="it moved to a file that was there before",
        ),
        pytest.param(
            side("rank shop.py", "buy shop.py", "mail mail.py", "rank mail.py"),
            side("rank search.py", "buy shop.py", "mail mail.py", "rank mail.py"),
            [],
            id="two functions of the name: nobody knows which",
        ),
        pytest.param(
            side("buy shop.py", rank="shop.py"),
            side("buy shop.py", "rank search.py"),
            [],
            id="it was hardly seen before",
        ),
        pytest.param(side("rank shop.py"), side("order search.py"), [], id="another name in another file"),
        pytest.param(
            side("<lambda> shop.py", "buy shop.py"),
            side("<lambda> mail.py", "buy shop.py"),
            [],
            id="a name that says nothing",
        ),
        pytest.param(
            side("rank old/shop.py", "buy old/shop.py", "<lambda> old/shop.py"),
            side("rank new/shop.py", "buy new/shop.py", "<lambda> new/shop.py"),
            [Moved("old/shop.py", "new/shop.py")],
            id="the whole file has another folder",
        ),
        pytest.param(
            side("rank shop.py", "buy shop.py", "sell shop.py"),
            side("rank store.py", "buy store.py", "pay store.py"),
            [Moved("shop.py", "store.py")],
            id="it was renamed, and some of it changed",
        ),
        pytest.param(
            side("rank shop.py", "buy shop.py", "sell shop.py", "pay shop.py"),
            side("rank search.py", "find search.py", "buy basket.py", "add basket.py"),
            [Moved("shop.py", "basket.py", "buy"), Moved("shop.py", "search.py", "rank")],
            id="it was split in two",
        ),
        pytest.param(
            side("get a.py", "get b.py"),
            side("get c.py", "get d.py"),
            [],
            id="two files that could each be either",
        ),
    ],
)
def test_what_has_another_place_is_known_by_its_name(
    base: dict[Key, float], new: dict[Key, float], found: list[Moved]
) -> None:
    stayed = side(*STAYED)
    assert list(moved(base | stayed, new | stayed, 15.0)) == found


def test_lambdas_go_with_their_file() -> None:
    moves = (Moved("old.py", "new.py"), Moved("a.py", "b.py", "rank"))
    assert new_key(("<lambda>", "old.py"), moves) == ("<lambda>", "new.py")
    assert new_key(("rank", "a.py"), moves) == ("rank", "b.py")
    assert new_key(("sell", "a.py"), moves) == ("sell", "a.py")
