"""Findings are told once each, again when they say something else, and never often."""

from math import ceil, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.finding import Finding
from analysis.telling import GROWN, Told, changed, named, to_tell

SENTENCE = "`f2` (a3.py) costs 180 us per request at 25 TPS (growth 2.0 [1.8, 2.2]); expect 1,258 [1,100, 1,400] TPS."


def finding(summary: str = SENTENCE, kind: str = "superlinear", function: str | None = "f2 (a3.py)") -> Finding:
    return Finding(kind, summary, function)


NAME = "superlinear/f2 (a3.py)"
FOUND = {NAME: finding()}


@pytest.mark.parametrize(
    ("what", "now", "is_changed"),
    [
        ("the same", SENTENCE, False),
        ("a figure a little larger", SENTENCE.replace("180 us", "210 us"), False),
        ("a figure a fifth larger", SENTENCE.replace("180 us", "220 us"), True),
        ("a figure a fifth smaller", SENTENCE.replace("1,258", "1,000"), True),
        ("an interval that has narrowed", SENTENCE.replace("1.8, 2.2", "1.9, 2.1"), False),
        ("an interval that has moved", SENTENCE.replace("1.8, 2.2", "1.2, 2.2"), True),
        ("other words", SENTENCE.replace("costs", "stops shop: it costs"), True),
        ("figures that came or went", SENTENCE.replace(" [1.8, 2.2]", ""), True),
        ("another function, whose name has another number", SENTENCE.replace("f2", "f3"), True),
        ("an end that changed its sign", SENTENCE.replace("[1.8,", "[-1.8,"), True),
    ],
)
def test_a_sentence_changes_with_its_words_and_with_figures_that_moved_by_a_fifth(
    what: str, now: str, is_changed: bool
) -> None:
    assert changed(SENTENCE, now) is is_changed, what


def test_the_first_look_tells_nothing_and_the_second_what_both_found() -> None:
    assert to_tell({}, FOUND, windows=5, is_over=False) == {}
    assert to_tell({}, FOUND, windows=9, is_over=False, before={NAME}) == {NAME: Told(finding(), 1, 9)}


def test_what_is_found_again_is_not_told_again() -> None:
    told = {NAME: Told(finding(), 1, 9)}
    for found in (FOUND, {NAME: finding(SENTENCE.replace("180", "185"))}):
        assert to_tell(told, found, windows=1000, is_over=False, before={NAME}) == {}


def test_another_sentence_is_a_revision_once_the_run_has_grown_by_a_quarter() -> None:
    told, now = {NAME: Told(finding(), 1, 100)}, finding(SENTENCE.replace("180", "400"))
    assert to_tell(told, {NAME: now}, windows=124, is_over=False, before={NAME}) == {}
    assert to_tell(told, {NAME: now}, windows=125, is_over=False, before={NAME}) == {NAME: Told(now, 2, 125)}


def test_what_two_looks_in_a_row_do_not_find_is_withdrawn_and_may_be_made_again() -> None:
    told = {NAME: Told(finding(), 1, 100)}
    assert to_tell(told, {}, windows=200, is_over=False, before={NAME}) == {}
    gone = to_tell(told, {}, windows=210, is_over=False, before=())
    assert gone == {NAME: Told(finding(), 2, 210, stands=False)}
    assert to_tell(gone, {}, windows=900, is_over=True) == {}, "once"
    assert to_tell(gone, FOUND, windows=300, is_over=False) == {}, "one look may be a fluke"
    assert to_tell(gone, FOUND, windows=300, is_over=False, before={NAME}) == {NAME: Told(finding(), 3, 300)}


def test_that_there_is_no_finding_is_told_at_the_end_only() -> None:
    nothing = {"none/": finding("No finding: nothing grows.", "none", None)}
    assert to_tell({}, nothing, windows=50, is_over=False, before=nothing) == {}
    assert list(to_tell({}, nothing, windows=50, is_over=True)) == ["none/"]


def test_at_the_end_the_least_change_is_told_and_what_is_told_already_is_not() -> None:
    told = {NAME: Told(finding(), 1, 100), "hot/g": Told(finding("`g` is hot.", "hot", "g"), 4, 90)}
    now = finding(SENTENCE.replace("180", "181"))
    ended = to_tell(told, {NAME: now}, windows=101, is_over=True)
    assert ended == {NAME: Told(now, 2, 101), "hot/g": Told(told["hot/g"].finding, 5, 101, stands=False)}
    assert to_tell(told | ended, {NAME: now}, windows=101, is_over=True) == {}


def test_findings_of_one_kind_and_function_have_names_of_their_own() -> None:
    several = [finding(), finding("b"), finding("c"), finding("d", "hot"), finding("e", "capacity", None)]
    assert list(named(several)) == [NAME, f"{NAME}/2", f"{NAME}/3", "hot/f2 (a3.py)", "capacity/"]
    assert list(named(several).values()) == several


sentences = st.sampled_from([SENTENCE, SENTENCE.replace("180", "400"), SENTENCE.replace("costs", "stops shop at")])
looks = st.lists(st.dictionaries(st.sampled_from("abc"), sentences), max_size=60)


@given(looks, st.data())
def test_a_subscriber_ends_with_what_the_report_says_and_hears_of_a_finding_less_and_less(
    course: list[dict[str, str]], data: st.DataObject
) -> None:
    told: dict[str, Told] = {}
    heard: dict[str, list[Told]] = {}
    before: set[str] = set()
    windows = 1
    for place, look in enumerate([*course, course[-1] if course else {}]):
        windows += data.draw(st.integers(1, 30))
        found = {name: finding(text) for name, text in look.items()}
        is_over = place == len(course)
        news = to_tell(told, found, windows=windows, is_over=is_over, before=before)
        for name, one in news.items():
            heard.setdefault(name, []).append(one)
            if not is_over:
                assert one.windows >= GROWN * (told[name].windows if name in told else 0)
        told |= news
        before = set(found)
    assert {name: one.finding for name, one in told.items() if one.stands} == found
    for said in heard.values():
        assert [one.revision for one in said] == list(range(1, len(said) + 1)), "each revision once"
        assert len(said) <= 2 + ceil(log(windows) / log(GROWN)), "the logarithm of the run's length, and the end"
