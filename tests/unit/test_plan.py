"""What a plan may say, how it says what is wrong, and that it survives being written and read."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from producers.load import plan_schema
from producers.load.plan import Plan, Profile, Request, load_plan, parse_plan
from producers.load.plan_errors import PlanError
from producers.load.prepared import prepared_requests
from producers.load.rates import BytesPerS
from producers.load.stages import Hold, Levels, Ramp
from schemas.durations import format_duration, parse_duration_s

GOOD = """
target: http://127.0.0.1:8080
service: shop
profile: {name: "shop.py"}
stages:
  - {name: ramp, ramp: [20, 200], for: 30s}
  - {name: hold, hold: 200, for: 10s}
  - {name: map, levels: [25, 50, 100, 200], visits: 4, each: 8s, seed: 7}
requests:
  - {name: search, weight: 3, path: "/search?q=tea"}
  - {name: checkout, method: POST, path: /checkout, json: {item: 7}}
thresholds: ["p99(search) < 250ms", "errors < 1%"]
"""


def test_the_plan_of_the_readme_is_read_with_units_and_defaults():
    plan = parse_plan(GOOD, "plan.yaml")
    assert plan.stages == (
        Ramp(name="ramp", ramp=(20, 200), for_s=30.0),
        Hold(name="hold", hold=200, for_s=10.0),
        Levels(name="map", levels=(25, 50, 100, 200), visits=4, each_s=8.0, seed=7),
    )
    assert plan.profile == Profile(name="shop.py")
    assert [(r.name, r.weight, r.method) for r in plan.requests] == [("search", 3, "GET"), ("checkout", 1, "POST")]
    assert (plan.engine, plan.timeout_s, plan.max_in_flight, plan.target_count_path) == ("auto", 10.0, 1000, None)
    assert [threshold.limit for threshold in plan.parsed_thresholds()] == [250.0, 0.01]


MISTAKES = [
    # (what is replaced, by what, the sentence behind "plan.yaml: ")
    ("hold: 200", "hodl: 200", "stages[1]: unknown form 'hodl'; a stage has one of hold, ramp, levels"),
    ("hold: 200, ", "", "stages[1]: has no form; a stage has one of hold, ramp, levels"),
    ("hold: 200", "hold: 200, ramp: [1, 2]", "stages[1]: has hold and ramp at once; a stage has one of hold, ramp"),
    ("{name: hold, hold: 200, for: 10s}", "hold", "stages[1]: 'hold' is no stage; write one like {name: steady"),
    (", for: 10s", "", "stages[1]: the key 'for' is missing; say for how long, as in for: 30s, or until: 18:30"),
    ("for: 10s", "fro: 10s", "stages[1]: unknown key 'fro'; did you mean 'for'?"),
    ("for: 10s", "for: 10s, until: 18:30", "stages[1]: has for and until at once; a stage has one of them"),
    ("for: 10s", "until: 25:00", "stages[1].until: '25:00' is no end; write a time of day like 18:30, or a moment"),
    ("for: 10s", "until: 2026-05-01T18:30:00", "stages[1].until: '2026-05-01T18:30:00' is no end; write a time of"),
    ("for: 10s", "for: 10s, visits: 3", "stages[1]: unknown key 'visits'; known here are name, role, for, until, hold"),
    ("for: 10s", "for: 10", "stages[1].for: 10 is no time; write a number with its unit, like 500ms, 30s, 2m or 1h"),
    ("for: 10s", "for: 0s", "stages[1].for: '0s' is out of range; a time lies between 1ms and 720h"),
    ("[20, 200]", "[20]", "stages[0].ramp: [20] is no pair of rates; give two rates, as in [20, 200]"),
    ("hold: 200", "hold: .nan", "stages[1].hold: nan is no rate; write requests per second, a number from 0 to 1000"),
    ("hold: 200", "hold: 50 MB", "stages[1].hold: '50 MB' is no rate; write requests per second, a number from 0 to"),
    ("hold: 200", "hold: 50mb/s", "stages[1].hold: '50mb' is no size; write a number with its unit, like 512B, 64KiB"),
    ("[25, 50, 100, 200]", "[25, 0B/s]", "stages[2].levels[1]: a level of no requests has nothing to measure"),
    ("[25, 50, 100, 200]", "[25, 25]", "stages[2]: levels names a rate twice; give each once, `visits` repeats them"),
    ("each: 8s", "each: 8s, settle: 9s", "stages[2]: settle leaves nothing of a visit; make it shorter than each"),
    ("name: map", "name: 'map[1]'", "stages[2].name: string should match pattern"),
    ("name: hold", "name: ramp", "two stages are called 'ramp'; give each a name of its own"),
    ("name: checkout", "name: search", "two requests are called 'search'; give each a name of its own"),
    (", path: /checkout", "", "requests[1]: the key 'path' is missing"),
    ("path: /checkout", "path: checkout", "requests[1].path: 'checkout' is no path; it begins with /"),
    ("weight: 3", "wieght: 3", "requests[0]: unknown key 'wieght'; did you mean 'weight'?"),
    ("weight: 3", "weight: -3", "requests[0].weight: input should be greater than 0, not -3"),
    ("weight: 3", "headers: {'a b': c}", "requests[0].headers: 'a b' is no header; a name is one word"),
    ("json: {item: 7}", "json: {item: 7}, body: x", "requests[1]: has json and body at once; a request has one"),
    ('{name: "shop.py"}', "{name: a, pid: 3}", "profile: needs exactly one of pid, name and command"),
    ("http:", "htp:", "target: 'htp://127.0.0.1:8080' is no base URL; write one like http://127.0.0.1:8080"),
    ("http://", "http://me:secret@", "target: holds a password; send it as a header"),
    ("service: shop", "servce: shop", "unknown key 'servce'; did you mean 'service'?"),
    ("target:", "#", "the key 'target' is missing"),
    ("< 250ms", "< 250", "thresholds: threshold 'p99(search) < 250' needs a time in us, ms or s, as in 'p99 < 250ms'"),
    ("p99(search)", "p99(sarch)", "threshold 'p99(sarch) < 250ms' names no request of the plan; there are search, c"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES, ids=[said[:60] for _, _, said in MISTAKES])
def test_a_mistake_is_one_sentence_with_file_key_and_what_would_fit(old, new, said):
    with pytest.raises(PlanError) as caught:
        parse_plan(GOOD.replace(old, new, 1), "plan.yaml")
    assert str(caught.value).startswith(f"plan.yaml: {said}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target: a: b", "plan.yaml, line 1: is no YAML: mapping values are not allowed here"),
        ("target: x\nstages: [", "plan.yaml, line 2: is no YAML"),
        ("target: x\ntarget: y", "plan.yaml, line 2: is no YAML: the key 'target' stands twice"),
        ("", "plan.yaml: holds no plan; it needs the keys target, stages and requests"),
        ("- a", "plan.yaml: holds no plan"),
        ("a: \x07", "plan.yaml: is no YAML"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text, said):
    with pytest.raises(PlanError) as caught:
        parse_plan(text, "plan.yaml")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "cannot be read (No such file or directory); give the path of a plan, a YAML file"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is no text in UTF-8; a plan is a YAML file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_path(tmp_path: Path, make, said):
    path = tmp_path / "my plan.yaml"
    make(path)
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_service_without_a_name_is_called_by_its_host():
    plan = parse_plan(GOOD.replace("service: shop", ""), "plan.yaml")
    assert plan.service == "127.0.0.1:8080"


def test_a_password_comes_from_the_environment_and_stays_out_of_the_plan(monkeypatch):
    plan = parse_plan(GOOD.replace("weight: 3", "headers: {Authorization: 'Bearer ${TOKEN}'}", 1), "plan.yaml")
    with pytest.raises(PlanError, match="request search: header Authorization needs the environment variable TOKEN"):
        prepared_requests(plan)
    monkeypatch.setenv("TOKEN", "s3cret")
    assert prepared_requests(plan)[0].headers_for(0)["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in plan.to_yaml()


def test_a_json_body_is_sent_as_json_unless_the_headers_say_otherwise():
    first, second = prepared_requests(
        Plan(
            target="http://h/base/",
            stages=[Hold(name="a", hold=1, for_s=1.0)],
            requests=[
                Request(name="a", path="/x", json={"ä": 1}),
                Request(name="b", path="/y", json=[], headers={"content-type": "text/plain"}),
            ],
        )
    )
    assert (first.url(0), first.body_for(0)) == ("http://h/base/x", '{"ä": 1}'.encode())
    assert first.headers_for(0)["Content-Type"] == "application/json"
    assert [value for name, value in second.headers_for(0).items() if name.lower() == "content-type"] == ["text/plain"]


def test_the_published_schema_is_up_to_date():
    written = plan_schema.PATH.read_text(encoding="utf-8")
    assert written == plan_schema.text(), "run `python -m producers.load.plan_schema`"


def test_the_schema_takes_the_good_plan_and_refuses_strange_keys():
    validator = jsonschema.Draft202012Validator(plan_schema.plan_schema())
    validator.check_schema(validator.schema)
    plan = yaml.safe_load(GOOD)
    validator.validate(plan)
    for strange in ({**plan, "tarqet": "x"}, {**plan, "stages": [{"name": "a", "hodl": 3, "for": "1s"}]}):
        assert not validator.is_valid(strange)


durations = st.integers(1, 10**7).map(lambda ms: ms / 1000)
in_bytes = st.integers(1, 1 << 40).map(BytesPerS)
rates = st.one_of(st.integers(0, 10**6).map(float), st.floats(0, 1e6), in_bytes)
positive = st.floats(1e-3, 1e6)
names = st.text(st.characters(codec="utf-8", exclude_characters="[]", exclude_categories=["C", "Z"]), min_size=1)
stages = st.one_of(
    st.builds(lambda r, d: {"hold": r, "for_s": d}, rates, durations),
    st.builds(lambda a, b, d: {"ramp": (a, b), "for_s": d}, rates, rates, durations),
    st.builds(lambda r, end: {"soak": r, "until": end}, rates, st.sampled_from(["18:30", "2026-05-01T18:30:00Z"])),
    st.builds(
        lambda levels, visits, d, seed: {"levels": tuple(levels), "visits": visits, "each_s": d, "seed": seed},
        st.lists(positive | in_bytes, min_size=1, max_size=5, unique=True),
        st.integers(1, 9),
        durations,
        st.integers(0, 2**32),
    ),
)
bodies = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    called = draw(st.lists(names.filter(lambda n: len(n) <= 20), min_size=1, max_size=4, unique=True))
    return Plan.model_validate(
        {
            "target": draw(st.sampled_from(["http://127.0.0.1:8080", "https://[::1]/api", "http://host"])),
            "service": draw(names),
            "stages": [{"name": name, **draw(stages)} for name in called],
            "requests": [
                {"name": name, "path": "/" + name.replace("#", ""), "weight": draw(positive), "json": draw(bodies)}
                for name in called
            ],
            "timeout_s": draw(durations),
            "max_in_flight": draw(st.integers(1, 100_000)),
        }
    )


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "\u2029", "caf\u00e9", "\r\n", "\ufeff", "\x7f"])
def test_text_is_what_it_was_after_being_written_as_yaml(text):
    plan = parse_plan(GOOD, "plan.yaml")
    request = Request(name="a", path="/", json=text, body=None)
    plan = plan.model_copy(update={"requests": (request,), "thresholds": ()})
    assert parse_plan(plan.to_yaml(), "again") == plan


@given(plan=plans())
def test_whatever_a_plan_says_it_says_again_after_being_written_as_yaml_or_json(plan):
    assert parse_plan(plan.to_yaml(), "again") == plan
    assert Plan.model_validate(json.loads(json.dumps(plan.model_dump(mode="json")))) == plan


@given(plan=plans())
def test_every_plan_as_it_is_written_keeps_the_schema(plan):
    VALIDATOR.validate(yaml.safe_load(plan.to_yaml()))


VALIDATOR = jsonschema.Draft202012Validator(plan_schema.plan_schema())


@given(seconds=st.floats(1e-3, 30 * 86400.0))
def test_a_time_is_the_same_after_being_written(seconds):
    assert parse_duration_s(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("2m", 120.0), ("1.5h", 5400.0), (" 8 s ", 8.0), (0.25, 0.25)],
)
def test_times_have_units(text, seconds):
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5", "5 parsecs", "-3s", "1e3s", 7, None, "0.0001s", "9999h", float("nan")])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"is no time|out of range"):
        parse_duration_s(text)
