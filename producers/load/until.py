"""The end of a stage as a time of day or a moment: `18:30`, `2026-05-01T18:30:00Z`."""

import re
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from schemas.moments import MOMENT_PATTERN, parse_moment_us

_TIME_OF_DAY = r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?"


def _known(text: str) -> str:
    if not re.fullmatch(_TIME_OF_DAY, text):
        try:
            parse_moment_us(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is no end; write a time of day like 18:30, or a moment like 2026-05-01T18:30:00Z"
            ) from None
    return text


def end_s(until: str, after_s: float, tz: tzinfo | None = None) -> float:
    """Seconds since the Unix epoch of the first such time after `after_s`; a moment is what it is, before or after.

    A time of day is that of `tz`, by default of this machine's clock, across changes to summer time.
    """
    match = re.fullmatch(_TIME_OF_DAY, until)
    if match is None:
        return parse_moment_us(until) / 1e6
    hour, minute, second = (int(part or 0) for part in match.groups())
    day = datetime.fromtimestamp(after_s, tz).replace(hour=hour, minute=minute, second=second, microsecond=0, fold=0)
    end = day.timestamp()
    return end if end > after_s else (day + timedelta(days=1)).timestamp()


Until = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^(?:{_TIME_OF_DAY}|{MOMENT_PATTERN})$",
            "examples": ["18:30", "2026-05-01T18:30:00Z"],
        }
    ),
]
"""Text, in one of the two forms."""
