"""A growing log, line by line: through rotation, truncation and lines that are written by halves; nothing twice."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.natural.entry import LINE_BYTES
from producers.natural.log_file import SILENT_US, LogFile, LogFileError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    return path


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    log = LogFile(path, 0)
    yield log
    log.close()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_logged_from_now_on_is_read_and_each_line_once(path: Path, log: LogFile) -> None:
    assert log.lines(1) == []
    append(path, "a\n\n  b \n")
    assert log.lines(2) == ["a", "b"]
    assert log.lines(3) == []


def test_a_line_that_is_written_by_halves_is_one_line(path: Path, log: LogFile) -> None:
    append(path, "first ha")
    assert log.lines(1) == []
    append(path, "lf\nsecond\n")
    assert log.lines(2) == ["first half", "second"]


def test_of_a_line_that_was_begun_before_nothing_is_taken(path: Path) -> None:
    append(path, "begun")
    log = LogFile(path, 0)
    append(path, " before\nwhole\n")
    assert log.lines(1) == ["whole"]
    log.close()


def test_after_a_rotation_the_old_file_is_read_on_until_its_writer_has_the_new_one(path: Path, log: LogFile) -> None:
    with path.open("a") as writer:
        path.rename(path.with_suffix(".1"))
        writer.write("into the old one, while there is no new one\n")
        writer.flush()
        assert log.lines(1) == ["into the old one, while there is no new one"]
        path.write_text("")  # logrotate makes it, and tells the writer after
        assert log.lines(2) == []
        writer.write("into the old one, beside the new one\n")
        writer.flush()
        append(path, "into the new one\n")
        assert log.lines(3) == ["into the old one, beside the new one", "into the new one"]


def test_an_old_file_is_let_go_once_it_has_been_silent(path: Path, log: LogFile) -> None:
    with path.open("a") as writer:
        path.rename(path.with_suffix(".1"))
        path.write_text("new\n")
        assert log.lines(1) == ["new"]
        assert log.lines(2 + SILENT_US) == []
        writer.write("too late\n")
        writer.flush()
        append(path, "newer\n")
        assert log.lines(3 + SILENT_US) == ["newer"]


def test_a_log_that_is_cut_to_nothing_is_read_from_its_beginning_again(path: Path, log: LogFile) -> None:
    append(path, "a\n")
    assert log.lines(1) == ["a"]
    path.write_text("b\n")
    assert log.lines(2) == ["b"]
    assert log.truncations == 1


def test_so_is_one_that_was_cut_and_has_grown_beyond_our_place_before_we_looked(path: Path, log: LogFile) -> None:
    append(path, "a\n")
    assert log.lines(1) == ["a"]
    path.write_text("".join(f"line {number}\n" for number in range(50)))
    assert log.lines(2) == [f"line {number}" for number in range(50)]
    assert log.truncations == 1


def test_a_line_of_no_end_is_skipped_and_counted_and_what_follows_is_read(path: Path, log: LogFile) -> None:
    for _ in range(4):
        append(path, "x" * (LINE_BYTES // 2))
        assert log.lines(1) == []
    append(path, "x\nwhole\n")
    assert log.lines(2) == ["whole"]
    append(path, "y" * LINE_BYTES + "z\nanother\n")
    assert log.lines(3) == ["another"]
    assert log.long_lines == 2


def test_more_than_one_look_may_take_comes_with_the_next(
    path: Path, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.natural.log_file.READ_BYTES", 4)
    append(path, "aa\nbb\ncc\n")
    assert (log.lines(1), log.behind) == (["aa"], True)
    assert (log.lines(2), log.behind) == (["bb"], True)
    assert (log.lines(3), log.behind) == (["cc"], False)


def test_a_log_that_is_away_for_a_while_is_waited_for(path: Path, log: LogFile) -> None:
    path.unlink()
    assert log.lines(1) == []
    path.write_text("again\n")
    assert log.lines(2) == ["again"]


def test_a_pipe_in_the_place_of_the_log_is_not_waited_for(path: Path, log: LogFile) -> None:
    path.rename(path.with_suffix(".1"))
    os.mkfifo(path)
    append(path.with_suffix(".1"), "a\n")
    assert log.lines(1) == ["a"]


def test_what_is_no_log_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="is not there; name the access log"):
        LogFile(tmp_path / "none.log", 0)
    with pytest.raises(LogFileError, match="is no file"):
        LogFile(tmp_path, 0)


@given(st.lists(st.sampled_from(["write", "half", "rotate", "look"]), max_size=30))
def test_whatever_happens_in_whatever_order_each_line_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_text("")
    log = LogFile(path, 0)
    written, read, rotations = [], [], 0
    for at, step in enumerate([*steps, "look"]):
        if step == "write":
            written.append(f"line {at}")
            append(path, f"line {at}\n")
        elif step == "half":
            written.append(f"line {at} in halves")
            append(path, f"line {at}")
            read += log.lines(at)
            append(path, " in halves\n")
        elif step == "rotate" and rotations < 3:  # it keeps a few files open, not any number
            rotations += 1
            read += log.lines(at)
            path.rename(path.with_suffix(f".{at}"))
            path.write_text("")
        else:
            read += log.lines(at)
    log.close()
    assert read == written
