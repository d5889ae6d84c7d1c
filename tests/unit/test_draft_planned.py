"""From a draft to a plan: levels, target and service."""

import pytest

from producers.load.drafts import Draft, DraftError, SeenRate, planned
from producers.load.plan import Plan, Request

HERE, THERE = "http://127.0.0.1:9000", "https://shop.test"


def draft(target: str = "", service: str = "", peak_tps: float | None = None) -> Draft:
    seen = None if peak_tps is None else SeenRate(1.0, peak_tps)
    return Draft((Request(name="a", path="/"),), (), target, service, seen)


def plan_of(given: Draft, **more: str | None) -> Plan:
    return planned(given, **({"target": None, "service": None} | more))[0]


TARGETS = [
    # (--target, fetched from, named by the document, the plan's, a piece of the note on it)
    (HERE, THERE, THERE, HERE, None),
    (None, HERE, "", HERE, None),
    (None, HERE, HERE, HERE, None),
    (None, HERE, THERE, HERE, f"the document names {THERE}, but the target is where it came from"),
    (None, "", THERE, THERE, f"the target {THERE} is another machine"),
    (None, "", "http://localhost:1", "http://localhost:1", None),
    (None, "", "", "http://127.0.0.1:8000", "no host is named, so the target is http://127.0.0.1:8000"),
]


@pytest.mark.parametrize(("target", "origin", "named", "planned_for", "said"), TARGETS)
def test_the_target_is_the_users_else_where_it_came_from_else_what_is_named(target, origin, named, planned_for, said):
    plan, notes = planned(draft(named), target=target, service=None, origin=origin)
    assert plan.target == planned_for
    assert [note for note in notes if "target" in note or "machine" in note] == [
        note for note in notes if said is not None and note.startswith(said)
    ]
    assert any(said is not None and note.startswith(said) for note in notes) == (said is not None)


def test_the_service_is_the_users_else_the_documents_else_the_host():
    assert plan_of(draft(HERE, "Shop"), service="tea").service == "tea"
    assert plan_of(draft(HERE, "Shop")).service == "Shop"
    assert plan_of(draft(HERE)).service == "127.0.0.1:9000"


@pytest.mark.parametrize(
    ("peak_tps", "levels", "said"),
    [
        (None, (5, 10, 20, 40), "no rates are known"),
        (400.0, (50, 100, 200, 400), None),
        (1234.0, (150, 310, 620, 1200), None),
        (3.0, (1, 2, 4, 8), "the peak is low"),
        (9e6, (120_000, 250_000, 500_000, 1_000_000), None),
    ],
)
def test_the_levels_reach_up_to_the_peak_or_are_modest(peak_tps, levels, said):
    plan, notes = planned(draft(HERE, peak_tps=peak_tps), target=None, service=None)
    (stage,) = plan.stages  # of one request there is no mix
    assert (stage.levels, stage.visits, stage.each_s) == (levels, 4, 8.0)
    assert plan.thresholds == ("errors < 1%",)
    assert [note.startswith(said) for note in notes if said] == ([True] if said else [])


@pytest.mark.parametrize(("requests", "visits"), [(2, [8]), (6, [8]), (7, [16]), (13, [])])
def test_several_requests_are_told_apart_by_a_swung_mix_at_half_of_the_highest_rate(requests, visits):
    many = Draft(tuple(Request(name=f"r{at}", path="/") for at in range(requests)), (), HERE, "", SeenRate(1.0, 400.0))
    levels, *mixes = plan_of(many).stages
    assert levels.modulate == 0
    assert [(one.levels, one.visits, one.each_s, one.modulate) for one in mixes] == [
        ((200,), of, 4.0, 0.9) for of in visits
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"target": "shop"}, "makes no plan: target: 'shop' is no base URL; write one like http://127.0.0.1:8080"),
        ({"target": "http://me:hush@x/"}, "makes no plan: target: holds a password"),
        ({"service": "x" * 257}, "makes no plan: service: string should have at most 256 characters"),
    ],
)
def test_what_does_not_fit_is_one_sentence(more, said):
    with pytest.raises(DraftError) as caught:
        plan_of(draft(), **more)
    assert str(caught.value).startswith(said)
    assert "hush" not in str(caught.value)
