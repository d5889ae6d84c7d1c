"""Looks in a process of their own: what they give is what a look here gives, and the process is nobody's burden."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from loadflame import looks_apart
from loadflame.looked import stored_of
from loadflame.looks import check, last_look, look_at
from loadflame.looks_apart import LooksApart
from schemas.events import FindingMade, FindingsSettled
from sinks.clickhouse import open_store
from sinks.errors import StoreError
from tests.support.polling import until
from tests.support.synthetic import Synthetic, levels


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store of one run, open nowhere: the embedded engine serves one process at a time."""
    url = f"chdb://{tmp_path}/store"
    with closing(open_store(url)) as store:
        Synthetic(run="r", stages=levels(visits=2, seconds=4)).write(store)
    return url


@pytest.fixture
async def looks(url: str) -> AsyncIterator[LooksApart]:
    async with LooksApart(url) as looks:
        yield looks


def pid_of(looks: LooksApart) -> int | None:
    return looks._process.pid if looks._process else None


async def test_a_look_from_afar_is_a_look_from_here(looks: LooksApart, url: str) -> None:
    with closing(open_store(url)) as store:
        stored = stored_of(store, "r")
        here = look_at(store, "r", stored, is_over=False)
        again = look_at(store, "r", stored, is_over=False, before=here.names)
        checks = check(store, "r")
        last = last_look(store, "r", stored, is_checked_anew=False)
    assert await looks.look_at("r", stored, before=()) == here
    first = pid_of(looks)
    assert await looks.look_at("r", stored, before=here.names) == again
    told = {event.finding for event in again.events if isinstance(event, FindingMade)}
    assert told == set(here.names) - {"none/"}, "that there is none is told at the end"
    assert await looks.check("r") == list(checks)
    assert await looks.last_look("r", stored, is_checked_anew=False) == list(last)
    assert FindingsSettled in {type(event) for event in last}
    assert pid_of(looks) == first, "it is there already"


async def test_a_store_that_is_not_to_be_had_and_a_process_that_dies_are_told_and_the_next_look_is_taken(
    looks: LooksApart, url: str, tmp_path: Path
) -> None:
    with closing(open_store(url)) as store:
        stored = stored_of(store, "r")
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
            await looks.look_at("r", stored, before=())
    first = pid_of(looks)
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # or it may have answered already, on a host that is busy elsewhere
    look = asyncio.create_task(looks.look_at("r", stored, before=()))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended with code -9"):
        await look
    assert pid_of(looks) is None
    assert (await looks.look_at("r", stored, before=())).names
    async with LooksApart("http://writer@127.0.0.1:9") as nobody:
        with pytest.raises(StoreError, match="no ClickHouse answers") as away:
            await nobody.look_at("r", stored, before=())
    assert away.value.retriable


async def test_it_goes_when_it_is_idle_after_some_looks_and_with_the_worker(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(url)) as store:
        stored = stored_of(store, "r")
    monkeypatch.setattr(looks_apart, "LOOKS", 1)
    async with LooksApart(url) as looks:
        await looks.look_at("r", stored, before=())
        first = pid_of(looks)
        await looks.rest()
        assert pid_of(looks) == first
        await looks.look_at("r", stored, before=())
        second = pid_of(looks)
        assert first != second
        monkeypatch.setattr(looks_apart, "IDLE_S", 0.0)
        await looks.rest()
        assert pid_of(looks) is None
        await looks.look_at("r", stored, before=())
        third = pid_of(looks)
    for pid in (first, second, third):
        assert pid is not None
        await until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 60, "its end")
