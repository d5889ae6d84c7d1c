"""Which hosts are this machine, by what they are called."""

import pytest

from schemas.hosts import is_loopback, is_loopback_at

HOSTS = {
    "the usual address": ("127.0.0.1", True),
    "another of its network": ("127.9.0.1", True),
    "of IPv6": ("::1", True),
    "in brackets": ("[::1]", True),
    "by name": ("localhost", True),
    "by name, as somebody shouts it": ("LOCALHOST", True),
    "every address": ("0.0.0.0", False),
    "a neighbour": ("10.0.0.1", False),
    "a name that only begins so": ("localhost.example", False),
    "nobody": ("", False),
}


@pytest.mark.parametrize(("host", "here"), HOSTS.values(), ids=HOSTS)
def test_a_host_is_this_machine_by_its_name_or_address(host: str, here: bool) -> None:
    assert is_loopback(host) == here
    authority = f"[{host}]" if host == "::1" else host
    assert is_loopback_at(authority) == is_loopback_at(f"{authority}:8790") == here


@pytest.mark.parametrize(
    "authority", ["[::1", "::1]", "[nonsense]", "127.0.0.1@evil.example", "evil.example#127.0.0.1"]
)
def test_what_cannot_be_read_or_is_dressed_up_is_nobodys(authority: str) -> None:
    assert not is_loopback_at(authority)
