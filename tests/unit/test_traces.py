"""Lines of austin and py-spy as stacks; whatever a line holds, reading it raises nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.profiler.traces import AustinStack, austin_stack, mode_of, pyspy_stack, split_weight
from schemas.stacks import unfold


def test_an_austin_line_is_a_stack_root_first_with_the_thread_and_the_time_it_stands_for() -> None:
    line = b"P41;T0:42;/srv/app/shop.py:<module>:9;/srv/app/shop.py:Shop.sweep:31 2533\n"
    text, weight_us = split_weight(line)
    assert weight_us == 2533
    assert austin_stack(text) == AustinStack(42, "<module> (app/shop.py);Shop.sweep (app/shop.py)", "cpu")


def test_a_pyspy_line_is_a_stack_with_its_number_of_samples() -> None:
    text, count = split_weight(b"main (shop.py);sweep (app/shop.py) 17\n")
    assert count == 17
    assert pyspy_stack(text) == ("main (shop.py);sweep (app/shop.py)", "cpu")


@pytest.mark.parametrize(
    "line",
    [
        b"# austin: 3.7.0",
        b"P1;T0:1;:INVALID: 2500",
        b"P1;T0:1;/srv/a.py:main:3;:INVALID: 2500",
        b"nonsense 12",
        b"P1 12",
        b"P1;Tx:y;/a.py:f:1 12",
        b"P1;T0:1;a.py 12",
    ],
)
def test_a_comment_or_a_damaged_stack_is_no_sample(line: bytes) -> None:
    parts = split_weight(line)
    assert parts is None or austin_stack(parts[0]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"no-number", b"stack -4", b"stack 1.5", b"stack 99999999999", b" 12"])
def test_a_line_without_a_weight_is_damaged(line: bytes) -> None:
    parts = split_weight(line)
    assert parts is None or parts[0] == b""


def test_a_stack_without_python_frames_is_kept_as_unattributable() -> None:
    assert austin_stack(b"P1;T0:7;") == AustinStack(7, "", "cpu")


WAITS = [
    ("EpollSelector.select", "python3.11/selectors.py", "wall"),
    ("Condition.wait", "python3.11/threading.py", "wall"),
    ("wait", "threading.py", "wall"),
    ("Queue.get", "python3.11/queue.py", "wall"),
    ("select", "app/query.py", "cpu"),  # a name alone proves nothing
    ("Shop.sweep", "app/shop.py", "cpu"),
]


@pytest.mark.parametrize(("function", "file", "mode"), WAITS)
def test_a_known_wait_at_the_leaf_is_wall_clock_never_cpu(function: str, file: str, mode: str) -> None:
    assert mode_of(["main (app/shop.py)", f"{function} ({file})"]) == mode
    assert mode_of([f"{function} ({file})", "work (app/shop.py)"]) == "cpu"


@given(st.binary(max_size=300))
def test_no_line_raises(line: bytes) -> None:
    parts = split_weight(line)
    if parts is not None:
        austin_stack(parts[0])
        stack, _ = pyspy_stack(parts[0])
        unfold(stack)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=";: \n"), min_size=1), min_size=1, max_size=5))
def test_every_frame_of_an_austin_line_is_found_again(functions: list[str]) -> None:
    frames = ";".join(f"/srv/app/shop.py:{function}:{line}" for line, function in enumerate(functions))
    stack = austin_stack(f"P1;T0:2;{frames}".encode())
    assert stack is not None
    assert unfold(stack.stack) == tuple(f"{function} (app/shop.py)" for function in functions)
