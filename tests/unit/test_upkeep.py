"""What is done now and then beside the flushes: memory goes back to the system."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from processors import upkeep
from tests.support.polling import until


@pytest.mark.parametrize("library", ["glibc", "another"])
async def test_memory_is_given_back_time_and_again(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    trimmed: list[int] = []
    rounds: list[str] = []
    known = {"malloc_trim": trimmed.append} if library == "glibc" else {}
    monkeypatch.setattr(upkeep, "_C", SimpleNamespace(**known))

    async def ask(question: Callable[[], None]) -> None:
        question()
        rounds.append(question.__name__)

    task = asyncio.create_task(upkeep.give_back(ask, 0.001))
    await until(lambda: len(rounds) >= 3, 60, "three rounds")
    assert not task.done()
    task.cancel()
    assert rounds[:3] == ["_trim"] * 3
    assert trimmed[:3] == ([0] * 3 if library == "glibc" else [])
