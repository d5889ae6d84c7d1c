"""Percentiles of latency over many windows, to the same value as `sinks.sketch_sql.quantile_ms`.

There the counts of a group are merged into one sketch. Here buckets become rows with a weight, which takes a third of
the time where there are many windows and few groups; a group without a latency is not there.
"""

from schemas.sketch import GAMMA

BY_BUCKET = "ARRAY JOIN latency_buckets AS bucket, latency_counts AS number"
"""A row for every bucket of every sketch."""


def buckets(*quantiles: float) -> str:
    """SQL of the buckets in which the quantiles of a group lie, as an array, over rows `BY_BUCKET`."""
    return f"quantilesExactWeighted({', '.join(repr(one) for one in quantiles)})(bucket, number)"


def bucket_ms(bucket: str) -> str:
    """SQL of a bucket's latency in milliseconds."""
    return f"2 * pow({GAMMA!r}, {bucket}) / {GAMMA + 1!r} / 1000"
