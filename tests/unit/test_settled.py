"""A plan once its run begins: rates in requests per second, stages with their length."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.plan import Plan, parse_plan
from producers.load.plan_errors import PlanError
from producers.load.rates import BytesPerS
from producers.load.segments import segments_of
from producers.load.settled import settled
from schemas.moments import parse_moment_us

NOON_US = parse_moment_us("2026-05-01T12:00:00Z")
BERLIN = ZoneInfo("Europe/Berlin")
GET = {"name": "get", "path": "/"}


def plan_of(*stages: dict[str, object], requests: list[dict[str, object]] | None = None, **more: object) -> Plan:
    named = [{"name": f"s{number}"} | stage for number, stage in enumerate(stages)]
    return Plan.model_validate({"target": "http://h", "stages": named, "requests": requests or [GET]} | more)


def lengths(*stages: dict[str, object], start: str = "2026-05-01T12:00:00Z") -> list[float | None]:
    plan = settled(plan_of(*stages), parse_moment_us(start), BERLIN)
    assert all(getattr(stage, "until", None) is None for stage in plan.stages)
    return [getattr(stage, "for_s", None) for stage in plan.stages]


ENDS = [
    # (until, when the run begins, seconds that the stage lasts), in Berlin: summer time from March 29 to October 25
    ("2026-05-01T12:00:30Z", "2026-05-01T12:00:00Z", 30),
    ("2026-05-01T14:00:30.5+02:00", "2026-05-01T12:00:00Z", 30.5),
    ("18:30", "2026-05-01T12:00:00Z", 4.5 * 3600),
    ("18:30:15", "2026-05-01T12:00:00Z", 4.5 * 3600 + 15),
    ("14:00", "2026-05-01T12:00:00Z", 24 * 3600),
    ("13:59", "2026-05-01T12:00:00Z", 24 * 3600 - 60),
    ("08:00", "2026-03-28T19:00:00Z", 11 * 3600),  # the night is an hour shorter
    ("08:00", "2026-10-24T18:00:00Z", 13 * 3600),
]


@pytest.mark.parametrize(("until", "start", "seconds"), ENDS)
def test_a_stage_lasts_until_the_first_such_time_after_it_begins(until, start, seconds) -> None:
    assert lengths({"hold": 10, "until": until}, start=start) == [seconds]


def test_a_stage_begins_where_the_one_before_it_ends() -> None:
    stages = (
        {"levels": [10, 20], "visits": 3, "each": "10s"},
        {"step": [10, 20], "steps": 3, "each": "20s"},
        {"soak": 5, "until": "14:10"},
        {"users": 3, "until": "14:11"},
        {"ramp": [1, 2], "for": "5s"},
        {"sine": [1, 2], "period": "1h", "until": "2026-05-01T12:20:00Z"},
    )
    assert lengths(*stages) == [None, None, 480, 60, 5, 535]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"hold": 1, "until": "2026-05-01T11:59:59Z"}, "stage s0: `until: 2026-05-01T11:59:59Z` is over before the"),
        ({"hold": 1, "until": "2026-07-01T12:00:00Z"}, "stage s0: for_s: 5270400.0 is out of range; a time lies"),
        ({"spike": [1, 9], "until": "14:00:05"}, "stage s0: peak and twice rise leave no time for the base"),
        ({"sine": [1, 9], "period": "1s", "until": "18:00"}, "stage s0: has over 1000 periods"),
    ],
)
def test_an_end_that_does_not_fit_is_said_when_the_run_begins(stage, said) -> None:
    with pytest.raises(PlanError, match="^" + said.replace("(", r"\(")):
        settled(plan_of(stage), NOON_US, BERLIN)


@given(st.integers(0, 2 * 10**9), st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_never_more_than_a_day_and_an_hour_away(start_s: int, hour: int, minute: int) -> None:
    plan = settled(plan_of({"hold": 1, "until": f"{hour:02}:{minute:02}"}), start_s * 10**6, BERLIN)
    seconds = plan.stages[0].duration_s
    assert 0 < seconds <= 25 * 3600
    end = datetime.fromtimestamp(start_s + seconds, BERLIN)
    lost = end.utcoffset() != datetime.fromtimestamp(start_s, BERLIN).utcoffset()
    assert (end.hour, end.minute) == (hour, minute) or lost, "but for the hour that a night in March has not"


POST = {"name": "post", "method": "POST", "path": "/"}
MOVED = [
    # (requests, what 5MB/s is in requests per second)
    ([POST | {"body": "x" * 1000}], 5_000),
    ([POST | {"body_size": "10MB"}], 0.5),
    ([POST | {"json": {"item": 7}}], 5e6 / len(json.dumps({"item": 7}))),
    ([POST | {"json": {"n": "{{counter}}"}}], 5e6 / len('{"n": "0"}')),
    ([GET | {"answer_size": "10MB"}], 0.5),
    ([POST | {"body_size": "4MB", "answer_size": "6MB"}], 0.5),
    ([POST | {"body_size": "1MB", "weight": 3}, GET | {"answer_size": "5MB"}], 5 / 2),
    ([POST | {"body_size": "1MB"}, GET | {"answer_size": "0B"}], 10),
    ([{"name": "flow", "scenario": "flow.py:shop", "answer_size": "5MB"}], 1),
]


@pytest.mark.parametrize(("requests", "tps"), MOVED)
def test_a_rate_in_bytes_is_as_many_requests_as_move_them(requests, tps, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("async def shop(user): ...\n")
    plan = plan_of({"hold": "5MB/s", "for": "1s"}, requests=requests).beside(tmp_path / "plan.yaml")
    assert settled(plan, NOON_US).stages[0].hold == pytest.approx(tps)


def test_a_file_counts_as_long_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 2500)
    plan = plan_of({"hold": "1MB/s", "for": "1s"}, requests=[POST | {"body_file": "body"}])
    assert settled(plan.beside(tmp_path / "plan.yaml"), NOON_US).stages[0].hold == 400


def test_every_open_form_takes_rates_in_bytes_beside_rates_in_requests() -> None:
    stages = (
        {"hold": "2kB/s", "for": "1s"},
        {"ramp": [1, "2kB/s"], "for": "1s"},
        {"levels": ["1kB/s", 3], "visits": 1, "each": "1s"},
        {"step": ["1kB/s", "2kB/s"], "steps": 2, "each": "1s"},
        {"spike": ["1kB/s", "9kB/s"], "for": "30s"},
        {"sine": ["1kB/s", "2kB/s"], "period": "1s", "for": "1s"},
        {"soak": "5kB/s", "for": "1h"},
    )
    plan = plan_of(*stages, requests=[POST | {"body_size": "1kB"}])
    assert parse_plan(plan.to_yaml(), "again") == plan
    done = settled(plan, NOON_US)
    assert [getattr(stage, stage.form) for stage in done.stages] == [
        2.0,
        (1.0, 2.0),
        (1.0, 3.0),
        (1.0, 2.0),
        (1.0, 9.0),
        (1.0, 2.0),
        5.0,
    ]
    assert max(segment.peak_tps for segment in segments_of(done)) == 9
    assert settled(done, NOON_US) == done
    assert parse_plan(done.to_yaml(), "again") == done


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([GET], "request get: a rate in bytes needs to know how much it moves; give it a body, or say how long its an"),
        ([POST | {"body": "x"}, GET], "request get: a rate in bytes needs to know how much it moves"),
        ([POST | {"body": ""}], "a rate in bytes needs requests that move some; give one a body or an `answer_size`"),
        ([POST | {"body": "x"}], r"stage s0: 50MB/s are 5e\+07 requests of 1 bytes per second; 1000000 is the most"),
    ],
)
def test_a_rate_in_bytes_that_cannot_be_worked_out_is_said(requests, said) -> None:
    with pytest.raises(PlanError, match=f"^{said}"):
        settled(plan_of({"hold": "50MB/s", "for": "1s"}, requests=requests), NOON_US)


def test_times_and_rates_are_read_as_they_are_written() -> None:
    text = """
target: http://h
stages:
  - {name: day, hold: 1.5GiB/s, until: 18:30}
  - {name: night, soak: 20, until: 2026-05-01T23:59:59Z}
requests: [{name: get, path: /, json: {at: 12:30, day: 2026-05-01, pi: 3.14, n: 12}, answer_size: 1MiB}]
"""
    plan = parse_plan(text, "plan.yaml")
    day, night = plan.stages
    assert (day.hold, day.until, night.until) == (BytesPerS(3 << 29), "18:30", "2026-05-01T23:59:59Z")
    assert plan.requests[0].json_ == {"at": "12:30", "day": "2026-05-01", "pi": 3.14, "n": 12}
    assert parse_plan(plan.to_yaml(), "again") == plan


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001  the strategy adds the zone
def test_a_moment_is_read_to_the_microsecond(moment: datetime) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    us = (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
    assert parse_moment_us(moment.isoformat(timespec="microseconds") + "Z") == us


@pytest.mark.parametrize("text", ["", "18:30", "2026-05-01", "2026-05-01T18:30:00", "2026-13-01T00:00:00Z", "now"])
def test_what_is_no_moment_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment; write date, time and offset"):
        parse_moment_us(text)
