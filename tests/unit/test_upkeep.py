"""What is done for the store now and then: memory goes back to the system, whatever the store says."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from processors import upkeep
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from tests.support.polling import until


@pytest.mark.parametrize("library", ["glibc", "another"])
@pytest.mark.parametrize("store_is", ["there", "away"])
async def test_memory_is_given_back_time_and_again(
    monkeypatch: pytest.MonkeyPatch, library: str, store_is: str
) -> None:
    trimmed: list[int] = []
    asked: list[str] = []
    known = {"malloc_trim": trimmed.append} if library == "glibc" else {}
    monkeypatch.setattr(upkeep, "_C", SimpleNamespace(**known))

    async def ask(question: Callable[[], None]) -> None:
        asked.append(question.__name__)
        if question.__name__ == "give_back" and store_is == "away":
            raise StoreError("away", retriable=True)
        question()

    task = asyncio.create_task(upkeep.give_back(MemoryStore(), ask, 0.001))
    await until(lambda: len(asked) >= 6, 60, "three rounds")
    task.cancel()
    assert asked[:6] == ["give_back", "_trim"] * 3
    assert trimmed[:3] == ([0] * 3 if library == "glibc" else [])
