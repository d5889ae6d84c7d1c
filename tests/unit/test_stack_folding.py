"""Folded stacks are read back exactly, whatever functions are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.stacks import fold, frame, split_frame, unfold

labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    [";", "\\", "a;b", "\\;", ";\\", "a\\", "\\\\", "a;", ";;"]
)


@given(st.lists(labels, max_size=6))
def test_unfolding_is_the_inverse_of_folding(frames: list[str]) -> None:
    assert unfold(fold(frames)) == tuple(frames)


@given(st.lists(labels, max_size=4), st.lists(labels, max_size=4))
def test_two_stacks_fold_to_the_same_text_only_when_they_are_the_same(some: list[str], others: list[str]) -> None:
    assert (fold(some) == fold(others)) == (some == others)


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([], ""),
        (["main (shop.py)", "search (shop.py)"], "main (shop.py);search (shop.py)"),
        (["a;b"], r"a\;b"),
        (["a\\", "b"], r"a\\;b"),
        (["a\\;", "b"], r"a\\\;;b"),
    ],
)
def test_the_text_is_that_of_flame_graph_tools_with_the_semicolon_escaped(frames: list[str], text: str) -> None:
    assert fold(frames) == text
    assert unfold(text) == tuple(frames)


@pytest.mark.parametrize(
    ("function", "file", "label"),
    [
        ("main", "/srv/app/__init__.py", "main (app/__init__.py)"),
        ("main", "shop.py", "main (shop.py)"),
        ("<genexpr>", "a/b/c/d.py", "<genexpr> (c/d.py)"),
        ("Shop.sweep (old)", "shop.py", "Shop.sweep (old) (shop.py)"),
    ],
)
def test_a_frame_keeps_the_last_two_parts_of_its_file(function: str, file: str, label: str) -> None:
    assert frame(function, file) == label
    assert split_frame(label) == (function, "/".join(file.split("/")[-2:]))


def test_a_frame_without_a_file_is_all_function() -> None:
    assert split_frame("<native>") == ("<native>", "")
