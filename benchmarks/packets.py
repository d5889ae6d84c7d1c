"""Packets of one TCP port on loopback, each with the kernel's own timestamp: what `audit` measures with.

A packet socket (man 7 packet) sees what goes over `lo`, a filter in the kernel (man 2 socket, SO_ATTACH_FILTER) leaves
all other ports out, and SO_TIMESTAMPNS (man 7 socket) gives the wall time at which the kernel had each packet. What the
reader of the socket does, and when, changes nothing about that time.
"""

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

_SO_TIMESTAMPNS = 35
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_ETH_P_ALL = 3
_BUFFER_BYTES = 64 << 20
_POLL_S = 0.2
_SNAP_BYTES = 256
"""Of a packet: enough for its headers and the line of a request."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One TCP segment with data, as it was handed to the loopback device (`outgoing`) or came from it.

    `time_us` is the kernel's, microseconds since the Unix epoch.
    """

    time_us: float
    outgoing: bool
    source: int
    destination: int
    data: bytes


def _filter(port: int) -> bytes:
    """BPF: IPv4, TCP, and this port at either end; else nothing. See the kernel's `networking/filter`."""
    instructions = (
        (0x28, 0, 0, 12),  # the type of the frame
        (0x15, 0, 8, 0x0800),
        (0x30, 0, 0, 23),  # the protocol of the packet
        (0x15, 0, 6, socket.IPPROTO_TCP),
        (0xB1, 0, 0, 14),  # x: length of the IP header
        (0x48, 0, 0, 14),  # source port
        (0x15, 2, 0, port),
        (0x48, 0, 0, 16),  # destination port
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )
    return b"".join(struct.pack("HBBI", *one) for one in instructions)


class Capture:
    """Collects packets from when it is entered until it is left. Raises PermissionError without CAP_NET_RAW."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        program = ctypes.create_string_buffer(_filter(port))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program) // 8, ctypes.addressof(program))
        )
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with contextlib.suppress(PermissionError):  # that needs CAP_NET_ADMIN; smaller it drops at high rates
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(_POLL_S)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._raw: list[tuple[bytes, bytes, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                frame, ancillary, _, address = self._socket.recvmsg(_SNAP_BYTES, 64)
            except TimeoutError:
                if self._over.is_set():
                    return  # only now: packets may have waited in the socket
                continue
            stamp = next((data for _, kind, data in ancillary if kind == _SO_TIMESTAMPNS), None)
            if stamp is not None:
                self._raw.append((frame, stamp, address[2]))

    def packets(self) -> Iterator[Packet]:
        """What was collected, by time; segments without data are left out."""
        found = (_packet(*one) for one in self._raw)
        yield from sorted((one for one in found if one is not None), key=lambda one: one.time_us)


def _packet(frame: bytes, stamp: bytes, kind: int) -> Packet | None:
    seconds, nanoseconds = struct.unpack("qq", stamp)
    ip_bytes = (frame[14] & 15) * 4
    length = int.from_bytes(frame[16:18])
    tcp = frame[14 + ip_bytes :]
    tcp_bytes = (tcp[12] >> 4) * 4
    if length == ip_bytes + tcp_bytes:
        return None
    source, destination = struct.unpack("!HH", tcp[:4])
    time_us = seconds * 1e6 + nanoseconds / 1e3
    return Packet(time_us, kind == socket.PACKET_OUTGOING, source, destination, tcp[tcp_bytes:])


@dataclass(slots=True)
class Exchange:
    """One request and its answer; microseconds since the Unix epoch, 0 while unknown."""

    asked_us: float
    answered_us: float = 0.0


def exchanges(packets: Iterable[Packet], port: int, mark: bytes) -> dict[int, Exchange]:
    """Requests by the number that follows `mark` in their first line, one at a time on each connection.

    From the first byte of a request as it was handed to the device, to the last byte of its answer as it came out of
    it. Packets are ascending in time.
    """
    found: dict[int, Exchange] = {}
    at: dict[int, Exchange] = {}
    for packet in packets:
        if packet.destination == port and packet.outgoing and mark in packet.data:
            number = int(packet.data.partition(mark)[2].split(b" ", 1)[0])
            at[packet.source] = found[number] = Exchange(packet.time_us)
        elif packet.source == port and not packet.outgoing and packet.destination in at:
            at[packet.destination].answered_us = packet.time_us
    return {number: one for number, one in found.items() if one.answered_us}
