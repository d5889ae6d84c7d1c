"""What the page and the gateway know of themselves, for whoever watches their process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from schemas.watching import Durations, Health

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class Asked:
    """Questions since the process began; `answers` are how long those took that were answered.

    `refused` is a mistake of whoever asked, `failed` one of the store's, which `trouble` then tells until the store
    answers again.
    """

    answers: Durations = field(default_factory=lambda: Durations(BOUNDS_S))
    refused: int = 0
    failed: int = 0
    open: int = 0
    trouble: str = ""

    @contextmanager
    def question(self) -> Iterator[None]:
        """One question, for as long as inside; to be told what became of it before it is left."""
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    def answered(self, began_s: float) -> None:
        """It was, since this moment of `time.perf_counter`."""
        self.answers.add(time.perf_counter() - began_s)
        self.trouble = ""

    def fail(self, trouble: str) -> None:
        """The store did not answer it."""
        self.failed += 1
        self.trouble = trouble

    def health(self) -> Health:
        """Degraded while the store is away. Never stuck: a loop that is does not answer."""
        if self.trouble:
            return Health("degraded", self.trouble)
        return Health("working", f"{self.open} questions are open") if self.open else Health("idle", "nobody asks")


class PageFigures(Asked):
    """Of the page: the questions of its API."""


class GatewayFigures(Asked):
    """Of the gateway: the questions of ClickHouse's clients."""
