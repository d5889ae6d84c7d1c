"""How a scenario is found and loaded, what its mistakes are called, and that its path outlives a copy of the plan."""

import gzip
from pathlib import Path

import pytest

from producers.load.checking import MOST_BODY_BYTES
from producers.load.engine import choose_engine
from producers.load.plan import Plan, Request, load_plan, parse_plan
from producers.load.plan_errors import PlanError
from producers.load.prepared import prepared_requests
from producers.load.recorder import MOST_ERRORS, OTHER_ERRORS, Recorder
from producers.load.scenario_user import Answer
from producers.load.scenarios import load_scenario

PLAN = """
target: http://127.0.0.1:8080
stages: [{name: hold, hold: 5, for: 1s}]
requests:
  - {name: checkout, scenario: "flows/flow.py:checkout", headers: {X-Who: "u{{counter}}"}}
  - {name: plain, path: /}
"""
CODE = "async def checkout(user):\n    pass\n"


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A scenario beside nothing, in a folder `flows` below the plan's."""
    path = tmp_path / "flows" / "flow.py"
    path.parent.mkdir()
    path.write_text(CODE)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return path


def test_a_scenario_is_found_beside_the_plan_and_still_when_the_plan_is_written_elsewhere(flow: Path, tmp_path: Path):
    plan = load_plan(tmp_path / "plan.yaml")
    elsewhere = tmp_path / "runs" / "plan.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(plan.to_yaml())
    again = load_plan(elsewhere)
    assert again == plan
    assert again.requests[0].scenario == f"{flow}:checkout"
    scenario = prepared_requests(again)[0].scenario
    assert scenario is not None
    assert scenario.function.__name__ == "checkout"


def test_a_plan_that_is_named_relatively_has_an_absolute_scenario_all_the_same(flow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_plan(Path("plan.yaml")).requests[0].scenario == f"{flow}:checkout"


def test_two_scenarios_of_one_file_share_its_module_and_two_files_of_one_name_do_not(flow: Path, tmp_path: Path):
    flow.write_text("seen = []\nasync def a(user):\n    seen.append(1)\nasync def b(user):\n    pass\n")
    other = tmp_path / "flow.py"
    other.write_text(CODE.replace("pass", "return 7"))
    a, b, checkout = (load_scenario(text) for text in (f"{flow}:a", f"{flow}:b", f"{other}:checkout"))
    assert a.function.__globals__ is b.function.__globals__
    assert checkout.function.__globals__ is not a.function.__globals__


def test_a_scenario_may_hold_dataclasses_and_import_what_lies_beside_it(flow: Path):
    (flow.parent / "beside_the_flow.py").write_text("PRICE = 7\n")
    flow.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY\n"
        "from beside_the_flow import PRICE\n\n@dataclass\nclass Item:\n    price: int = PRICE\n    _: KW_ONLY\n" + CODE
    )
    assert load_scenario(f"{flow}:checkout").function.__globals__["Item"]().price == 7


MISTAKES = [
    # (the file, the function, what is said)
    (CODE, "chekout", "flow.py has no async function chekout; write `async def chekout(user):`"),
    ("def checkout(user):\n    pass\n", "checkout", "flow.py has no async function checkout"),
    ("checkout = 3\n", "checkout", "flow.py has no async function checkout"),
    ("\nasync def checkout():\n    pass\n", "checkout", "checkout at flow.py:2 takes other arguments"),
    ("\n\nimport no_such_thing\n", "checkout", "ModuleNotFoundError at flow.py:3 (No module named 'no_such_thing')"),
    ("\nasync def checkout(user:\n", "checkout", "SyntaxError at flow.py:2 ('(' was never closed)"),
    ("def f():\n    raise ValueError('a\\nb' + 900 * 'c')\nf()\n", "checkout", "ValueError at flow.py:2 (a bccc"),
    ("import sys\nsys.exit(3)\n", "checkout", "SystemExit at flow.py:2 (3)"),
]


@pytest.mark.parametrize(("code", "function", "said"), MISTAKES, ids=[said[:50] for *_, said in MISTAKES])
def test_a_scenario_that_cannot_be_loaded_is_one_sentence_with_file_and_line(flow: Path, code, function, said):
    flow.write_text(code)
    with pytest.raises(PlanError) as caught:
        load_scenario(f"{flow}:{function}")
    assert said in str(caught.value)
    assert str(flow) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(flow))


