"""Which hosts are this machine, by what they are called. What a name resolves to is asked where it is connected to."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without a port, is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_loopback_at(authority: str) -> bool:
    """The same of a host as a `Host` header has it, perhaps with a port; what cannot be read is nobody's."""
    try:
        return is_loopback(urlsplit(f"//{authority}").hostname or "")
    except ValueError:
        return False
