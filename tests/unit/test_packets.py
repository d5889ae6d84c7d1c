"""Which packets belong to which request, and when the kernel had its first and its last byte."""

import socket
import struct

import pytest

from benchmarks.packets import Capture, Exchange, Packet, _packet, exchanges

PORT, MARK = 80, b"audit-"


def asked(time_us: float, client: int, number: int) -> Packet:
    return Packet(time_us, True, client, PORT, b"GET /audit-%d HTTP/1.1\r\n" % number)


def answered(time_us: float, client: int, data: bytes = b"HTTP/1.1 200 OK\r\n\r\nok") -> Packet:
    return Packet(time_us, False, PORT, client, data)


def test_each_request_has_the_answer_of_its_own_connection_up_to_the_last_byte() -> None:
    packets = [
        asked(1, 1000, 7),
        asked(2, 1001, 8),
        answered(3, 1001),
        answered(4, 1000),
        answered(6, 1000, b"more"),
        asked(7, 1000, 12),
        answered(9, 1000),
    ]
    assert exchanges(packets, PORT, MARK) == {7: Exchange(1, 6), 8: Exchange(2, 3), 12: Exchange(7, 9)}


def test_what_has_no_answer_or_is_seen_the_other_way_round_is_left_out() -> None:
    seen_twice = Packet(1.5, False, 1000, PORT, b"GET /audit-7 HTTP/1.1\r\n")
    leaving = Packet(3.5, True, PORT, 1000, b"HTTP/1.1 200 OK\r\n\r\nok")
    packets = [asked(1, 1000, 7), seen_twice, answered(3, 1000), leaving, asked(5, 1000, 8)]
    assert exchanges(packets, PORT, MARK) == {7: Exchange(1, 3)}


@pytest.mark.parametrize("options", [b"", b"\x01" * 12])
def test_a_frame_is_read_behind_its_headers_and_one_without_data_is_none(options: bytes) -> None:
    def frame(data: bytes) -> bytes:
        tcp = struct.pack("!HHIIBBHHH", 4711, PORT, 0, 0, (20 + len(options)) // 4 << 4, 0, 0, 0, 0) + options
        length = 20 + len(tcp) + len(data)
        ip = struct.pack("!BBHIBBH8s", 0x45, 0, length, 0, 64, socket.IPPROTO_TCP, 0, b"")
        padding = b"\0" * 6
        return b"\0" * 12 + b"\x08\0" + ip + tcp + data + padding

    stamp = struct.pack("qq", 1_700_000_000, 123_456_000)
    found = _packet(frame(b"GET"), stamp, socket.PACKET_OUTGOING)
    assert found is not None
    assert found.data.startswith(b"GET")
    assert (found.outgoing, found.source, found.destination) == (True, 4711, PORT)
    assert found.time_us == pytest.approx(1_700_000_000_123_456.0, abs=0.3)
    assert _packet(frame(b""), stamp, socket.PACKET_OUTGOING) is None


def test_the_kernel_shows_what_goes_over_loopback_to_the_port_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as watched, socket.create_server(("127.0.0.1", 0)) as other:
        port = watched.getsockname()[1]
        try:
            capture = Capture(port)
        except PermissionError:
            pytest.skip("needs CAP_NET_RAW")
        with capture:
            for server in (other, watched):
                with socket.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
                    client.sendall(b"GET /audit-3 HTTP/1.1\r\n\r\n")
                    accepted.recv(100)
                    accepted.sendall(b"answer")
                    client.recv(100)
    (number, exchange), *rest = exchanges(capture.packets(), port, MARK).items()
    assert (number, rest) == (3, [])
    assert 0 < exchange.answered_us - exchange.asked_us < 60e6
