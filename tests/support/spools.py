"""Messages and places for tests of the spool, and a Kafka client that acknowledges when it is told to."""

import asyncio

from hypothesis import strategies as st

from producers.publisher.client import Delivered
from producers.publisher.messages import Message
from schemas.batches import BatchHeader, BatchKey

_TEXT = st.text(max_size=20)
MESSAGES = st.builds(
    Message,
    topic=_TEXT,
    partition=st.none() | st.integers(0, 2**31 - 1),
    key=st.none() | st.binary(max_size=30),
    headers=st.lists(st.tuples(_TEXT, st.binary(max_size=30)), max_size=5),
    value=st.binary(max_size=300),
    rows=st.integers(0, 2**32 - 1),
    is_batch=st.booleans(),
)
"""Any message, also such as nobody would send."""


def batch(number: int, *, rows: int = 10, size: int = 100, run: str = "run", topic: str = "t.requests") -> Message:
    """A batch that can be told from others by its window."""
    headers = BatchHeader(BatchKey("requests", run, number, "load-1", 0), rows, 4, final=True).to_kafka()
    return Message(topic, number % 4, None, headers, number.to_bytes(4, "big") * (size // 4), rows, is_batch=True)


def event(name: str, run: str = "run") -> Message:
    """An event by its name."""
    return Message("t.runs", None, run.encode(), [("ce_type", name.encode())], b"{}", 0, is_batch=False)


class AClient:
    """Stands in for `Client`: takes messages while it is `up`, and keeps those that it was asked to deliver."""

    bootstrap = "kafka:9092"

    def __init__(self, *, up: bool = True) -> None:
        self.asked: list[Message] = []
        self.taken: list[Message] = []
        self.errors: list[Exception] = []
        self.under_way = 0
        self.most_under_way = 0
        self.topics = {"t.requests": {0, 1, 2, 3}, "t.runs": {0}}
        self._up = asyncio.Event()
        if up:
            self._up.set()

    def come(self) -> None:
        self._up.set()

    def go(self) -> None:
        self._up.clear()

    async def start(self, timeout_s: float, topics: object = None) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def partitions(self) -> dict[str, set[int]]:
        return self.topics

    async def deliver(self, message: Message) -> Delivered:
        if ("kind", b"tick") in message.headers:
            return Delivered(0, 1, None)  # a question for the time, which nobody answers here
        self.asked.append(message)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._up.wait()
            await asyncio.sleep(0)
            if self.errors:
                raise self.errors.pop(0)
            self.taken.append(message)
            return Delivered(0, 1, None)
        finally:
            self.under_way -= 1
