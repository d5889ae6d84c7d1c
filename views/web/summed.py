"""Sums over a stretch that windows answer for: its whole minutes have the same sums already, in a sixtieth of the rows.

Only minutes that have all of their windows count, as the store shows them: of one that is under way, or of which a
window was joined again since, the windows are read. So the sums are exactly those of the windows.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from schemas.minutes import MINUTE_US, MinuteKey
from views.queries import fetch
from views.web.shown import SPAN, Way, once
from views.web.span import Span

LEAST_MINUTES = 2
"""Of fewer it is not worth asking."""

WHOLE = once(
    "minutes that have all of their windows",
    f"""
SELECT minute
FROM
(
    SELECT minute, batches_covered AS covered
    FROM minutes
    WHERE run = {{run:String}} AND minute BETWEEN {{from_minute:UInt64}} AND {{to_minute:UInt64}}
) AS made
LEFT JOIN
(
    SELECT toUInt64(intDiv(window * {{unit_us:UInt64}}, {MINUTE_US})) AS minute, sum(batches_covered) AS visible
    FROM windows
    WHERE run = {{run:String}} AND window BETWEEN {{first:UInt64}} AND {{last:UInt64}}
    GROUP BY minute
) AS joined USING (minute)
WHERE visible <= covered
ORDER BY minute
""",
    {**SPAN, "from_minute": 29_800_000, "to_minute": 29_800_009, "unit_us": 1_000_000},
    ("minute", "UInt64", "of the Unix clock"),
)


class Asked(NamedTuple):
    """How sums over a stretch are asked for: `over.at(way)` with `parameters`."""

    way: Way
    parameters: dict[str, Any]


def summed(client: Client, run: str, span: Span) -> Asked:
    """The cheapest way to the sums of a span: `both` where minutes can answer for a part of it. Blocks."""
    minutes = span.whole_minutes
    if span.tier == "windows" and span.unit_us < MINUTE_US and len(minutes) >= LEAST_MINUTES:
        made = _longest(fetch(client, WHOLE, **inside(run, span, minutes))["minute"].to_pylist())
        if len(made) >= LEAST_MINUTES:
            asked = inside(run, span, made)
            inner = {"inner_first": asked["first"], "inner_last": asked["last"]}
            return Asked("both", {**span.parameters, **_ends(made), **inner})
    return Asked(span.tier, span.parameters)


def inside(run: str, span: Span, minutes: range) -> dict[str, Any]:
    """Minutes, one at least, and the windows that begin in them, as `WHOLE` takes it."""
    first, _ = MinuteKey(run, minutes[0], span.unit_us).windows
    _, last = MinuteKey(run, minutes[-1], span.unit_us).windows
    return {"run": run, **_ends(minutes), "first": first, "last": last, "unit_us": span.unit_us}


def _ends(minutes: range) -> dict[str, int]:
    return {"from_minute": minutes[0], "to_minute": minutes[-1]}


def _longest(minutes: Sequence[int]) -> range:
    """The longest stretch without a gap of numbers in order, the first of several."""
    gaps = [place for place, (one, following) in enumerate(pairwise(minutes), 1) if following != one + 1]
    stretches = [
        range(minutes[start], minutes[end - 1] + 1) for start, end in pairwise([0, *gaps, len(minutes)]) if end
    ]
    return max(stretches, key=len, default=range(0))
