"""The agent: watches every instance of a service and publishes their stacks, one batch an instance and window."""

import asyncio
import contextlib
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from producers.profiler.backends import BackendChoice, choose_backend
from producers.profiler.counters import ProcessGoneError, host_cpu_us
from producers.profiler.errors import ProfilerError, TargetError
from producers.profiler.figures import AgentFigures
from producers.profiler.launcher import end, launch
from producers.profiler.own_processes import OwnProcesses
from producers.profiler.sampler import LEAD_US, Samples
from producers.profiler.targets import Instance, Target, instances_of
from producers.profiler.told import TOLD_US, Told
from producers.profiler.watched import WatchedInstance, WindowOfOne, rows_of
from producers.publisher import Publisher
from schemas.rows import StackFacts
from schemas.watching import Health

_log = structlog.get_logger()
SETTLE_US = 80_000
"""After a window's end: the last samples are on their way through a pipe."""
READY_S = 15.0
_POLL_S = 0.02
_LOOK_WINDOWS = 5
_ENDING_S = 0.5
_AT_ONCE_S = 2.0
"""A command that fails so soon after it was found had not begun to serve: it was seen starting at most."""


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """What an agent saw; `note` says why it ended when nobody asked it to."""

    windows: int
    instances: int
    samples: int
    note: str = ""


async def run_agent(
    target: Target,
    *,
    publisher: Publisher,
    service: str,
    run_id: str,
    window_us: int,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    backend: str = "auto",
    rate_hz: int | None = None,
    looks_hz: int | None = None,
    on_start: "Callable[[Agent], None]" = lambda _: None,
    told_at: Path | None = None,
    owner: int | None = None,
) -> AgentSummary:
    """Watch until `stop` is set or the service is gone. `on_ready` is called once every known instance is watched.

    `rate_hz` is of the samples that CPU is charged by, `looks_hz` of the looks at all threads (0: none), by
    default each what is cheap.
    Windows are by the publisher's clock, as the load's are. `on_start` gets the agent before it looks for the service,
    for its figures and its health. `told_at` is a socket at which the service's middleware tells of its requests, for
    samples to be joined with them; see Listener for `owner`.

    Raises ProfilerError when the watching cannot begin; later trouble with one instance is logged, and its windows
    say "no profile".
    """
    choice = choose_backend(backend, rate_hz, looks_hz)
    if choice.warning:
        _log.warning(choice.warning)
    if told_at is not None and not choice.knows_when:
        _log.warning(f"samples are not joined with requests: {choice.name} does not tell here when each was taken")
    rows_of(Samples(0))  # what it imports at its first use takes longer than a window may
    with contextlib.ExitStack() as stack:
        started: subprocess.Popen[bytes] | None = None
        if target.command is not None:
            started = launch(target.command)
            stack.callback(end, started)
        told: Told | None = None
        if told_at is not None:
            # Listened to in any case: whoever tells would think that nobody wants to know.
            told = stack.enter_context(Told(told_at, publisher.clock.now_us, run_id, owner=owner).listening())
        agent = Agent(
            target=target,
            started=started,
            publisher=publisher,
            service=service,
            run_id=run_id,
            choice=choice,
            window_us=window_us,
            now_us=publisher.clock.now_us,
            told=told if choice.knows_when else None,
        )
        stack.callback(agent.close)
        on_start(agent)
        await agent.attach(stop)
        on_ready()
        _log.info("profiling", run=run_id, service=service, backend=choice.name, instances=len(agent.watched))
        return await agent.watch(stop)


@dataclass(frozen=True, slots=True)
class _Held:
    """A window that is published when it is due."""

    window: int
    start_us: int
    due_us: int
    parts: list[WindowOfOne]
    goodbye: bool