def test_a_scenario_that_is_mended_after_it_did_not_import_is_loaded(flow: Path):
    flow.write_text("import no_such_thing\n")
    with pytest.raises(PlanError):
        load_scenario(f"{flow}:checkout")
    flow.write_text(CODE)
    assert load_scenario(f"{flow}:checkout").file == flow


def test_a_scenario_that_is_not_there_is_said_before_anything_starts(flow: Path, tmp_path: Path):
    flow.unlink()
    with pytest.raises(PlanError, match=r"flow\.py is not there; its path is relative to the plan's"):
        prepared_requests(load_plan(tmp_path / "plan.yaml"))


@pytest.mark.parametrize("name", ["schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_module_beside_it_with_a_name_of_ours_is_refused(flow: Path, name: str, form: str):
    shadow = flow.parent / form.format(name)
    shadow.parent.mkdir(exist_ok=True)
    shadow.touch()
    with pytest.raises(PlanError, match="has the name of a part of loadflame; rename it, or move the scenario"):
        load_scenario(f"{flow}:checkout")


def test_a_folder_with_a_name_of_ours_that_is_no_package_is_in_nobodys_way(flow: Path):
    (flow.parent / "views").mkdir()
    assert load_scenario(f"{flow}:checkout")


REQUESTS = [
    ({}, "the key 'path' is missing; give a path, or a scenario"),
    ({"scenario": "flow.py"}, "'flow.py' is no scenario; write a file and its async function, as in flow.py:checkout"),
    ({"scenario": "flow:checkout"}, "is no scenario"),
    ({"scenario": "flow.py:check out"}, "is no scenario"),
    ({"scenario": "f.py:f", "path": "/"}, "has scenario and path at once; a scenario makes its requests and checks"),
    ({"scenario": "f.py:f", "method": "POST"}, "has scenario and method at once"),
    ({"scenario": "f.py:f", "json": {}}, "has scenario and json at once"),
    ({"scenario": "f.py:f", "body_size": "1KiB"}, "has scenario and body_size at once"),
    ({"scenario": "f.py:f", "checks": [{"status": 200}]}, "has scenario and checks at once"),
]


@pytest.mark.parametrize(("keys", "said"), REQUESTS, ids=[said[:50] for _, said in REQUESTS])
def test_a_request_has_either_a_path_or_a_scenario(keys: dict, said: str):
    with pytest.raises(ValueError, match=said):
        Request.model_validate({"name": "r", **keys})


def test_only_the_engine_that_can_do_everything_runs_scenarios():
    plan = parse_plan(PLAN, "plan.yaml")
    choice = choose_engine(plan)
    assert (choice.name, choice.reason) == ("aiohttp", "request checkout is a scenario")
    with pytest.raises(PlanError, match="engine wire cannot send what the plan asks for: request checkout is a scena"):
        choose_engine(Plan.model_validate(plan.model_dump() | {"engine": "wire"}))


def test_ever_new_names_of_errors_are_bounded():
    into = Recorder(["r"], ["s"], window_us=1_000_000)
    for number in range(MOST_ERRORS + 500):
        into.ended(0, 0, 0, 0, 0, number, 0, f"error {number % (MOST_ERRORS + 250)}", 0, 0)
    errors = into.take(0).rows.column("error").to_pylist()
    assert errors[:MOST_ERRORS] == [f"error {number}" for number in range(MOST_ERRORS)]
    assert errors[MOST_ERRORS:] == [OTHER_ERRORS] * 250 + [f"error {number}" for number in range(250)]


def test_an_answer_is_read_as_text_or_json_inflated_and_within_bounds():
    packed = Answer(200, {"content-encoding": "GZip"}, gzip.compress(b'{"a": [1]}'))
    assert (packed.text, packed.json()) == ('{"a": [1]}', {"a": [1]})
    for content, headers in ((bytes(MOST_BODY_BYTES + 1), {}), (gzip.compress(bytes(8 << 20)), packed.headers)):
        with pytest.raises(ValueError, match="too long"):
            _ = Answer(200, headers, content).text
