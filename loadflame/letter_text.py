"""Dead letters in words. Whatever a message says is somebody else's text: bounded, and nothing that moves a cursor."""

from datetime import UTC, datetime
from typing import Any

from loadflame.dead_letters import name_of, read_now, whereabouts_of
from loadflame.plain_text import plain
from loadflame.settings import Settings
from processors.letters import Original
from schemas.errors import DecodeError
from sinks.letters import KnownLetter

SHOWN_BYTES = 256
_LONGEST = 80


def hexdump(data: bytes) -> list[str]:
    """Offset, hexadecimal and printable ASCII, sixteen bytes a line."""
    lines = []
    for at in range(0, len(data), 16):
        piece = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{at:08x}  {piece.hex(' '):<47}  {text}")
    return lines


def moment_of(time_us: int) -> datetime:
    """UTC, from microseconds since the Unix epoch."""
    return datetime.fromtimestamp(time_us / 1e6, UTC)


def state_of(known: KnownLetter) -> str:
    """What became of a letter: its batch is visible, it was sent again, or it waits for somebody to look at it."""
    if known.is_visible:
        return "visible"
    return "waits" if known.replayed_at_us is None else "replayed"


def as_json(known: KnownLetter) -> dict[str, Any]:
    """What the store knows of a letter."""
    letter, replayed_us = known.letter, known.replayed_at_us
    return {
        "letter": name_of(letter),
        "run": letter.run_id or None,
        "received_at": moment_of(letter.received_at_us).isoformat(),
        "size_bytes": letter.size_bytes,
        "rows": letter.rows,
        "error": letter.error,
        "state": state_of(known),
        "replayed_at": None if replayed_us is None else moment_of(replayed_us).isoformat(),
    }


def details(settings: Settings, known: KnownLetter, original: Original | None) -> dict[str, Any]:
    """What the store and Kafka know of a letter: its first bytes, and what a worker would make of it now."""
    said = as_json(known) | {"in_kafka": whereabouts_of(original)}
    if original is None:
        return said
    try:
        batch = read_now(settings, known.letter, original)
    except DecodeError as error:
        said |= {"reads_now": False, "still": str(error)}
    else:
        said["reads_now"] = True
        if batch is not None:
            rows, facts = batch.rows, batch.facts.model_dump(exclude_defaults=True)
            said |= {"reads_as": {"rows": rows.num_rows, "columns": rows.schema.names, "facts": facts}}
    said["headers"] = [[plain(name[:_LONGEST]), _bounded(value)] for name, value in original.headers]
    said["first_bytes"] = (original.value or b"")[:SHOWN_BYTES].hex()
    return said


def _bounded(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    text = plain(value[:_LONGEST].decode("ascii", errors="backslashreplace"))
    return text + (f" ... ({len(value)} bytes)" if len(value) > _LONGEST else "")
