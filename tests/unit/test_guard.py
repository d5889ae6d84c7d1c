"""Whom a load may be sent to, decided by the address of every single connection."""

import socket

import aiohttp
import pytest

from producers.load.guard import Guard
from producers.load.outcomes import NotAllowedError


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"])
def test_this_machine_may_always_be_loaded(address):
    Guard(()).check(address)


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0"])
def test_another_machine_may_not(address):
    with pytest.raises(NotAllowedError, match=address):
        Guard(("192.0.2.9",)).check(address)


def test_an_address_on_the_list_may():
    Guard(("192.0.2.1",)).check("192.0.2.1")
    Guard(("[2001:db8::1]",)).check("2001:db8::1")


def test_what_a_host_on_the_list_resolves_to_may_and_what_another_host_resolves_to_may_not():
    guard = Guard(("Shop.Test",))
    guard.resolved("shop.test", "192.0.2.1")
    guard.resolved("evil.test", "192.0.2.2")
    guard.check("192.0.2.1")
    with pytest.raises(NotAllowedError):
        guard.check("192.0.2.2")


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://name.test/"])
async def test_no_connection_passes_by_the_guard_whether_named_or_numbered(url, monkeypatch):
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: answer)
    async with aiohttp.ClientSession(connector=Guard(()).connector()) as session:
        with pytest.raises(NotAllowedError, match=r"192\.0\.2\.1"):
            await session.get(url)
