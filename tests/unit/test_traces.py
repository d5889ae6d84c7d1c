"""Lines of austin and py-spy as stacks; whatever a line holds, reading it raises nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.profiler.leaves import Leaf, leaf_of
from producers.profiler.traces import MAX_LINE_BYTES, SampledStack, austin_stack, pyspy_stack, split_weight
from schemas.stacks import unfold


def test_an_austin_line_is_a_stack_root_first_with_the_thread_and_the_time_it_stands_for() -> None:
    line = b"P41;T0:42;/srv/app/shop.py:<module>:9;/srv/app/shop.py:Shop.sweep:31 2533\n"
    text, weight_us = split_weight(line)
    assert weight_us == 2533
    assert austin_stack(text) == SampledStack(42, "<module> (app/shop.py);Shop.sweep (app/shop.py)")


def test_a_pyspy_line_is_a_stack_with_its_thread_and_its_number_of_samples() -> None:
    text, count = split_weight(b"thread (42): main;<module> (/srv/app/shop.py:1);Shop.sweep (/srv/app/shop.py:30) 17\n")
    assert count == 17
    assert pyspy_stack(text) == SampledStack(42, "<module> (app/shop.py);Shop.sweep (app/shop.py)")


def test_both_samplers_give_one_function_one_name() -> None:
    path = "/usr/lib/python3.11/json/decoder.py"
    of_austin = austin_stack(f"P1;T0:7;{path}:JSONDecoder.decode:9".encode())
    assert of_austin == pyspy_stack(f"thread (7);JSONDecoder.decode ({path}:332)".encode())


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("<module> (<string>:1)", "<module> (<string>)"),
        ("run (shop.py)", "run (shop.py)"),  # py-spy leaves out a line that it does not know
        ("run (/srv/a (copy)/shop.py:3)", "run (a (copy)/shop.py)"),
        ("run (/srv/a:b/shop.py:3)", "run (a:b/shop.py)"),
    ],
)
def test_a_pyspy_frame_loses_its_line_and_the_head_of_its_path(field: str, label: str) -> None:
    stack = pyspy_stack(f"thread (1);{field}".encode())
    assert stack is not None
    assert stack.stack == label


def test_a_path_with_a_colon_is_read_from_its_end() -> None:
    assert austin_stack(b"P1;T0:7;/srv/a:b/shop.py:run:3") == SampledStack(7, "run (a:b/shop.py)")


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
        b"P1;T0:99999999999;/a.py:f:1 12",
    ],
)
def test_a_comment_or_a_damaged_stack_is_no_sample(line: bytes) -> None:
    parts = split_weight(line)
    assert parts is None or austin_stack(parts[0]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"no-number", b"stack -4", b"stack 1.5", b"stack 99999999999", b" 12"])
def test_a_line_without_a_weight_is_damaged(line: bytes) -> None:
    parts = split_weight(line)
    assert parts is None or parts[0] == b""


def test_a_line_longer_than_the_limit_is_damaged() -> None:
    assert split_weight(b"x" * MAX_LINE_BYTES + b" 1\n") is None


def test_a_pyspy_line_that_is_no_stack_is_damaged() -> None:
    assert pyspy_stack(b"thread (1);nonsense") is None


def test_a_stack_without_python_frames_is_kept_as_unattributable() -> None:
    assert austin_stack(b"P1;T0:7;") == SampledStack(7, "")
    assert pyspy_stack(b"thread (7): main") == SampledStack(7, "")


LIB = "/usr/lib/python3.11"
SITE = "/srv/venv/lib/python3.11/site-packages"
LEAVES = [
    pytest.param("EpollSelector.select", f"{LIB}/selectors.py", "wait", id="an event loop at rest"),
    pytest.param("Condition.wait", f"{LIB}/threading.py", "wait", id="a condition, and so a queue's get"),
    pytest.param("wait", "/opt/python3.14t/threading.py", "wait", id="the same without a global lock, unqualified"),
    pytest.param("_worker", f"{LIB}/concurrent/futures/thread.py", "wait", id="an idle thread of a pool"),
    pytest.param("socket.accept", f"{LIB}/socket.py", "wait", id="a listener"),
    pytest.param("SyncWorker.wait", f"{SITE}/gunicorn/workers/sync.py", "wait", id="an idle worker of gunicorn"),
    pytest.param("Loop._write_to_self", f"{LIB}/asyncio/selector_events.py", "wake", id="waking a loop"),
    pytest.param("Transport.write", f"{LIB}/asyncio/selector_events.py", "send", id="writing to a socket"),
    pytest.param("Pool.submit", f"{LIB}/concurrent/futures/thread.py", "wake", id="waking a pool's thread"),
    pytest.param("write", f"{SITE}/gunicorn/util.py", "send", id="gunicorn's answer"),
    pytest.param("write", "/srv/app/selector_events.py", "work", id="an application's module named like asyncio's"),
    pytest.param("get", "/srv/app/queue.py", "work", id="an application's module of the same name"),
    pytest.param("WebSocket.accept", f"{SITE}/shop/socket.py", "work", id="a package's module of the same name"),
    pytest.param("recv", "/srv/app/websocket.py", "work", id="a module whose name ends alike"),
    pytest.param("select", "/srv/app/query.py", "work", id="a name alone proves nothing"),
    pytest.param("run", "<string>", "work", id="no file"),
]


@pytest.mark.parametrize(("function", "path", "leaf"), LEAVES)
def test_what_a_thread_does_is_told_by_module_and_name(function: str, path: str, leaf: Leaf) -> None:
    assert leaf_of(function, path) == leaf


@pytest.mark.parametrize(("function", "path", "leaf"), LEAVES)
def test_both_samplers_charge_a_leaf_that_waits_to_the_wall_clock_never_to_cpu(
    function: str, path: str, leaf: Leaf
) -> None:
    for stack in (
        austin_stack(f"P1;T0:7;/srv/shop.py:main:1;{path}:{function}:288".encode()),
        pyspy_stack(f"thread (7);main (/srv/shop.py:1);{function} ({path}:288)".encode()),
    ):
        assert stack is not None
        assert stack.leaf == leaf
        assert stack.mode == ("wall" if leaf == "wait" else "cpu")


def test_a_wait_that_calls_work_is_work() -> None:
    stack = austin_stack(f"P1;T0:7;{LIB}/threading.py:Condition.wait:1;/srv/shop.py:sweep:3".encode())
    assert stack is not None
    assert stack.mode == "cpu"


@given(st.binary(max_size=300))
def test_no_line_raises(line: bytes) -> None:
    parts = split_weight(line)
    if parts is not None:
        for stack in (austin_stack(parts[0]), pyspy_stack(parts[0])):
            assert stack is None or unfold(stack.stack) is not None


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=";: \n"), min_size=1), min_size=1, max_size=5))
def test_every_frame_of_an_austin_line_is_found_again(functions: list[str]) -> None:
    frames = ";".join(f"/srv/app/shop.py:{function}:{line}" for line, function in enumerate(functions))
    stack = austin_stack(f"P1;T0:2;{frames}".encode())
    assert stack is not None
    assert unfold(stack.stack) == tuple(f"{function} (app/shop.py)" for function in functions)
