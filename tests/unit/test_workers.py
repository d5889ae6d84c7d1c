"""How many processes share a load when nobody says it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.plan import Plan
from producers.load.workers import workers_for

PLAIN = {"name": "plain", "path": "/"}
FLOW = {"name": "flow", "scenario": "flow.py:shop"}


def plan_of(stage: dict[str, object], *requests: dict[str, object], engine: str = "auto") -> Plan:
    stages = [{"name": "low", "hold": 1, "for": "1s"}, {"name": "s", "for": "30s"} | stage]
    plan = {"target": "http://127.0.0.1:1", "stages": stages, "requests": requests or (PLAIN,)}
    return Plan.model_validate(plan | {"engine": engine, "max_in_flight": 100_000})


NEEDS = [
    # (stage, engine, requests, processes on 8 cores)
    ({"hold": 100}, "auto", [], 1),
    ({"hold": 30_000}, "auto", [], 1),
    ({"hold": 30_001}, "auto", [], 2),
    ({"spike": [10, 70_000]}, "auto", [], 3),
    ({"ramp": [90_000, 10]}, "auto", [], 3),
    ({"hold": 1_000_000}, "auto", [], 8),
    ({"hold": 3_001}, "aiohttp", [], 2),
    ({"hold": 1_500}, "auto", [FLOW], 2),
    ({"hold": 3_000}, "auto", [PLAIN, FLOW], 2),
    ({"hold": 0}, "auto", [], 1),
    ({"users": 10_000}, "auto", [], 1),
    ({"users": 100_000, "think": "999ms"}, "auto", [], 4),
]


@pytest.mark.parametrize(("stage", "engine", "requests", "count"), NEEDS)
def test_as_many_as_the_highest_rate_needs_up_to_the_cores(stage, engine, requests, count) -> None:
    assert workers_for(plan_of(stage, *requests, engine=engine), 8).count == count


def test_the_reason_is_told() -> None:
    assert workers_for(plan_of({"hold": 40_000}), 8).sentence == (
        "2 load processes: the plan's highest rate is 40,000 TPS, and a core sends 30,000"
    )
    assert workers_for(plan_of({"hold": 90_000}), 2).sentence == (
        "2 load processes: the plan's highest rate is 90,000 TPS, and a core sends 30,000, so it would take 3; "
        "there are 2 cores"
    )
    assert workers_for(plan_of({"hold": 0, "for": "1s"}), 2).sentence.startswith("1 load process: ")


@given(st.floats(0, 1e6), st.integers(1, 64), st.sampled_from(["auto", "aiohttp", "wire"]))
def test_there_is_always_one_and_never_more_than_cores(tps: float, cores: int, engine: str) -> None:
    assert 1 <= workers_for(plan_of({"hold": tps}, engine=engine), cores).count <= cores
