"""Moments as people write them: RFC 3339, as in `2026-05-01T18:30:00Z`."""

import re
from datetime import UTC, datetime, timedelta

MOMENT_PATTERN = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment_us(text: str) -> int:
    """Microseconds since the Unix epoch. Raises ValueError, one clause."""
    try:
        moment = datetime.fromisoformat(text.strip().upper()) if re.fullmatch(MOMENT_PATTERN, text.strip()) else None
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(f"{text!r} is no moment; write date, time and offset, like 2026-05-01T18:30:00Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)
