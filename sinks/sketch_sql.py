"""Quantiles of the latency sketch in SQL, to the same value as `schemas.sketch.Sketch.quantile_us`."""

from schemas.sketch import GAMMA


def quantile_ms(q: float, buckets: str = "latency_buckets", counts: str = "latency_counts") -> str:
    """SQL of the q-quantile in milliseconds over the rows of a group; NULL when they hold no latency.

    For example `SELECT run, {quantile_ms(0.99)} AS p99_ms FROM windows GROUP BY run`. `buckets` and `counts` are the
    columns (or expressions) of a row's sketch. Merging is exact: it adds the counts of like buckets.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is no quantile: it must lie between 0 and 1")
    merged = f"sumMap({buckets}, {counts})"
    total = f"arraySum(tupleElement({merged}, 2))"
    rank = f"least(toUInt64(greatest(ceil({float(q)!r} * {total}), 1)), {total})"
    place = f"arrayFirstIndex(seen -> seen >= {rank}, arrayCumSum(tupleElement({merged}, 2)))"
    bucket = f"tupleElement({merged}, 1)[{place}]"
    return f"if({total} = 0, NULL, 2 * pow({GAMMA!r}, {bucket}) / {GAMMA + 1!r} / 1000)"
