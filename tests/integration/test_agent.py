"""The agent on real processes: every window published, one batch an instance, clean ends."""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processors.join import join_window
from producers.clock import SteadyClock
from producers.profiler.agent import AgentSummary, run_agent
from producers.profiler.errors import ProfilerError, TargetError
from producers.profiler.targets import Target, target_of
from producers.publisher import MemoryPublisher, say_last_words
from schemas.batches import Batch
from schemas.events import ProducerEnded
from schemas.stacks import WAITING
from schemas.topics import Topics
from tests.support.polling import until
from tests.support.targets import BURN, POOL, SHORT_WORKERS, TWO_WORKERS, target

WINDOW_US = 500_000
WINDOWS = 4


class Watch:
    """One agent on one target, for a few windows."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher(Topics(), "run")
        self.stop = asyncio.Event()

    async def run(
        self,
        watched: Target,
        windows: int | None = WINDOWS,
        backend: str = "auto",
        enough: Callable[[], bool] = lambda: True,
    ) -> AgentSummary:
        """Until so many windows are published, and that is `enough`; None: until the agent ends by itself."""
        running = asyncio.create_task(
            run_agent(
                watched,
                publisher=self.publisher,
                service="tiny",
                run_id="run",
                window_us=WINDOW_US,
                stop=self.stop,
                on_ready=lambda: None,
                backend=backend,
            )
        )
        try:
            async with asyncio.timeout(120):
                while (
                    windows is not None and not running.done() and not (len(self.by_window()) >= windows and enough())
                ):
                    await asyncio.sleep(0.02)
                if windows is not None:
                    self.stop.set()
                return await running
        finally:
            running.cancel()

    def by_window(self) -> dict[int, list[Batch]]:
        found: dict[int, list[Batch]] = defaultdict(list)
        for batch in self.publisher.batches:
            found[batch.header.key.window].append(batch)
        return dict(found)


async def test_every_window_has_one_final_batch_and_the_last_says_goodbye() -> None:
    watch = Watch()
    with target(BURN) as process:
        await watch.run(target_of(pid=process.pid))
    windows = watch.by_window()
    assert sorted(windows) == list(range(min(windows), max(windows) + 1))
    for window, batches in windows.items():
        finals = [batch.header for batch in batches if batch.header.final]
        assert [header.key.seq for header in finals] == [len(batches) - 1]
        assert finals[0].goodbye == (window == max(windows))


async def test_windows_and_samples_are_of_the_publishers_clock() -> None:
    watch = Watch()
    watch.publisher.clock = SteadyClock(3_600_000_000)
    began_us = watch.publisher.clock.now_us()
    with target(BURN) as process:
        await watch.run(target_of(pid=process.pid))
    assert 0 <= min(watch.by_window()) - began_us // WINDOW_US < 600_000_000 // WINDOW_US, "of the hour"
    for window, batches in watch.by_window().items():
        for sampled_us in (us for batch in batches for us in batch.rows["sampled_at"].cast("int64").to_pylist()):
            assert window == sampled_us // WINDOW_US


@pytest.mark.alone
async def test_cpu_is_the_kernels_and_goes_to_the_function_that_burns_it() -> None:
    watch = Watch()
    with target(BURN) as process:
        await watch.run(target_of(pid=process.pid))
    window, batches = sorted(watch.by_window().items())[1]
    joined = join_window("run", window, WINDOW_US, [], batches, closed_by="producers")
    burn = next(function for function in joined.functions if function.function == "burn")
    assert joined.instances == 1
    assert joined.covered_us > 0.95 * WINDOW_US
    assert 0.2 * WINDOW_US < joined.cpu_us < 1.1 * WINDOW_US
    assert burn.self_cpu_us > 0.8 * joined.cpu_us
    assert joined.agent_cpu_us > 0


@pytest.mark.alone
async def test_what_loadflame_takes_of_the_host_is_told_apart_from_the_service() -> None:
    watch = Watch()
    with target(BURN) as process, target(BURN, "loadflame"):  # by its command line the other one is ours
        await watch.run(target_of(pid=process.pid))
    whole = [batches for _, batches in sorted(watch.by_window().items())][1:-1]
    joined = [join_window("run", 1, WINDOW_US, [], batches, closed_by="producers") for batches in whole]
    ours_us = sum(window.own_cpu_us - window.agent_cpu_us for window in joined)
    assert 0.15 * WINDOW_US * len(whole) < ours_us < 1.2 * WINDOW_US * len(whole)
    assert all(window.own_cpu_us >= window.agent_cpu_us > 0 for window in joined)
    known_us = sum(window.own_cpu_us + window.cpu_us for window in joined)
    assert 0.8 * known_us < sum(window.host_cpu_us for window in joined) < 1.3 * WINDOW_US * len(whole) * os.cpu_count()


async def test_all_threads_are_looked_at_now_and_then_beside_the_samples() -> None:
    watch = Watch()

    def looks() -> list[dict[str, Any]]:
        return [row for batch in watch.publisher.batches for row in batch.rows.to_pylist() if row["mode"] == "wall"]

    def are_several() -> bool:
        return len({row["sampled_at"] for row in looks()}) >= 3

    with target(POOL) as process:  # its main thread, and a pool of four that wait
        await watch.run(target_of(pid=process.pid), backend="austin", enough=are_several)
    rows = looks()
    waiting: dict[object, int] = defaultdict(int)
    shortest_us = min(row["weight_us"] for row in rows)
    for row in rows:
        waiting[row["sampled_at"]] += row["weight_us"] * row["stack"].endswith(WAITING)
    assert sorted(waiting.values())[len(waiting) // 2] >= 4 * shortest_us, "a row is of all threads in its stack"


async def test_workers_are_instances_of_one_profile() -> None:
    watch = Watch()
    with target(TWO_WORKERS) as process:
        summary = await watch.run(target_of(pid=process.pid))
    assert summary.instances == 3
    _, batches = sorted(watch.by_window().items())[1]
    assert len({batch.facts.instance for batch in batches if batch.facts.instance}) == 3


@pytest.mark.alone
async def test_workers_that_come_are_picked_up_and_those_that_go_are_let_go() -> None:
    watch = Watch()
    with target(SHORT_WORKERS) as process:
        summary = await watch.run(target_of(pid=process.pid), windows=6)
    present = [
        {batch.facts.instance for batch in batches if batch.facts.instance}
        for _, batches in sorted(watch.by_window().items())
    ]
    assert summary.instances >= 4
    assert all(len(instances) <= 4 for instances in present)  # the parent, one that goes, one that comes
    assert set.intersection(*present) == {f"pid-{process.pid}"}
    for instance in set.union(*present):
        seen = [place for place, instances in enumerate(present) if instance in instances]
        assert seen == list(range(seen[0], seen[-1] + 1))  # who has gone does not come back


@pytest.mark.alone
@pytest.mark.parametrize("backend", ["austin", "py-spy"])
async def test_whole_windows_are_covered_and_watching_stays_within_its_budget(backend: str) -> None:
    watch = Watch()
    with target(BURN) as process:
        await watch.run(target_of(pid=process.pid), windows=6, backend=backend)
    whole = sorted(watch.by_window().items())[1:-1]
    instances = [batch.facts for _, batches in whole for batch in batches if batch.facts.instance]
    assert sum(facts.covered_us for facts in instances) > 0.96 * WINDOW_US * len(whole)
    cost_us = sum(facts.agent_cpu_us for facts in instances)
    assert 0 < cost_us < 0.15 * WINDOW_US * len(whole)  # 3.5% on a quiet machine: the truth benchmark measures it


async def test_a_command_is_started_watched_and_ended() -> None:
    watch = Watch()
    summary = await watch.run(target_of(command=[sys.executable, "-c", BURN]))
    assert summary.samples > 0
    assert summary.note == ""


async def test_a_command_that_ends_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.profiler.agent._AT_ONCE_S", 60.0)
    for moment_s in (0.0, 0.5):  # so long it takes to fail on a machine that is idle, or busy
        text = f"import time; time.sleep({moment_s}); raise SystemExit(3)"
        with pytest.raises(TargetError, match="ended with code 3"):
            await Watch().run(target_of(command=[sys.executable, "-c", text]))


async def test_a_command_that_runs_no_python_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.profiler.agent.READY_S", 0.3)
    with pytest.raises(ProfilerError, match=r"no Python process .* starting 'sleep'; give a command that runs the Py"):
        await Watch().run(target_of(command=["sleep", "60"]))


async def test_a_target_that_exits_ends_the_profile_cleanly(tmp_path: Path) -> None:
    watch = Watch()
    seen_enough = tmp_path / "seen enough"
    short = BURN.replace("import time", "import os").replace(
        "while True:", f"while not os.path.exists({str(seen_enough)!r}):"
    )
    with target(short) as process:
        watching = asyncio.create_task(watch.run(target_of(pid=process.pid), windows=None))
        await until(lambda: len(watch.by_window()) >= 2, 60, "two windows")
        seen_enough.touch()
        summary = await watching
    assert summary.note == "the service ended"
    windows = watch.by_window()
    assert windows[max(windows)][-1].header.goodbye


async def test_the_end_is_announced_with_what_was_acknowledged() -> None:
    watch = Watch()
    with target(BURN) as process:
        summary = await watch.run(target_of(pid=process.pid), windows=1)
    batches = len(watch.publisher.batches)
    await say_last_words(watch.publisher, "run", "profiler", note=summary.note, timeout_s=1)
    (ended,) = [event for event in watch.publisher.events if isinstance(event, ProducerEnded)]
    assert ended.role == "profiler"
    assert ended.batches_acknowledged == batches
