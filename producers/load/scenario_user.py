"""What a scenario gets: a user with cookies and variables of its own, whose requests are timed and judged.

    async def checkout(user):
        async with user.step("login"):
            answer = await user.post("/login", json={"name": f"user-{user.number}"})
            user.vars["token"] = answer.json()["token"]
        found = await user.get("/search?q=tea", name="search")
        user.check(found.json()["items"], "something found")

One run of the function is one outcome. The first thing that goes wrong gives it its error: `step login: http 500`,
`check something found`, or `scenario: KeyError at flow.py:4`.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from json import loads
from typing import Any

import aiohttp

from producers.load.checking import MOST_BODY_BYTES, Body
from producers.load.outcomes import NotAllowedError, error_name, error_of
from producers.load.scenarios import Scenario
from producers.load.sending import Sending, answer_head_bytes, pieces_of, sending_now

NOTHING_SENT = "scenario: nothing sent"
_NAME_CHARACTERS = 60
_step: ContextVar[str] = ContextVar("step", default="")


class StepFailedError(Exception):
    """A request of a scenario failed; its text says which and how. Whoever catches it goes on with a failed run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, headers by lower-case name, and the body in the form it came in, perhaps compressed."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text. Raises ValueError when it is over 1 MiB, or not what its encoding says."""
        return Body(self.content, self.headers.get("content-encoding", "").strip().lower()).text

    def json(self) -> Any:
        """The body as JSON. Raises ValueError, as `text` does too."""
        return loads(self.text)


@dataclass(slots=True)
class Tally:
    """What the requests of one run of a scenario came to. `status` is the last one's, 0 when it got no answer."""

    error: str | None = None
    status: int = 0
    written_us: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def fail(self, error: str) -> None:
        """Note what went wrong; the first counts."""
        self.error = self.error or error


class User:
    """One run of a scenario: `number` is the arrival's in the plan, from 0; `vars` is for what the scenario keeps."""

    def __init__(
        self,
        number: int,
        *,
        target: str,
        session: aiohttp.ClientSession,
        headers: Callable[[Mapping[str, str]], Mapping[str, str]],
        sending: Callable[[], Sending],
        redirects: int,
        tally: Tally,
    ) -> None:
        """`session` has the user's cookies; `headers` gives all of a request's from those that the scenario sets.

        `sending` is made anew for each request.
        """
        self.number = number
        self.vars: dict[str, Any] = {}
        self._target = target
        self._session = session
        self._headers = headers
        self._sending = sending
        self._redirects = redirects
        self._tally = tally

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Name the requests that are made within; names are few and fixed, for each is an error's in the report."""
        token = _step.set(_short(name))
        try:
            yield
        finally:
            _step.reset(token)

    def check(self, condition: object, name: str) -> bool:
        """Fail the run as `check NAME` unless the condition is true; tells whether it is, and lets the run go on."""
        if not condition:
            self._tally.fail(f"check {_short(name)}")
        return bool(condition)

    async def get(self, path: str, **more: Any) -> Answer:
        """`request("GET", ...)`."""
        return await self.request("GET", path, **more)

    async def post(self, path: str, **more: Any) -> Answer:
        """`request("POST", ...)`."""
        return await self.request("POST", path, **more)

    async def request(
        self,
        method: str,
        path: str,
        *,
        name: str = "",
        json: Any = None,
        data: bytes | str | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """Send a request and read the answer, following redirects as the plan says.

        Args:
            method: GET, POST and so on.
            path: Path and query, put behind the plan's target.
            name: The step's name, if it is no part of a `step`.
            json: Body as JSON.
            data: Body as bytes or text, or the fields of a form.
            headers: Besides those of the plan, or in their place.
            allow: Statuses of 400 and above that are no error here.

        Raises:
            StepFailedError: No answer came, or one that is an error; the run has failed.
            ValueError: The path does not begin with a slash.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path; it begins with /")
        step = _short(name) or _step.get()
        sending = self._sending()
        sending_now.set(sending)
        self._tally.status = 0
        try:
            response = await self._session.request(
                method,
                self._target + path,
                json=json,
                data=data,
                headers=self._headers(headers or {}),
                allow_redirects=self._redirects > 0,
                max_redirects=self._redirects + 1,  # aiohttp gives up at that many, before it follows the last
            )
            self._tally.status = response.status
            async with response:
                answer = await self._read(response, sending)
        except (aiohttp.ClientError, OSError, NotAllowedError) as error:
            raise self._failed(step, error_name(error)) from error
        finally:
            self._tally.bytes_sent += sending.bytes_sent
            self._tally.written_us = self._tally.written_us or sending.written_us
        if answer.status not in allow and (error_text := error_of(answer.status)):
            raise self._failed(step, error_text)
        return answer

    async def _read(self, response: aiohttp.ClientResponse, sending: Sending) -> Answer:
        """Read to the end, and keep as much as somebody may look at."""
        kept = bytearray()
        self._tally.bytes_received += answer_head_bytes(response)
        async for chunk in pieces_of(response, sending.protocol):
            self._tally.bytes_received += len(chunk)
            if len(kept) <= MOST_BODY_BYTES:
                kept += chunk[: MOST_BODY_BYTES + 1 - len(kept)]
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(kept))

    def _failed(self, step: str, error: str) -> StepFailedError:
        said = f"step {step}: {error}" if step else error
        self._tally.fail(said)
        return StepFailedError(said)


async def play(scenario: Scenario, user: User, tally: Tally) -> None:
    """Run a scenario to its end; whatever comes of it is in the tally. Raises nothing but CancelledError."""
    try:
        await scenario.function(user)
    except (Exception, SystemExit) as raised:  # noqa: BLE001  whatever it is, it is this run's outcome
        tally.fail(str(raised) if isinstance(raised, StepFailedError) else scenario.error_of(raised))
    if not tally.written_us:
        tally.fail(NOTHING_SENT)


def _short(name: str) -> str:
    return " ".join(name.split())[:_NAME_CHARACTERS]
