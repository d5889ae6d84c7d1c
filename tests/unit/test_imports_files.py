"""Files that k6, vegeta, Locust and JMeter wrote (see tests/fixtures/imports/README.md), read to the last line."""

from collections import Counter
from pathlib import Path

import pytest

from producers.imports import Dropped, Outcome, Tally, find_format, open_lines

FOLDER = Path(__file__).parents[1] / "fixtures" / "imports"
NOW_US = 1_800_000_000_000_000
OK, MISSING, REFUSED = (200, None), (404, "http 404"), (0, "refused")


def read(name: str) -> tuple[str, list[Outcome], Tally]:
    path, tally = FOLDER / name, Tally(until_us=NOW_US)
    form = find_format(path)
    with open_lines(path) as lines:
        told = list(form.outcomes(lines, tally))
    assert sum(one.count for one in told if isinstance(one, Dropped)) == tally.dropped
    return form.tool, [one for one in told if isinstance(one, Outcome)], tally


@pytest.mark.parametrize(
    ("name", "tool", "wanted"),
    [
        (
            "k6.json.gz",
            "k6",
            {("GET /index.html", *OK): 21, ("missing", *MISSING): 21, ("GET /refused", *REFUSED): 21},
        ),
        ("k6-dropped.json.gz", "k6", {("GET /index.html", *OK): 25}),
        (
            "k6-kafka.json.gz",
            "k6",
            {("GET /index.html", *OK): 31, ("missing, with a comma", *MISSING): 31, ("GET /refused", *REFUSED): 31},
        ),
        (
            "k6-kafka.influx.gz",
            "k6",
            {("GET /index.html", *OK): 31, ("missing, with a comma", *MISSING): 31, ("GET /refused", *REFUSED): 31},
        ),
        (
            "vegeta.json",
            "vegeta",
            {("GET /index.html", *OK): 17, ("GET /missing", *MISSING): 17, ("GET /refused", *REFUSED): 16},
        ),
        (
            "vegeta.csv",
            "vegeta",
            {("GET /index.html", *OK): 20, ("GET /missing", *MISSING): 20, ("GET /refused", *REFUSED): 20},
        ),
        (
            "locust.ndjson",
            "locust",
            {
                ("GET /index.html", *OK): 14,
                ("GET /missing", *MISSING): 14,
                ("checked", 200, "check failed"): 14,
                ("GET /refused", *REFUSED): 14,
                ("GET /refused%20too", *REFUSED): 14,
            },
        ),
        (
            "jmeter.csv",
            "jmeter",
            {
                ("/index.html", *OK): 36,
                ("missing, with a comma", *MISSING): 36,
                ("checked", 200, "check failed"): 36,
                ("refused", *REFUSED): 36,
            },
        ),
    ],
)
def test_every_request_of_a_real_file_is_found_with_its_endpoint_status_and_error(
    name: str, tool: str, wanted: dict[tuple[str, int, str | None], int]
):
    found, outcomes, tally = read(name)
    assert found == tool
    assert tally.unknown == 0, tally.examples
    assert Counter((one.endpoint, one.status, one.error) for one in outcomes) == wanted


@pytest.mark.parametrize(
    "name", ["k6.json.gz", "k6-dropped.json.gz", "vegeta.json", "vegeta.csv", "locust.ndjson", "jmeter.csv"]
)
def test_times_and_latencies_of_a_real_file_are_of_the_right_size(name: str):
    _, outcomes, _ = read(name)
    span_s = (max(one.ended_at_us for one in outcomes) - min(one.sent_at_us for one in outcomes)) / 1e6
    assert 2 < span_s < 4
    answered = [one.latency_us for one in outcomes if one.status]
    assert 100 < min(answered) <= max(answered) < 1_000_000


@pytest.mark.parametrize(
    ("name", "dropped", "requests"),
    [("k6-dropped.json.gz", 36, 25), ("k6-kafka.json.gz", 30, 93), ("k6-kafka.influx.gz", 30, 93)],
)
def test_what_k6_dropped_for_want_of_virtual_users_is_what_its_own_summary_said(name: str, dropped: int, requests: int):
    _, _, tally = read(name)
    assert (tally.dropped, tally.requests) == (dropped, requests)


def test_the_transactions_of_a_real_jmeter_file_are_no_requests_and_failed_checks_may_run_over_two_lines():
    _, outcomes, tally = read("jmeter.csv")
    transactions, header, second_lines = 36, 1, 36
    assert (tally.lines, tally.requests) == (len(outcomes) + transactions + header + second_lines, len(outcomes))
    assert {(one.bytes_sent, one.bytes_received) for one in outcomes if one.endpoint == "checked"} == {(122, 187)}


def test_json_and_csv_of_the_same_attack_say_the_same():
    _, of_json, _ = read("vegeta.json")
    _, of_csv, _ = read("vegeta.csv")
    assert of_json == of_csv[: len(of_json)]


@pytest.mark.parametrize("name", ["vegeta.json", "vegeta.csv", "locust.ndjson"])
def test_a_real_file_cut_anywhere_loses_at_most_its_last_line(name: str, tmp_path: Path):
    whole = (FOLDER / name).read_bytes()
    _, every, _ = read(name)
    for cut in range(len(whole) - 1200, len(whole) - 1, 97):
        path = tmp_path / name
        path.write_bytes(whole[:cut])
        tally = Tally(until_us=NOW_US)
        with open_lines(path) as lines:
            outcomes = list(find_format(path).outcomes(lines, tally))
        # A cut inside vegeta's last column, which is not looked at, leaves all that is.
        assert len(outcomes) in (whole[:cut].count(b"\n"), whole[:cut].count(b"\n") + 1)
        assert outcomes == every[: len(outcomes)]
        assert tally.requests + tally.unknown == tally.lines
