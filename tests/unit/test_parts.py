"""The processes of a run are told where to show how they fare: one port after the other."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from loadflame import parts
from loadflame.children import ChildError
from loadflame.parts import parts_here
from loadflame.settings import read_settings

PORTS = {
    "none was named": (None, [None, None, None]),
    "one was": (9464, ["9464", "9465", "9466"]),
    "any that is free": (0, ["0", "0", "0"]),
}


@pytest.mark.parametrize(("named", "told"), PORTS.values(), ids=PORTS)
async def test_each_process_has_a_port_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: int | None, told: list[str | None]
) -> None:
    started: list[Mapping[str, str]] = []

    async def start(
        role: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, niceness: int
    ) -> AsyncMock:
        started.append(environment)
        return AsyncMock()

    monkeypatch.setattr(parts.Child, "start", start)
    monkeypatch.setattr(parts, "ensure_topics", AsyncMock())
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(parts_here(read_settings(broker="b:1", watch_port=named), tmp_path))
        for role in ("process", "profile", "load"):
            await here.child(role)
    assert [environment.get("LOADFLAME_WATCH_PORT") for environment in started] == told


@pytest.mark.parametrize(("named", "words"), [("b:1", []), (None, ["--lone"])], ids=["named", "embedded"])
async def test_the_worker_is_told_when_the_broker_is_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str | None, words: list[str]
) -> None:
    started: list[Sequence[str]] = []

    async def start(role: str, arguments: Sequence[str], *_: object, **__: object) -> AsyncMock:
        started.append(arguments)
        return AsyncMock()

    monkeypatch.setattr(parts.Child, "start", start)
    monkeypatch.setattr(parts, "ensure_topics", AsyncMock())
    monkeypatch.setattr(parts, "LocalBroker", lambda: contextlib.nullcontext(SimpleNamespace(bootstrap="b:1")))
    async with parts_here(read_settings(broker=named, data_dir=tmp_path), tmp_path / "logs") as here:
        await here.worker("run-1")
    assert [list(one) for one in started] == [["--drain", "run-1", *words]]


async def test_what_processes_left_on_disk_is_sent_before_the_worker_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: list[object] = []
    monkeypatch.setattr(parts, "ensure_topics", AsyncMock())
    monkeypatch.setattr(parts, "bring_home", lambda *what, **_: asyncio.sleep(0, steps.append(what)))
    worker = AsyncMock()
    worker.wait.side_effect = ChildError("it ended badly")
    async with parts_here(read_settings(broker="b:1", data_dir=tmp_path), tmp_path) as here:
        with pytest.raises(ChildError):
            await here.drained(worker, "run")
    assert steps == [("b:1", tmp_path / "spool")]


async def test_what_is_spooled_for_the_embedded_broker_stays_with_its_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parts, "ensure_topics", AsyncMock())
    monkeypatch.setattr(parts, "LocalBroker", lambda: contextlib.nullcontext(SimpleNamespace(bootstrap="b:1")))
    async with parts_here(read_settings(data_dir=tmp_path), tmp_path / "logs") as here:
        assert here.settings.spool_folder == tmp_path / "logs" / "spool"
