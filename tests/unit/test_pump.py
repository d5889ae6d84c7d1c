"""How arrivals are fired: all that are due, none before its time, dropped at the cap, none after the stop."""

import asyncio

import pytest

from producers.load import alarm
from producers.load.alarm import Alarm
from producers.load.crowd import Stint
from producers.load.pacer import Pacer
from producers.load.pump import NEVER, Pump
from producers.load.recorder import Recorder
from producers.load.segments import Piece, Segment
from producers.load.shards import WHOLE, Shard

START_US = 50_000_000


class HandClock:
    def __init__(self):
        self.time_us = START_US

    def now_us(self):
        return self.time_us


class NotingEngine:
    """Notes what it is told to send; nothing ends unless `in_flight` is lowered by hand, or everything `at_once`."""

    name = "noting"

    def __init__(self):
        self.in_flight = 0
        self.fired = []
        self.at_once = False
        self.when_ended = None

    async def open(self):
        pass

    def fire(self, endpoint, stage, due_us, now_us):
        self.fired.append((endpoint, stage, due_us - START_US, now_us - START_US))
        if self.at_once:
            self.when_ended(now_us)
        else:
            self.in_flight += 1

    async def close(self):
        pass


class Bench:
    def __init__(self, *holds, weights=(1.0,), max_in_flight=10**9, shard=WHOLE, stints=()):
        segments = [
            Segment(f"s{i}", "s", "hold", 0, float(i), (Piece(1.0, rate, rate),)) for i, rate in enumerate(holds)
        ]
        self.clock, self.engine = HandClock(), NotingEngine()
        self.recorder = Recorder(
            [f"e{i}" for i in range(len(weights))], [s.label for s in segments], window_us=1_000_000
        )
        self.pump = Pump(
            Pacer(segments),
            [weights] * len(segments),
            engine=self.engine,
            recorder=self.recorder,
            clock=self.clock,
            start_us=START_US,
            max_in_flight=max_in_flight,
            shard=shard,
            stints=stints,
        )

    def at(self, offset_us):
        self.clock.time_us = START_US + offset_us
        self.pump.dispatch(self.clock.time_us)
        return self


def test_nothing_is_fired_before_it_is_due_and_everything_that_is():
    bench = Bench(4.0)
    assert bench.at(124_999).engine.fired == []
    assert bench.at(125_000).engine.fired == [(0, 0, 125_000, 125_000)]
    assert [due for _, _, due, _ in bench.at(900_000).engine.fired] == [125_000, 375_000, 625_000, 875_000]
    assert bench.pump.next_due_us == NEVER


def test_a_late_dispatch_fires_all_that_is_overdue_and_says_when_it_was_due():
    bench = Bench(4.0).at(700_000)
    assert bench.engine.fired == [(0, 0, 125_000, 700_000), (0, 0, 375_000, 700_000), (0, 0, 625_000, 700_000)]


def test_arrivals_beyond_the_cap_are_dropped_until_something_ends():
    bench = Bench(4.0, max_in_flight=1).at(400_000)
    assert (len(bench.engine.fired), bench.recorder.dropped) == (1, 1)
    bench.engine.in_flight = 0
    bench.at(700_000)
    assert (len(bench.engine.fired), bench.recorder.dropped, bench.recorder.scheduled) == (2, 1, 3)


def test_after_the_stop_nothing_falls_due_any_more():
    bench = Bench(4.0).at(300_000)
    bench.pump.stop()
    bench.at(2_000_000)
    assert (len(bench.engine.fired), bench.recorder.scheduled) == (1, 1)


def test_the_mix_of_endpoints_begins_anew_with_every_segment():
    bench = Bench(3.0, 6.0, weights=(3, 1)).at(2_000_000)
    fired = [(stage, endpoint) for endpoint, stage, _, _ in bench.engine.fired]
    assert fired == [(0, 0), (0, 0), (0, 1), (1, 0), (1, 0), (1, 1), (1, 0), (1, 0), (1, 0)]


def test_no_arrival_is_lost_between_blocks():
    bench = Bench(5_000.0, 10_000.0).at(2_000_000)
    due = [due for _, _, due, _ in bench.engine.fired]
    assert (len(due), due == sorted(due)) == (15_000, True)


def test_users_of_the_closed_model_take_turns_with_the_arrivals_of_the_open_one():
    stints = [Stint(1, START_US + 1_000_000, START_US + 2_000_000, users=2, think_us=300_000)]
    bench = Bench(2.0, 0.0, weights=(1, 1), stints=stints).at(750_000)
    bench.engine.in_flight = 0
    bench.at(1_000_000)
    bench.engine.in_flight = 1
    bench.at(1_100_000).at(1_399_999)
    assert bench.engine.fired[2:] == [(0, 1, 1_000_000, 1_000_000), (1, 1, 1_000_000, 1_000_000)]
    assert bench.at(1_400_000).engine.fired[4:] == [(0, 1, 1_400_000, 1_400_000)]
    bench.pump.stop()
    bench.engine.in_flight = 0
    assert len(bench.at(1_900_000).engine.fired) == 5
    assert (bench.recorder.scheduled, bench.recorder.dropped) == (5, 0)


def test_a_request_that_ends_as_it_begins_calls_nobody_twice():
    bench = Bench(0.0, stints=[Stint(0, START_US, START_US + 1_000_000, users=3, think_us=0)])
    bench.engine.at_once, bench.engine.when_ended = True, bench.pump.dispatch
    assert len(bench.at(0).engine.fired) == 3
    assert len(bench.at(1_000).engine.fired) == 6


def test_a_plan_of_rests_fires_nothing():
    assert Bench(0.0).at(1_000_000).pump.next_due_us == NEVER


@pytest.mark.parametrize("timer_files", [True, False], ids=["timerfd", "the loop's timer"])
async def test_an_alarm_rings_once_and_not_before_its_time(timer_files, monkeypatch):
    if not timer_files:
        monkeypatch.setattr(alarm, "_timer_file", lambda: None)
    loop = asyncio.get_running_loop()
    rang: asyncio.Queue[float] = asyncio.Queue()
    bell = Alarm(lambda: rang.put_nowait(loop.time()))
    try:
        began = loop.time()
        bell.set(10_000_000)
        bell.set(20_000)  # replaces the first
        assert await asyncio.wait_for(rang.get(), 60) - began >= 0.0195
        bell.set(0)
        await asyncio.wait_for(rang.get(), 60)
        assert rang.empty()
    finally:
        bell.close()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_shards_of_a_load_are_together_the_load(count):
    whole = Bench(9_000.0, 50.0, weights=(3.0, 1.0)).at(2_000_000).engine.fired
    shards = [
        Bench(9_000.0, 50.0, weights=(3.0, 1.0), shard=Shard(index, count)).at(2_000_000).engine.fired
        for index in range(count)
    ]
    assert sorted(due for fired in shards for _, _, due, _ in fired) == [due for _, _, due, _ in whole]
    assert sorted(fire for fired in shards for fire in fired) == sorted(whole)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
