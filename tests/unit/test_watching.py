"""/metrics and /healthz: on loopback, where asked for, and telling what a supervisor needs to know."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import structlog

from loadflame.settings import Settings, read_settings
from loadflame.watching import Watch, WatchError, check_ports, watching
from producers.profiler.figures import AgentFigures
from schemas.watching import Health, State

AGENT = AgentFigures(windows=7, samples=0, instances=1, rate_hz=100, coverage=None, cpu_us=0)


@asynccontextmanager
async def served(**named: Any) -> AsyncIterator[tuple[Watch, str]]:
    """A watch on a free port, and where it is; the log says so."""
    with structlog.testing.capture_logs() as lines:
        async with watching(read_settings(watch_port=0, **named)) as watch:
            url = lines[0]["url"]
            assert url.endswith("/metrics")
            yield watch, url.removesuffix("/metrics")


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


CODES: dict[State, int] = {"working": 200, "idle": 200, "degraded": 200, "starting": 503, "stuck": 503}


@pytest.mark.parametrize(("state", "code"), CODES.items())
async def test_only_what_starting_again_may_mend_is_unwell(state: State, code: int) -> None:
    async with served() as (watch, url):
        watch.show(lambda: Health(state, "so it is"))
        assert await get(f"{url}/healthz") == (code, f'{{"status": "{state}", "sentence": "so it is"}}')


async def test_until_there_is_something_to_show_it_is_starting() -> None:
    async with served() as (_, url):
        status, body = await get(f"{url}/healthz")
        assert (status, "starting" in body) == (503, True)
        status, body = await get(f"{url}/metrics")
        assert status == 200
        assert "process_cpu_seconds_total" in body
        assert "loadflame_" not in body


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


SHOWN: dict[str, Callable[[Any], Any | Awaitable[Any]]] = {"at once": lambda value: value, "after asking": later}


@pytest.mark.parametrize("told", SHOWN.values(), ids=SHOWN)
async def test_figures_and_health_are_asked_for_when_somebody_looks(told: Callable[[Any], Any]) -> None:
    asked = []
    async with served() as (watch, url):
        watch.show(lambda: told(Health("idle", "")), lambda: asked.append(1) or told(AGENT))
        assert asked == []
        _, body = await get(f"{url}/metrics")
        assert "loadflame_agent_windows_total 7.0" in body
        assert (await get(f"{url}/healthz"))[0] == 200
        assert asked == [1]


async def test_without_a_port_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", None)
    async with watching(read_settings()) as watch:
        watch.show(lambda: Health("idle", ""))


async def test_it_listens_on_loopback_unless_another_address_is_named() -> None:
    async with served() as (_, url):
        assert url.startswith("http://127.0.0.1:")
    async with served(watch_host="127.0.0.2") as (_, url):
        assert url.startswith("http://127.0.0.2:")


async def test_it_is_gone_when_its_role_is_over() -> None:
    async with served() as (_, url):
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{url}/healthz")


def holding(settings: Settings) -> socket.socket:
    """Somebody else on the port."""
    return socket.create_server((settings.watch_host, 0))


async def test_a_port_that_is_taken_is_named_with_the_remedy() -> None:
    with holding(read_settings()) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(WatchError, match=rf"127\.0\.0\.1:{port} is taken; name another port with --watch-port"):
            async with watching(read_settings(watch_port=port)):
                pass
        with pytest.raises(WatchError, match="is taken"):
            check_ports(read_settings(watch_port=port - 2), 3)
        check_ports(read_settings(watch_port=0), 3)
        check_ports(read_settings(), 3)


def test_an_address_that_is_not_this_hosts_and_ports_beyond_the_last_are_refused() -> None:
    with pytest.raises(WatchError, match=r"nobody can listen on 192\.0\.2\.1:9464 \("):
        check_ports(read_settings(watch_host="192.0.2.1", watch_port=9464), 1)
    with pytest.raises(WatchError, match="there are not 3 ports from 65534 on"):
        check_ports(read_settings(watch_port=65_534), 3)
