"""The engine that can do everything: TLS, redirects, any body; some 5,000 requests a second on one core."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from producers.load.bodies import LargeBody
from producers.load.checking import MOST_BODY_BYTES
from producers.load.feeds import FeedOverError
from producers.load.files import allow_files
from producers.load.outcomes import error_name
from producers.load.scenario_user import Tally, User, play
from producers.load.scenarios import Scenario
from producers.load.sending import Sending, TimedRequest, answer_head_bytes, pieces_of, sending_now
from producers.load.setup import Setup
from producers.load.trace_context import with_context


@dataclass(frozen=True, slots=True)
class Hop:
    """What is to be sent, and what the request has done until then when a redirect led here (Unix microseconds)."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | LargeBody | None
    written_us: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class AiohttpEngine:
    """See Engine. A task per request, connections kept alive and without a limit of their own."""

    name = "aiohttp"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._recorder = setup.recorder
        self._clock = setup.clock
        self._arrivals = setup.shard.index
        # Threshold: aiohttp rounds timeouts over it up to whole seconds, to save timers.
        self._timeout = aiohttp.ClientTimeout(total=setup.timeout_s, ceil_threshold=setup.timeout_s + 1)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.in_flight = 0
        self.when_ended: Callable[[int], None] = lambda _: None

    async def open(self) -> None:
        """See Engine."""
        allow_files(self._setup.max_in_flight)
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=self._setup.guard.connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=TimedRequest,
            timeout=self._timeout,
            auto_decompress=False,  # bytes count as they travel, and inflating them is not the generator's work
        )

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        """See Engine."""
        request, arrival = self._setup.requests[endpoint], self._arrivals
        self._arrivals += self._setup.shard.count
        try:
            if request.scenario is not None:
                headers = partial(self._of_step, request.headers_for(arrival), endpoint, stage)
                playing = self._play(request.scenario, headers, arrival, endpoint, stage, due_us, now_us)
                self._begin(playing)
                return
            url = URL(request.url(arrival), encoded=True)
            body = request.body if isinstance(request.body, LargeBody) else request.body_for(arrival)
            hop = Hop(request.method, url, request.headers_for(arrival), body)
        except FeedOverError:
            self._recorder.ended(endpoint, stage, due_us, now_us, now_us, now_us, 0, "feed is over", 0, 0)
            return
        self._begin(
            self._send(hop, endpoint, stage, due_us=due_us, dispatched_us=now_us, redirects=self._setup.redirects)
        )

    def follow(self, hop: Hop, endpoint: int, stage: int, due_us: int, dispatched_us: int) -> None:
        """Carry on with a request whose first answer was a redirect."""
        left = self._setup.redirects - 1
        self._begin(self._send(hop, endpoint, stage, due_us=due_us, dispatched_us=dispatched_us, redirects=left))

    def _with_context(self, headers: Mapping[str, str], endpoint: int, stage: int) -> Mapping[str, str]:
        if self._setup.context is None:
            return headers
        return with_context(headers, self._setup.context.headers(endpoint, stage))

    def _of_step(
        self, of_plan: Mapping[str, str], endpoint: int, stage: int, of_scenario: Mapping[str, str]
    ) -> Mapping[str, str]:
        every = CIMultiDict(of_plan)
        every.update(of_scenario)
        return self._with_context(every, endpoint, stage)

    def _begin(self, sending: Coroutine[Any, Any, None]) -> None:
        self.in_flight += 1
        task = self._loop.create_task(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """See Engine."""
        self._closing = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _send(
        self, hop: Hop, endpoint: int, stage: int, *, due_us: int, dispatched_us: int, redirects: int
    ) -> None:
        sending = Sending(self._clock, self._recorder, hop.written_us, hop.bytes_sent)
        sending_now.set(sending)
        status = received = 0
        checks, kept = self._setup.requests[endpoint].checks, bytearray()
        try:
            assert self._session is not None, "an engine is opened before it fires"
            response = await self._session.request(
                hop.method,
                hop.url,
                data=hop.body.pieces() if isinstance(hop.body, LargeBody) else hop.body,
                headers=self._with_context(hop.headers, endpoint, stage),
                allow_redirects=self._setup.redirects > 0,
                max_redirects=redirects + 1,  # aiohttp gives up at that many, before it follows the last
            )
            status = response.status
            async with response:
                received = answer_head_bytes(response)
                async for chunk in pieces_of(response, sending.protocol):
                    received += len(chunk)
                    if checks.needs_body and len(kept) <= MOST_BODY_BYTES:
                        kept += chunk[: MOST_BODY_BYTES + 1 - len(kept)]
            headers = {name.lower(): value for name, value in response.headers.items()} if checks.needs_head else {}
            error = checks.error_of(status, headers, bytes(kept))
        except asyncio.CancelledError:
            if self._closing:
                raise
            error = "timeout"  # aiohttp times out by cancelling, and now and then fails to say so
        except Exception as raised:  # noqa: BLE001  whatever it is, it is this request's outcome
            error = error_name(raised)
        self._ended(
            endpoint,
            stage,
            due_us,
            dispatched_us,
            Tally(error, status, sending.written_us, sending.bytes_sent, hop.bytes_received + received),
        )

    async def _play(  # noqa: PLR0917  an arrival, by place as in `fire`
        self,
        scenario: Scenario,
        headers: Callable[[Mapping[str, str]], Mapping[str, str]],
        arrival: int,
        endpoint: int,
        stage: int,
        due_us: int,
        dispatched_us: int,
    ) -> None:
        assert self._session is not None, "an engine is opened before it fires"
        tally = Tally()
        try:
            async with aiohttp.ClientSession(
                connector=self._session.connector,
                connector_owner=False,
                cookie_jar=aiohttp.CookieJar(unsafe=True),  # unsafe: also of hosts that are named by their address
                request_class=TimedRequest,
                timeout=self._timeout,
                auto_decompress=False,
            ) as session:
                user = User(
                    arrival,
                    target=self._setup.requests[endpoint].target,
                    session=session,
                    headers=headers,
                    sending=partial(Sending, self._clock, self._recorder),
                    redirects=self._setup.redirects,
                    tally=tally,
                )
                await play(scenario, user, tally)
        except asyncio.CancelledError:
            if self._closing:
                raise
            tally.fail("timeout")  # see `_send`
        self._ended(endpoint, stage, due_us, dispatched_us, tally)

    def _ended(self, endpoint: int, stage: int, due_us: int, dispatched_us: int, tally: Tally) -> None:
        if self._closing:
            return  # broken off by ourselves
        ended_us = self._clock.now_us()
        self.in_flight -= 1
        self._recorder.ended(
            endpoint=endpoint,
            stage=stage,
            due_us=due_us,
            dispatched_us=dispatched_us,
            written_us=tally.written_us or ended_us,
            ended_us=ended_us,
            status=tally.status,
            error=tally.error,
            bytes_sent=tally.bytes_sent,
            bytes_received=tally.bytes_received,
        )
        self.when_ended(ended_us)
