"""Lines of austin's full mode into looks at all threads: whole ticks, placed in time, a row for each stack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.profiler.austin import AustinSampler
from producers.profiler.austin_wall import LEAST_HZ, LOOKS_HZ, LOOKS_SHARE, NO_LOOKS, Looks, Ticker, affordable_hz
from producers.profiler.backends import choose_backend
from producers.profiler.sampler import Samples, Seen
from producers.profiler.watched import rows_of

PERIOD_US = 50_000
POOL = "/usr/lib/python3.11/concurrent/futures/thread.py:_worker:81"
LIBRARY = "_worker (futures/thread.py)"
FAR_US = 10**15


def line(thread: int, frames: str = "/srv/shop.py:search:3", *, after_us: int = PERIOD_US, idle: bool = True) -> bytes:
    return f"P7;T0:{thread};{frames} {after_us},{int(idle)},-4096".encode()


def rows(ticker: Ticker, end_us: int = FAR_US) -> list[tuple[int, int, str]]:
    return [(seen.at_us, seen.weight_us, seen.stack) for seen in ticker.take(end_us)]


def test_threads_that_stand_in_one_stack_are_one_row_with_the_time_of_all_and_the_others_their_own() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9, POOL), line(8, POOL), line(7, "/srv/shop.py:main:1", idle=False)], 1_000_000)
    assert rows(ticker) == [
        (1_000_000, 2 * PERIOD_US, f"{LIBRARY};(waiting)"),
        (1_000_000, PERIOD_US, "main (srv/shop.py)"),
    ]


def test_a_thread_that_ran_where_threads_wait_was_about_to_go_to_sleep() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9, POOL, idle=False)], 1_000_000)
    assert [stack for *_, stack in rows(ticker)] == [f"{LIBRARY};(waiting)"]


def test_a_tick_ends_with_a_thread_that_it_has_however_its_lines_were_read() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9), line(8)], 1_000_000)
    ticker.feed([line(7), line(9, after_us=40_000)], 1_040_000)
    ticker.feed([line(8, after_us=40_000), line(7, after_us=40_000)], 1_041_000)
    assert rows(ticker) == [
        (1_000_000, 3 * PERIOD_US, "search (srv/shop.py);(waiting)"),
        (1_040_000, 3 * 40_000, "search (srv/shop.py);(waiting)"),
    ]


def test_ticks_that_are_read_late_are_placed_by_the_one_that_was_read_as_it_came() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9)] * 3, 1_130_000)  # the last is 30 ms old
    ticker.feed([line(9)] * 4, 1_300_000)  # the last has just come
    assert [at_us for at_us, *_ in rows(ticker)] == [1_000_000 + PERIOD_US * place for place in range(7)]


def test_time_that_failed_ticks_took_with_them_is_noticed() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9)], 1_000_000)
    ticker.feed([line(9)] * 2, 4_000_000)
    ticker.feed([line(9)], 4_050_000)
    assert [at_us for at_us, *_ in rows(ticker)][-1] == 4_050_000


def test_a_window_takes_its_own_ticks_and_leaves_the_later_ones() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9)] * 3, 1_100_000)
    assert [at_us for at_us, *_ in rows(ticker, 1_100_000)] == [1_000_000, 1_050_000]
    assert [at_us for at_us, *_ in rows(ticker)] == [1_100_000]
    assert not ticker.take(FAR_US)


def test_a_tick_after_a_long_silence_does_not_stand_for_all_of_it() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9, after_us=3_000_000)], 1_000_000)
    assert [us for _, us, _ in rows(ticker)] == [2 * PERIOD_US]


def test_a_stack_that_was_torn_is_a_thread_all_the_same_that_ran_or_waited() -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([line(9, ":INVALID:", idle=False), line(8, ":INVALID:"), b"# gc: 0", b"nonsense 12", b""], 1_000_000)
    assert sorted(stack for *_, stack in rows(ticker)) == ["", "(waiting)"]


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_whatever_is_printed_is_read_without_an_error(lines: list[bytes]) -> None:
    ticker = Ticker(PERIOD_US)
    ticker.feed([*lines, line(9)], 1_000_000)
    assert any(seen.stack == "search (srv/shop.py);(waiting)" for seen in ticker.take(FAR_US))


@pytest.mark.parametrize(
    ("costs_us", "rate_hz"),
    [
        pytest.param([30_000, 30_000], 37, id="two dear windows prove nothing"),
        pytest.param([6_000] * 3, 37, id="a little dearer than wanted is let be"),
        pytest.param([10_000] * 3, 18, id="twice as dear, half as often"),
        pytest.param([10**6] * 3, LEAST_HZ, id="however dear, a few looks are left"),
    ],
)
def test_looks_come_less_often_where_they_are_dear(costs_us: list[int], rate_hz: int) -> None:
    assert affordable_hz(37, costs_us, 1_000_000, 0.005) == rate_hz


@pytest.mark.parametrize(
    ("threads", "rate_hz"),
    [
        pytest.param(1, 26, id="one thread is cheap"),
        pytest.param(17, 8, id="a pool costs by the thread"),
        pytest.param(400, LEAST_HZ, id="however many, a few looks are left"),
    ],
)
def test_the_first_looks_come_as_seldom_as_so_many_threads_let_expect(threads: int, rate_hz: int) -> None:
    assert Looks(37, 0.004).first_hz(threads) == rate_hz
    assert Looks(5, 0.004).first_hz(threads) == min(5, rate_hz), "no more than is wanted"


@pytest.mark.parametrize(
    ("looks_hz", "looks"),
    [
        pytest.param(None, Looks(LOOKS_HZ, LOOKS_SHARE / 4), id="processes share what looks may take"),
        pytest.param(97, Looks(97), id="the user's rate is not bargained with"),
        pytest.param(0, NO_LOOKS, id="and may be none"),
    ],
)
def test_looks_come_as_often_as_is_cheap_or_as_the_user_says(looks_hz: int | None, looks: Looks) -> None:
    sampler = choose_backend("austin", looks_hz=looks_hz).sampler(1, 100, lambda: 0, processes=4)
    assert isinstance(sampler, AustinSampler)
    assert sampler.looks == looks
    assert looks.first_hz(1_000) == min(looks.rate_hz, LEAST_HZ if looks_hz is None else looks.rate_hz)


def test_a_rate_that_the_user_named_stays_however_dear() -> None:
    assert affordable_hz(97, [10**6] * 3, 1_000_000, Looks(97).share) == 97


def test_looks_travel_beside_the_samples_as_wall_rows() -> None:
    taken = Samples(PERIOD_US, seen=[Seen(1_234_567, 100_000, 8, "main (shop.py);(waiting)")])
    (row,) = rows_of(taken).to_pylist()
    assert (row["mode"], row["stack"], row["weight_us"], row["thread_id"]) == (
        "wall",
        "main (shop.py);(waiting)",
        100_000,
        8,
    )
    assert rows_of(taken)["sampled_at"].cast("int64").to_pylist() == [1_234_000]
