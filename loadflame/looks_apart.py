"""Looks at runs in a process of its own, beside a worker: what a report takes, memory and CPU, is not the worker's.

A report of an hour holds all of its windows at once. In the worker that would be its largest moment by far, in threads
that share an interpreter with the join. So it is asked for by a line on a pipe and comes back as one, both JSON; the
process goes when nothing was asked for a while, and after some looks in any case, with all that they have left behind.

    python -m loadflame.looks_apart        one line a question, until its input ends
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel

from analysis.judging.verdict import Verdict
from loadflame.children import end_with_parent
from loadflame.looked import Look, Stored
from schemas.errors import UserError
from schemas.events import EVENT_OF_TYPE, EventData
from sinks.errors import StoreError

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouseStore

What = Literal["look", "check", "last look"]
LOOKS = 50
IDLE_S = 60.0
LONGEST_S = 300.0
NICENESS = 5
_MOST_BYTES = 16 << 20


class Question(BaseModel):
    """What to look at. The store's URL may hold a password: it is told on the pipe, not on the command line."""

    store_url: str
    run_id: str
    what: What
    windows: int = 0
    batches: int = 0
    before: list[str] = []
    is_checked_anew: bool = False


class WrittenEvent(BaseModel):
    """An event, by its type's name."""

    type: str
    data: dict[str, Any]


class Answer(BaseModel):
    """What a look gave, or what trouble there was with the store."""

    events: list[WrittenEvent] = []
    names: list[str] = []
    verdict: Verdict | None = None
    trouble: str = ""
    retriable: bool = False

    def told(self) -> list[EventData]:
        """The events."""
        return [EVENT_OF_TYPE[told.type].model_validate(told.data) for told in self.events]


class LooksApart:
    """Looks at the store at `store_url`, one at a time; to be entered, and left when nobody asks."""

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url
        self._process: asyncio.subprocess.Process | None = None
        self._looks = 0
        self._last_s = 0.0

    async def look_at(self, run_id: str, stored: Stored, *, before: Collection[str]) -> Look:
        """See `loadflame.looks.look_at`. Raises StoreError, and RuntimeError when the process has failed."""
        answer = await self._answer(run_id, "look", **asdict(stored), before=list(before))
        assert answer.verdict is not None
        return Look(tuple(answer.told()), tuple(answer.names), answer.verdict)

    async def check(self, run_id: str) -> Sequence[EventData]:
        """See `loadflame.looks.check`. Raises as `look_at` does."""
        return (await self._answer(run_id, "check")).told()

    async def last_look(self, run_id: str, stored: Stored, *, is_checked_anew: bool) -> Sequence[EventData]:
        """See `loadflame.looks.last_look`. Raises as `look_at` does."""
        return (await self._answer(run_id, "last look", **asdict(stored), is_checked_anew=is_checked_anew)).told()

    async def _answer(self, run_id: str, what: What, **more: Any) -> Answer:
        question = Question(store_url=self._store_url, run_id=run_id, what=what, **more)
        try:
            async with asyncio.timeout(LONGEST_S):
                line = await self._asked(f"{question.model_dump_json()}\n".encode())
        except BaseException:
            await self.end()  # an answer that comes later would be taken for the next one's
            raise
        answer = Answer.model_validate_json(line)
        if answer.trouble:
            raise StoreError(answer.trouble, retriable=answer.retriable)
        return answer

    async def rest(self) -> None:
        """Nothing is to be looked at just now: the process goes once that has been so for a while."""
        if time.monotonic() - self._last_s > IDLE_S:
            await self.end()

    async def end(self) -> None:
        """End the process, if there is one."""
        process, self._process, self._looks = self._process, None, 0
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _asked(self, question: bytes) -> bytes:
        if self._looks >= LOOKS:
            await self.end()
        if self._process is None or self._process.returncode is not None:
            self._process = await _started()
        self._looks += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question)
        line = await self._process.stdout.readline()
        self._last_s = time.monotonic()
        if not line.endswith(b"\n"):
            raise RuntimeError(f"the process that looks ended with code {await self._process.wait()}")
        return line

    async def __aenter__(self) -> Self:
        """Nothing is started before somebody asks."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End it."""
        await self.end()


async def _started() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # see `loadflame.children`
        "-m",
        "loadflame.looks_apart",
        env={**os.environ, "LOADFLAME_CHILD": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is the worker's, which ends this one
        limit=_MOST_BYTES,
    )


def answered(question: Question) -> Answer:
    """Look, with a client that is closed again."""
    from sinks.clickhouse import ClickHouseStore, open_for_reading  # noqa: PLC0415  see `_looked`

    try:
        store = ClickHouseStore(open_for_reading(question.store_url))
        try:
            return _looked(store, question)
        finally:
            store.close()
    except UserError as error:
        return Answer(trouble=str(error), retriable=isinstance(error, StoreError) and error.retriable)


def _looked(store: "ClickHouseStore", question: Question) -> Answer:
    from loadflame.looks import check, last_look, look_at  # noqa: PLC0415  half a second of CPU, that a worker is spared

    run_id, stored = question.run_id, Stored(question.windows, question.batches)
    match question.what:
        case "look":
            look = look_at(store, run_id, stored, is_over=False, before=question.before)
            return Answer(events=_written(look.events), names=list(look.names), verdict=look.verdict)
        case "check":
            return Answer(events=_written(check(store, run_id)))
        case "last look":
            news = last_look(store, run_id, stored, is_checked_anew=question.is_checked_anew)
            return Answer(events=_written(news))


def _written(events: Iterable[EventData]) -> list[WrittenEvent]:
    return [WrittenEvent(type=event.type, data=event.model_dump(mode="json")) for event in events]


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
    os.nice(NICENESS)
    for line in sys.stdin.buffer:
        answer = answered(Question.model_validate_json(line))
        sys.stdout.buffer.write(f"{answer.model_dump_json()}\n".encode())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
