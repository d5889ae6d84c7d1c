"""Quantiles of the latency sketch in SQL, to the same value as `schemas.sketch.Sketch.quantile_us`."""

from schemas.sketch import GAMMA

TIMED = "sum(arraySum(latency_counts))"
"""SQL of how many latencies the rows of a group hold."""


def quantile_ms(q: float, buckets: str = "latency_buckets", counts: str = "latency_counts") -> str:
    """SQL of the q-quantile in milliseconds over the rows of a group; NULL when they hold no latency.

    For example `SELECT run, {quantile_ms(0.99)} AS p99_ms FROM windows GROUP BY run`. `buckets` and `counts` are the
    columns (or expressions) of a row's sketch. Merging is exact: it adds the counts of like buckets.
    """
    return quantiles_ms(q, buckets=buckets, counts=counts)[0]


def quantiles_ms(*qs: float, buckets: str = "latency_buckets", counts: str = "latency_counts") -> tuple[str, ...]:
    """`quantile_ms` of several, in one SELECT for little more than the price of one.

    `quantileExactWeighted` takes the rank ceil(q * count), as the sketch does, in a tenth of the time that `sumMap`
    needs to add the sketches up.
    """
    if wrong := [q for q in qs if not 0 <= q <= 1]:
        raise ValueError(f"{wrong[0]} is no quantile: it must lie between 0 and 1")
    ranks = ", ".join(repr(float(q)) for q in qs)
    found = f"quantilesExactWeightedArray({ranks})({buckets}, {counts})"
    total = f"sum(arraySum({counts}))"
    return tuple(
        f"if({total} = 0, NULL, 2 * pow({GAMMA!r}, {found}[{place}]) / {GAMMA + 1!r} / 1000)"
        for place in range(1, len(qs) + 1)
    )


def row_quantile_ms(q: float) -> str:
    """SQL of `quantile_ms` of a single row: without a group, which takes over 10 kB of memory each."""
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is no quantile: it must lie between 0 and 1")
    total = "arraySum(latency_counts)"
    place = f"arrayFirstIndex(below -> below >= ceil({float(q)!r} * {total}), arrayCumSum(latency_counts))"
    return f"if({total} = 0, NULL, 2 * pow({GAMMA!r}, latency_buckets[{place}]) / {GAMMA + 1!r} / 1000)"
