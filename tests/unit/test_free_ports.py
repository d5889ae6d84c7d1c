"""Ports for what takes a moment to listen: the system must not give them to others meanwhile."""

import socket
from pathlib import Path

import pytest

from loadflame import broker
from loadflame.broker import free_ports

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_ports_are_none_that_the_system_gives_to_whoever_asks_for_any() -> None:
    lowest = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 0
    if lowest < 32_000:
        pytest.skip("this system gives others than is usual")
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < lowest


def test_a_port_that_somebody_has_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        monkeypatch.setattr(broker, "_PORTS", range(port, port + 1))
        with pytest.raises(OSError, match="no 1 free ports"):
            free_ports(1)


def test_no_port_is_given_twice_for_nobody_may_listen_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_PORTS", sorted(free_ports(2)))
    monkeypatch.setattr(broker, "_given", set())
    assert {*free_ports(1), *free_ports(1)} == {*broker._PORTS}
    with pytest.raises(OSError, match="no 1 free ports"):
        free_ports(1)
