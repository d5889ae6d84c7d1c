"""Messages as bytes in a file, each with its length and checksum, so that a torn tail is known for what it is.

    record = length of the body (u32), CRC-32 of the body (u32), body
    body   = rows, is it a batch, partition, lengths of topic, key, headers and value; then these, in that order

All numbers are little-endian. Nothing in it can do more than be read wrongly, and the checksum keeps it from that.
"""

import struct
from io import BufferedReader
from zlib import crc32

from producers.publisher.messages import Message

MOST_BYTES = 4 << 20
"""Of one record. A message of ours is an eighth of that; a greater length is damage."""
_HEAD = struct.Struct("<II")
_FIXED = struct.Struct("<I?iHiHI")
_HEADER = struct.Struct("<HI")
_NONE = -1


class DamagedRecordError(Exception):
    """What stands there is no record: its beginning only, or something else."""


def to_record(message: Message) -> bytes:
    """A message as a record. Raises ValueError when it is longer than a record may be."""
    topic, key = message.topic.encode(), message.key
    pieces = [
        _FIXED.pack(
            message.rows,
            message.is_batch,
            _NONE if message.partition is None else message.partition,
            len(topic),
            _NONE if key is None else len(key),
            len(message.headers),
            len(message.value),
        ),
        topic,
        key or b"",
    ]
    for name, value in message.headers:
        text = name.encode()
        pieces += [_HEADER.pack(len(text), len(value)), text, value]
    pieces.append(message.value)
    body = b"".join(pieces)
    if len(body) > MOST_BYTES:
        raise ValueError(f"a message of {len(body)} bytes, more than {MOST_BYTES}")
    return _HEAD.pack(len(body), crc32(body)) + body


def read_record(file: BufferedReader) -> Message | None:
    """The record at the file's position; None at its end. Raises DamagedRecordError, OSError."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise DamagedRecordError("the head is cut off")
    length, checksum = _HEAD.unpack(head)
    if not _FIXED.size <= length <= MOST_BYTES:
        raise DamagedRecordError(f"a record of {length} bytes")
    body = file.read(length)
    if len(body) < length:
        raise DamagedRecordError("the body is cut off")
    if crc32(body) != checksum:
        raise DamagedRecordError("the checksum is another")
    try:
        return _message(body)
    except (struct.error, UnicodeDecodeError) as error:
        raise DamagedRecordError("not as this version writes it") from error


def _message(body: bytes) -> Message:
    rows, is_batch, partition, topic_length, key_length, headers, value_length = _FIXED.unpack_from(body)
    at = _FIXED.size

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return body[at - length : at]

    topic = take(topic_length).decode()
    key = None if key_length == _NONE else take(key_length)
    read = []
    for _ in range(headers):
        name_length, length = _HEADER.unpack(take(_HEADER.size))
        name = take(name_length).decode()
        read.append((name, take(length)))
    value = take(value_length)
    return Message(topic, None if partition == _NONE else partition, key, read, value, rows, is_batch)
