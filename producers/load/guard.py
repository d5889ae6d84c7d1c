"""Whom a load may be sent to, and how much of it: this machine, and with a bound hosts that somebody put on the list.

A load generator aimed at the wrong host is an attack. So every single connection is checked at the address that it is
made to, after name resolution and on redirects too, and not only the URL that the plan names.
"""

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import Collection
from http import HTTPStatus
from math import ceil, inf
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from producers.load.connecting import AT_ONCE, TLS_AT_ONCE, counted_for_a_moment
from producers.load.outcomes import NotAllowedError
from producers.load.plan import Plan
from producers.load.prepared import prepared_requests
from producers.load.rates import AWAY_TPS
from producers.load.segments import peak_tps, segments_of
from schemas.errors import UserError

_CONNECT_S = 5.0
# Shorter than the servers' own (gunicorn 2 s, uvicorn 5 s): a request on a connection that is just being closed fails.
KEEP_ALIVE_S = 1.8


class TargetError(UserError):
    """The target cannot or must not be loaded; one sentence with the remedy."""


class TargetRefusedError(TargetError):
    """Nothing listens at the target, or not yet."""


class Guard:
    """Decides by host and address. `allow_hosts` are names or addresses besides loopback, in any case of letters."""

    def __init__(self, allow_hosts: Collection[str]) -> None:
        self._hosts = {_plain(host) for host in allow_hosts}
        self._admitted = set(self._hosts)

    def resolved(self, host: str, address: str) -> None:
        """Note what a host resolved to: an address of a host on the list may be loaded."""
        if _plain(host) in self._hosts:
            self._admitted.add(address)

    def check(self, address: str) -> None:
        """Raise NotAllowedError unless the address is this machine's or that of a host on the list."""
        if not (address in self._admitted or _is_here(address)):
            raise NotAllowedError(address)

    def connector(self) -> aiohttp.TCPConnector:
        """Connections of aiohttp that pass here, without a limit of their own: the in-flight cap is the limit."""
        return _PatientConnector(
            resolver=_GuardedResolver(self),
            socket_factory=self._socket,
            limit=0,
            happy_eyeballs_delay=None,
            keepalive_timeout=KEEP_ALIVE_S,
        )

    def _socket(self, info: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        """The one place that every connection passes, whatever URL or redirect it comes from."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)


def _plain(host: str) -> str:
    return host.lower().strip("[]")


def _is_here(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_unspecified  # 0.0.0.0 as a destination is this machine


class _PatientConnector(aiohttp.TCPConnector):
    """Begins few connections at once; see `connecting`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turns = {False: asyncio.Semaphore(AT_ONCE), True: asyncio.Semaphore(TLS_AT_ONCE)}

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own
    ) -> aiohttp.connector.Connection:
        if (idle := await self._get(req.connection_key, traces)) is not None:
            return idle
        turns = self._turns[req.is_ssl()]
        await turns.acquire()
        with counted_for_a_moment(turns.release):  # an idle one that has turned up meanwhile is taken
            return await super().connect(req, traces, timeout)


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            self._guard.resolved(host, result["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


async def highest_tps(target: str, max_tps: float = AWAY_TPS) -> float:
    """The highest rate that a target may be loaded with: no bound on this machine, else `max_tps`. Raises OSError."""
    return inf if all(map(_is_here, await _addresses(target))) else max_tps


async def check_target(plan: Plan, allow_hosts: Collection[str], max_tps: float = AWAY_TPS) -> None:
    """Check, before anything starts, that the target may be loaded so much, answers, and counts where the plan says so.

    The plan is a settled one. Raises TargetError, or PlanError when a header needs an environment variable that is not
    set.
    """
    prepared_requests(plan)
    guard = Guard(allow_hosts)
    await _reach(plan.target, guard, peak_tps(segments_of(plan)), max_tps)
    if plan.target_count_path is not None:
        async with aiohttp.ClientSession(connector=guard.connector()) as session:
            await read_count(session, plan.target + plan.target_count_path)


def _place(target: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(target)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _addresses(target: str) -> list[str]:
    host, port = _place(target)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _reach(target: str, guard: Guard, peak_tps: float, max_tps: float) -> None:
    host, port = _place(target)
    try:
        addresses = await _addresses(target)
        for address in addresses:
            guard.resolved(host, address)
            guard.check(address)
        if peak_tps > max_tps and not all(map(_is_here, addresses)):
            raise TargetError(
                f"target {target} is another machine, which gets at most {max_tps:.7g} requests per second, and the "
                f"plan's highest rate is {peak_tps:.7g}; lower it, or set LOADFLAME_MAX_TPS={ceil(peak_tps)}"
            )
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=target.startswith("https:") or None)
            writer.close()
            await writer.wait_closed()
    except NotAllowedError as error:
        raise TargetError(
            f"target {target} is another machine ({error}); if you may load it, say so with --allow-host {host} "
            "or in LOADFLAME_ALLOW_HOSTS"
        ) from error
    except socket.gaierror as error:
        raise TargetError(f"target {target}: the host {host} is not known; mend `target` in the plan") from error
    except ConnectionRefusedError as error:
        raise TargetRefusedError(
            f"target {target} refuses connections; start the service, or mend `target` in the plan"
        ) from error
    except TimeoutError as error:
        raise TargetError(f"target {target} does not answer within {_CONNECT_S:.0f} s; is it up?") from error
    except ssl.SSLError as error:
        raise TargetError(f"target {target} does not speak TLS that can be trusted ({error.reason})") from error
    except OSError as error:
        raise TargetError(f"target {target} cannot be reached ({error.strerror}); mend `target` in the plan") from error


async def read_count(session: aiohttp.ClientSession, url: str) -> int:
    """What the target says how many requests it got. Raises TargetError when it does not say."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=_CONNECT_S)) as response:
            count = json.loads(await response.read())["requests"]
            if response.status == HTTPStatus.OK and isinstance(count, int) and count >= 0:
                return count
    except (aiohttp.ClientError, NotAllowedError, TimeoutError, ValueError, TypeError, KeyError) as error:
        raise TargetError(_no_count(url)) from error
    raise TargetError(_no_count(url))


def _no_count(url: str) -> str:
    return f'{url} does not answer {{"requests": N}}; mend `target_count_path` in the plan, or leave it out'