class Agent:
    """See `run_agent`, which makes it."""

    def __init__(
        self,
        *,
        target: Target,
        started: subprocess.Popen[bytes] | None,
        publisher: Publisher,
        service: str,
        run_id: str,
        choice: BackendChoice,
        window_us: int,
        now_us: Callable[[], int],
        told: Told | None = None,
    ) -> None:
        self.watched: dict[Instance, WatchedInstance] = {}
        self._target = target
        self._started = started
        self._publisher = publisher
        self._service = service
        self._choice = choice
        self._window_us = window_us
        self._now_us = now_us
        self._told = told
        self._held: deque[_Held] = deque()
        self._own_cpu_us = time.process_time_ns() // 1000
        self._host_cpu_us = host_cpu_us()
        self._ours = OwnProcesses(run_id)
        self._pace = choice.pace()
        self._refused_at: dict[Instance, float] = {}
        self._seen = 0
        self._attached_s = 0.0
        self._samples = 0
        self._windows = 0
        self._coverage: float | None = None
        self._cost_us = 0
        self._pids: frozenset[int] = frozenset()
        self._new = True

    def figures(self) -> AgentFigures:
        """What may be told of it to whoever watches."""
        return AgentFigures(
            windows=self._windows,
            samples=self._samples,
            instances=self._living,
            rate_hz=self._pace.rate_hz,
            coverage=self._coverage,
            cpu_us=self._cost_us,
        )

    def health(self) -> Health:
        """Degraded while there is nothing to watch: it looks for new processes with every window."""
        if not self._living:
            return Health("degraded", "no Python process of the service is there to be watched")
        return Health("working", f"{self._living} processes are watched")

    @property
    def _living(self) -> int:
        return sum(not watched.gone for watched in self.watched.values())

    async def attach(self, stop: asyncio.Event) -> None:
        """Wait until every instance is watched. Raises ProfilerError."""
        deadline = time.monotonic() + READY_S
        while not stop.is_set():
            self._find(self._instances())
            ready = [self._is_ready(instance) for instance in list(self.watched)]
            self._check_command()
            if self.watched and all(ready):
                return
            if time.monotonic() > deadline:
                raise ProfilerError(self._nothing_to_watch())
            await asyncio.sleep(_POLL_S)

    def _nothing_to_watch(self) -> str:
        nothing = f"no Python process could be watched within {READY_S:.0f} s"
        if self._target.command is None:
            return f"{nothing}; name the --pid of one that runs Python code"
        return f"{nothing} of starting {self._target.command[0]!r}; give a command that runs the Python service itself"

    def _check_command(self) -> None:
        """Raise TargetError when the command that was started has ended, where nothing of it was seen yet."""
        if self._started is not None and self._started.poll() is not None:
            code = self._started.returncode
            raise TargetError(f"the command ended with code {code} before it could be watched; try it by itself")

    def _fell_at_once(self) -> bool:
        """Whether the command that was started, and is gone now, never got as far as to be watched."""
        if self._started is None or not self._windows:
            return True
        return bool(self._started.poll()) and time.monotonic() < self._attached_s + _AT_ONCE_S

    def _is_ready(self, instance: Instance) -> bool:
        """Raises ProfilerError when an instance that runs cannot be watched; one that ended meanwhile is let go.

        A process that is just ending is none that a sampler knows and still runs, so it gets a moment to be gone.
        """
        try:
            return self.watched[instance].ready()
        except ProfilerError:
            if not instance.runs():
                self.watched.pop(instance).close()
                return True
            if time.monotonic() > self._refused_at.setdefault(instance, time.monotonic()) + _ENDING_S:
                raise
            return False

    async def watch(self, stop: asyncio.Event) -> AgentSummary:
        """One window after the other."""
        self._attached_s = time.monotonic()
        start_us = self._now_us()
        window = start_us // self._window_us
        while True:
            end_us = (window + 1) * self._window_us
            over = await self._until(end_us - LEAD_US, stop)
            if not over:
                for watched in self.watched.values():
                    watched.prepare()
                over = await self._until(end_us, stop)
            end_us = min(end_us, self._now_us()) if over else end_us
            for watched in self.watched.values():
                watched.boundary(end_us)
            await asyncio.sleep(SETTLE_US / 1e6)
            gone = self._all_gone()
            if gone and self._fell_at_once():
                self._check_command()
            self._take(window, start_us, end_us, goodbye=over or gone)
            if over or gone:
                await asyncio.sleep(max(0, self._held[-1].due_us - self._now_us()) / 1e6)
            self._publish_due(every=over or gone)
            if over or gone:
                note = "" if over else "the service ended"
                return AgentSummary(self._windows, self._seen, self._samples, note)
            self._find_more()
            start_us, window = end_us, window + 1

    async def _until(self, time_us: int, stop: asyncio.Event) -> bool:
        """Wait, and publish what is due meanwhile; True when the agent is to stop before that time."""
        while self._held and self._held[0].due_us < time_us and not await self._stops(self._held[0].due_us, stop):
            self._publish_due()
        return await self._stops(time_us, stop)

    async def _stops(self, time_us: int, stop: asyncio.Event) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0, time_us - self._now_us()) / 1e6)
        return stop.is_set()

    def _take(self, window: int, start_us: int, end_us: int, *, goodbye: bool) -> None:
        """What is known of a window now, to be published at once, or when the requests in it are told of as well."""
        parts = [watched.window(self._service, start_us, end_us) for watched in self.watched.values()]
        sampling_us = sum(part.facts.agent_cpu_us for part in parts)
        ours_us = self._ours.used_us(but={watched.instance.pid for watched in self.watched.values()})
        for key in [key for key, watched in self.watched.items() if watched.gone]:
            self.watched.pop(key).close()
        own_us, host_us = time.process_time_ns() // 1000, max(host_cpu_us(), self._host_cpu_us)
        if end_us - start_us == self._window_us:  # what the first one cost was paid before it began
            looks_us = sum(part.looks_us for part in parts)
            other_us = own_us - self._own_cpu_us + looks_us
            self._keep_pace((sampling_us - looks_us) / self._window_us, other_us / self._window_us)
        own = StackFacts(
            agent_cpu_us=own_us - self._own_cpu_us,
            own_cpu_us=ours_us + sampling_us,
            host_cpu_us=host_us - self._host_cpu_us,
        )
        self._own_cpu_us, self._host_cpu_us = own_us, host_us
        self._cost_us += own.agent_cpu_us + sampling_us
        covered_us = [part.facts.covered_us for part in parts]
        self._coverage = sum(covered_us) / len(parts) / max(1, end_us - start_us) if parts else None
        # The last batch tells of the agent itself, of no instance: it is there also when nothing is left to watch.
        parts.append(WindowOfOne(Samples(0), own))
        due_us = end_us + TOLD_US if self._told else end_us
        self._held.append(_Held(window, start_us, due_us, parts, goodbye))
        self._windows += 1

    def _publish_due(self, *, every: bool = False) -> None:
        now_us, served = self._now_us(), None
        if self._told is not None:
            self._told.take_in()  # what came while others were working
            served = self._told.served
        while self._held and (every or self._held[0].due_us <= now_us):
            held = self._held.popleft()
            for place, part in enumerate(held.parts):
                last = place == len(held.parts) - 1
                rows = part.rows(served)
                self._publisher.publish(
                    "stacks", held.window, rows, part.facts, final=last, goodbye=last and held.goodbye
                )
                self._samples += rows.num_rows
            if served is not None:
                served.forget(held.start_us)

    def _keep_pace(self, cost_share: float, own_share: float) -> None:
        before_hz = self._pace.rate_hz
        if self._pace.after(cost_share, own_share) != before_hz:
            shares = {"cost_share": round(cost_share, 3), "own_share": round(own_share, 3)}
            _log.info("sampling rate", hz=self._pace.rate_hz, before_hz=before_hz, **shares)
        for watched in self.watched.values():
            watched.set_rate(self._pace.rate_hz)

    def _instances(self) -> list[Instance]:
        return instances_of(self._target, self._started.pid if self._started else None)

    def _find_more(self) -> None:
        """Look for new instances where there are new processes on this host, and now and then, for one may have become
        another program. To look costs ten times as much as to list.
        """
        known, self._pids = self._pids, frozenset(psutil.pids())
        were_new, self._new = self._new, bool(self._pids - known)
        if not (self._new or were_new or self._windows % _LOOK_WINDOWS == 0):
            return
        try:
            self._find(self._instances())
        except (ProfilerError, OSError) as trouble:
            _log.warning("new processes are not watched", why=str(trouble))

    def _find(self, instances: list[Instance]) -> None:
        """Begin to watch instances that are new."""
        rate_hz = self._pace.rate_hz or self._pace.begin([instance.threads() for instance in instances])
        for instance in instances:
            if instance not in self.watched:
                with contextlib.suppress(ProcessGoneError):
                    self.watched[instance] = WatchedInstance(
                        instance,
                        self._choice,
                        rate_hz,
                        self._now_us,
                        len(instances),
                        stamped=self._told is not None,
                    )
                    self._seen += 1

    def _all_gone(self) -> bool:
        if any(not watched.gone for watched in self.watched.values()):
            return False
        try:
            return not self._instances()
        except TargetError:
            return True

    def close(self) -> None:
        """Let go of everything."""
        for watched in self.watched.values():
            watched.close()
