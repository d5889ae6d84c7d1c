"""How many bytes an Arrow IPC stream declares that it would hold when inflated, read without inflating it.

Arrow compresses each buffer alone and writes the size to come in front of it, so a few hundred bytes can claim
gigabytes. The sizes are read from the message's FlatBuffers header. Sources: Arrow's format files `Message.fbs`
(tables Message, DictionaryBatch, RecordBatch, BodyCompression) and the FlatBuffers binary layout.
"""

import struct

import pyarrow as pa

_SCHEMA, _DICTIONARY_BATCH, _RECORD_BATCH = 1, 2, 3
HEADER_BYTES = 16 << 10
"""The longest header of one Arrow message; ours, facts included, take 6 KiB.

Tables in a header may be shared, so a header describes far more fields than it has bytes: one of 500 KB, within every
other limit, took 386 MiB and 2.6 s to open.
"""


class _Table:
    """A FlatBuffers table at `at` in `data`: fields are found through its vtable, absent ones have position 0."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - self._read("<i", at)

    def _read(self, form: str, at: int) -> int:
        if at < 0:
            raise ValueError("an offset points before the header")
        value: int = struct.unpack_from(form, self._data, at)[0]
        return value

    def _field(self, index: int) -> int:
        at = 4 + 2 * index
        if at >= self._read("<H", self._vtable):
            return 0
        offset = self._read("<H", self._vtable + at)
        return self._at + offset if offset else 0

    def number(self, index: int, form: str) -> int:
        at = self._field(index)
        return self._read(form, at) if at else 0

    def table(self, index: int) -> "_Table | None":
        at = self._field(index)
        return _Table(self._data, at + self._read("<I", at)) if at else None

    def pairs(self, index: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit numbers (Arrow's Buffer: offset, length)."""
        at = self._field(index)
        if not at:
            return []
        start = at + self._read("<I", at)
        count = self._read("<I", start)
        if count * 16 > len(self._data):
            raise ValueError("a vector is longer than the header")
        return [struct.unpack_from("<qq", self._data, start + 4 + 16 * i) for i in range(count)]


def declared_bytes(stream: bytes) -> int:
    """Bytes that the bodies of the stream's messages would take when inflated. Raises ValueError or ArrowException."""
    total = 0
    reader = pa.ipc.MessageReader.open_stream(stream)
    try:
        for message in reader:
            total += _declared_by_message(message)
    except struct.error as error:
        raise ValueError(f"a message header is cut short: {error}") from error
    return total


def _declared_by_message(message: pa.Message) -> int:
    if message.metadata.size > HEADER_BYTES:
        raise ValueError(f"a message header of {message.metadata.size} bytes, more than {HEADER_BYTES}")
    header = message.metadata.to_pybytes()
    root = _Table(header, struct.unpack_from("<I", header)[0])
    kind, batch = root.number(1, "<B"), root.table(2)
    if kind == _SCHEMA or batch is None:
        return 0
    if kind == _DICTIONARY_BATCH:
        batch = batch.table(1)
    elif kind != _RECORD_BATCH:
        raise ValueError(f"a message of unknown kind {kind}")
    if batch is None:
        return 0
    body = memoryview(message.body if message.body is not None else b"")
    compressed = batch.table(3) is not None
    total = 0
    for offset, length in batch.pairs(2):
        if offset < 0 or length < 0 or offset + length > len(body):
            raise ValueError("a buffer lies outside its message")
        size = struct.unpack_from("<q", body, offset)[0] if compressed and length >= 8 else length
        total += length if size < 0 else size  # -1: this buffer is stored as it is
    return total
