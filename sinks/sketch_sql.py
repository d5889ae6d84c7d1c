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


def quantiles_ms(
    *qs: float, buckets: str = "latency_buckets", counts: str = "latency_counts", alone: str = "0", single: str = "0"
) -> tuple[str, ...]:
    """`quantile_ms` of several, in one SELECT for little more than the price of one.

    `quantileExactWeighted` takes the rank ceil(q * count), as the sketch does, in a tenth of the time that `sumMap`
    needs to add the sketches up. `alone` is SQL of what is true of rows that must be the only one of their group: their
    sketch is read as it stands, in a fifth of the time that adding up a single one takes. `single` is the same of all
    rows, without a look at them: SQL of values. Where it is true no group has more than one row with a sketch, and
    adding up is not even planned.
    """
    if wrong := [q for q in qs if not 0 <= q <= 1]:
        raise ValueError(f"{wrong[0]} is no quantile: it must lie between 0 and 1")
    ranks = ", ".join(repr(float(q)) for q in qs)
    total = f"sum(arraySum({counts}))"
    if alone == "0":
        found = f"quantilesExactWeightedArray({ranks})({buckets}, {counts})"
        added = tuple(_ms_of(f"{found}[{place}]", total) for place in range(1, len(qs) + 1))
        if single == "0":
            return added
        return tuple(
            f"if({single}, max({row_quantile_ms(q, buckets, counts)}), {one})" for q, one in zip(qs, added, strict=True)
        )
    found = f"quantilesExactWeightedArrayIf({ranks})({buckets}, {counts}, NOT ({alone}))"
    return tuple(
        f"if(count() = 1, any({row_quantile_ms(q, buckets, counts)}), {_ms_of(f'{found}[{place}]', total)})"
        for place, q in enumerate(qs, 1)
    )


def row_quantile_ms(q: float, buckets: str = "latency_buckets", counts: str = "latency_counts") -> str:
    """SQL of `quantile_ms` of a single row: without a group, which takes over 10 kB of memory each."""
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is no quantile: it must lie between 0 and 1")
    total = f"arraySum({counts})"
    place = f"arrayFirstIndex(below -> below >= ceil({float(q)!r} * {total}), arrayCumSum({counts}))"
    return _ms_of(f"{buckets}[{place}]", total)


def _ms_of(bucket: str, total: str) -> str:
    """SQL of the latency that a bucket stands for; NULL when there is none."""
    return f"if({total} = 0, NULL, 2 * pow({GAMMA!r}, {bucket}) / {GAMMA + 1!r} / 1000)"
