"""Every SQL text behind the page.

    span = Span.of(from_us, to_us, head["window_us"])
    rows = fetch(client, queries.SERIES.at(span.tier), run=run, **span.parameters)

`views.web.shown` says what buckets and tiers are; each query says its columns and their units.
"""

from views.queries import fetch
from views.web.function_queries import FLAME, FUNCTION, HOT
from views.web.load_queries import (
    ENDPOINT_SERIES,
    ENDPOINTS,
    HEALTH,
    HEAT,
    LETTERS,
    PRODUCERS,
    ROW_BUCKETS,
    SERIES,
    UNANSWERED,
)
from views.web.run_queries import RUN_HEAD, RUN_LIST, STAGES
from views.web.shown import Column, Over, Shown
from views.web.span import Span, Tier

__all__ = [
    "ENDPOINTS", "ENDPOINT_SERIES", "FLAME", "FUNCTION", "HEALTH", "HEAT", "HOT", "LETTERS", "OF_RUN", "OVER",
    "PRODUCERS", "ROW_BUCKETS", "RUN_HEAD", "RUN_LIST", "SERIES", "STAGES", "UNANSWERED", "Column", "Over", "Shown",
    "Span", "Tier", "fetch",
]  # fmt: skip

OF_RUN: tuple[Shown, ...] = (RUN_LIST, RUN_HEAD, STAGES, LETTERS, PRODUCERS)
OVER: tuple[Over, ...] = (
    SERIES, UNANSWERED, HOT, FUNCTION, FLAME, ENDPOINTS, ENDPOINT_SERIES, HEAT, HEALTH,
)  # fmt: skip
