"""From a file to lines and to its tool: bounded, told by its content, and no line ever stops it."""

import gzip
import json
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.imports import ImportFileError, Outcome, Tally, find_format, open_lines
from producers.imports.formats import FORMATS
from producers.imports.outcome import MOST_EXAMPLES, Line
from producers.imports.reading import LINE_BYTES, read_lines
from schemas.precision import LONGEST_US
from tests.unit.test_imports_tools import HEADER, LOCUST, NOW_US, SAMPLE, VEGETA, k6_point, vegeta_csv

INFLUX = "http_reqs,method=GET,status=200 value=1 1795467601500000000"
GOOD = {
    "k6": k6_point(),
    "k6 on Kafka": INFLUX,
    "vegeta": json.dumps(VEGETA),
    "vegeta's CSV": vegeta_csv(),
    "locust": json.dumps(LOCUST),
    "jmeter": f"{HEADER}\n{SAMPLE}",
}


def bent(text: str) -> st.SearchStrategy[str]:
    """A good line with a piece cut out of it and another one put in."""
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), st.text(max_size=8))
    return places.map(lambda found: text[: min(found[:2])] + found[2] + text[max(found[:2]) :])


any_line = st.one_of(st.text(), *(bent(line) for text in GOOD.values() for line in text.split("\n")))


@given(tool=st.sampled_from(sorted(FORMATS)), texts=st.lists(any_line, max_size=8))
def test_no_line_stops_a_reader_and_every_line_is_counted_once(tool: str, texts: list[str]) -> None:
    lines = [Line(1, HEADER)] if tool == "jmeter" else []
    lines += [Line(number, text) for number, text in enumerate(texts, 2) if text.strip()]
    tally = Tally(until_us=NOW_US)
    outcomes = list(FORMATS[tool].outcomes(lines, tally))  # type: ignore[index]
    assert tally.lines == len(lines)
    assert tally.requests == len(outcomes)
    assert tally.requests + tally.others + tally.unknown <= tally.lines
    assert len(tally.examples) == min(tally.unknown, MOST_EXAMPLES)
    for outcome in outcomes:
        assert_can_be_a_row(outcome)


def assert_can_be_a_row(outcome: Outcome) -> None:
    assert 0 < outcome.sent_at_us <= outcome.ended_at_us <= NOW_US
    assert 0 <= outcome.latency_us <= LONGEST_US
    assert 0 <= outcome.status <= 999
    for text in (outcome.endpoint, outcome.error or "-"):
        assert 0 < len(text.encode()) <= 800
    assert min(outcome.bytes_sent, outcome.bytes_received) >= 0


@given(text=any_line)
def test_no_line_stops_the_guess_of_the_tool(text: str) -> None:
    for form in FORMATS.values():
        assert form.says(text) in (True, False)


@pytest.mark.parametrize("name", GOOD)
def test_the_tool_is_told_by_the_first_lines_also_when_the_very_first_is_damaged(name: str, tmp_path: Path):
    path = tmp_path / "results"
    path.write_text(f'{{"cut sho\n\n{GOOD[name]}\n')
    assert find_format(path).tool == name.split(maxsplit=1)[0].removesuffix("'s")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"hello\n", "say with --from"),
        (b"metric_name,timestamp,metric_value\n", "--out json"),
        (b"Type,Name,Request Count,Failure Count\n", "locust_listener"),
        (b'<?xml version="1.0"?>\n<testResults/>\n', "output_format=csv"),
        (b"\x0f\x7f\x03\x01\x01\x06Result\x01\xff\x80\n", "vegeta encode"),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_to_do(content: bytes, remedy: str, tmp_path: Path):
    path = tmp_path / "results"
    path.write_bytes(content)
    with pytest.raises(ImportFileError, match=remedy):
        find_format(path)


def test_a_file_that_is_not_there_and_a_tool_that_is_not_known_are_named(tmp_path: Path):
    with pytest.raises(ImportFileError, match="cannot be read"):
        find_format(tmp_path / "none")
    with pytest.raises(ImportFileError, match="cannot be read"):
        find_format(tmp_path)
    with pytest.raises(ImportFileError, match="k6, vegeta, locust, jmeter"):
        find_format(tmp_path / "none", "wrk")


def test_gzip_is_read_whatever_the_name_and_a_mark_of_byte_order_is_no_letter(tmp_path: Path):
    path = tmp_path / "results.jtl"
    path.write_bytes(gzip.compress(f"\ufeff{HEADER}\r\n\r\n{SAMPLE}\r\n".encode()))
    with open_lines(path) as lines:
        assert list(lines) == [Line(1, HEADER), Line(3, SAMPLE)]


def test_a_gzip_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path):
    path = tmp_path / "results.gz"
    path.write_bytes(gzip.compress("\n".join(str(number) * 40 for number in range(3000)).encode())[:-2000])
    with open_lines(path) as lines:
        found = list(lines)
    assert found[0] == Line(1, "0" * 40)
    assert "breaks off" in found[-1].why
    assert not any(line.why for line in found[:-1])


def test_a_line_beyond_the_limit_is_skipped_without_being_held_and_its_neighbours_are_read():
    long = b"x" * (3 * LINE_BYTES + 17)
    lines = list(read_lines(BytesIO(b"before\n" + long + b"\nafter\n" + b"y" * LINE_BYTES)))
    assert [(line.number, line.text) for line in lines] == [(1, "before"), (2, ""), (3, "after"), (4, "")]
    assert ["MiB" in line.why for line in lines] == [False, True, False, True]


def test_bytes_that_are_no_utf_8_are_shown_as_such_and_stop_nothing():
    assert [line.text for line in read_lines(BytesIO(b"a\xff\xfeb\nc"))] == ["a\ufffd\ufffdb", "c"]
