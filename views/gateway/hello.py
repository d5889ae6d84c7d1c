"""Blocks in ClickHouse's Native format that the embedded engine does not write: the hello, and a result without rows.

Clients that speak Native over HTTP (clickhouse-go, and with it Grafana's data source) begin by asking for the server's
revision, and read that answer as one of the newest: with block info before the columns, and a byte for custom
serialisation behind each type. The engine writes neither. A revision of 0 in the hello has them read everything after
it in the plain form, which the engine writes. Source: `lib/proto/block.go` of clickhouse-go 2.51.
"""

import struct
from collections.abc import Sequence

from schemas.varint import varint
from views.gateway.call import Call

_QUESTION = "select displayname(), version(), revision(), timezone()"
_BLOCK_INFO = bytes.fromhex("01 00 02 ff ff ff ff 00")
DISPLAY_NAME = "loadflame"


def is_hello(call: Call) -> bool:
    """Whether a client that will go by the revision asks for it."""
    return (
        call.protocol > 0 and call.format == "Native" and " ".join(call.sql.lower().split()).rstrip("; ") == _QUESTION
    )


def hello(version: str, timezone: str) -> bytes:
    """One row: name, version, revision 0 and time zone."""
    columns = (
        ("displayName()", "String", _text(DISPLAY_NAME)),
        ("version()", "String", _text(version)),
        ("revision()", "UInt32", struct.pack("<I", 0)),
        ("timezone()", "String", _text(timezone)),
    )
    body = b"".join(_text(name) + _text(kind) + b"\x00" + value for name, kind, value in columns)
    return _BLOCK_INFO + varint(len(columns)) + varint(1) + body


def empty_block(columns: Sequence[tuple[str, str]]) -> bytes:
    """No rows of columns of these names and types, in the plain form: a server says them, the engine says nothing."""
    return varint(len(columns)) + varint(0) + b"".join(_text(name) + _text(kind) for name, kind in columns)


def _text(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data
