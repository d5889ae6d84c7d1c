"""Rows as loads and samplers make them, drawn anew for every window: nothing compresses better than in a real run."""

from functools import cache

import numpy as np
import pyarrow as pa

from schemas.ordering import order_of, ranks_of
from schemas.precision import lags_us, latencies_us
from schemas.rows import REQUESTS, STACKS
from schemas.stacks import fold, frame

WINDOW_US = 1_000_000
ENDPOINTS = (  # name, share, median latency in us, bytes sent, bytes received
    ("search", 0.40, 9_000, 210, 2_400),
    ("product", 0.25, 3_000, 190, 900),
    ("cart", 0.15, 5_000, 240, 700),
    ("checkout", 0.10, 25_000, 420, 350),
    ("login", 0.06, 40_000, 310, 280),
    ("health", 0.04, 700, 150, 20),
)
_ERRORS = ("http 503", "timeout")
_SHARES = (0.992, 0.006, 0.002)
_TIMEOUT_US = 2_000_000
_STACKS, _MODULES = 300, 12


def request_rows(random: np.random.Generator, window: int, count: int, stage: str = "hold") -> pa.RecordBatch:
    """Rows of `schemas.rows.REQUESTS` that end in a window, in the order in which a load sends them."""
    _, shares, medians_us, sent, received = (np.array(column) for column in zip(*ENDPOINTS, strict=True))
    endpoint = random.choice(len(ENDPOINTS), count, p=shares).astype(np.int16)
    error = random.choice([-1, 0, 1], count, p=_SHARES).astype(np.int16)
    latency_us = (medians_us[endpoint] * random.lognormal(0.0, 0.35, count)).astype(np.uint32)
    latency_us[error == 1] = _TIMEOUT_US
    latency_us = latencies_us(latency_us)
    ended_us = window * WINDOW_US + np.sort(random.integers(0, WINDOW_US, count))
    dispatch_us = random.gamma(2.0, 15.0, count).astype(np.uint32)
    write_us = lags_us(dispatch_us + random.integers(15, 45, count).astype(np.uint32), latency_us)
    answered = np.where(error == 1, 0, received[endpoint] + random.integers(0, 32, count))
    columns = [
        pa.array(ended_us - latency_us, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.array(lags_us(dispatch_us, write_us)),
        pa.array(write_us),
        pa.array(latency_us),
        pa.array(np.choose(error + 1, [200, 503, 0]).astype(np.uint16)),
        pa.DictionaryArray.from_arrays(pa.array(error, mask=error < 0), pa.array(_ERRORS)),
        pa.DictionaryArray.from_arrays(pa.array(endpoint), pa.array([name for name, *_ in ENDPOINTS])),
        pa.array(sent[endpoint].astype(np.uint64)),
        pa.array(answered.astype(np.uint64)),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16)), [stage]),
    ]
    ranks = ranks_of([name for name, *_ in ENDPOINTS])[endpoint]
    order = order_of(np.zeros(count, np.int64), ranks, ended_us - latency_us)
    rows = pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
    return rows if order is None else rows.take(pa.array(order))


@cache
def _stacks() -> tuple[tuple[str, ...], np.ndarray]:
    """Distinct folded stacks of a service, and how hot each is: some 150 functions, 12 to 25 frames deep."""
    random = np.random.default_rng(11)
    plumbing = [frame(f"run_{level}", "asyncio/base_events.py") for level in range(8)]
    functions = [frame(f"handle_{at}", f"module_{at % _MODULES}.py") for at in range(140)]
    # A function calls few others, so stacks share their beginnings as real ones do.
    calls = random.integers(0, len(functions), (len(functions), 3))
    found: dict[str, None] = {}
    while len(found) < _STACKS:
        path, at = list(plumbing), int(random.integers(0, 6))
        for _ in range(int(random.integers(4, 18))):
            path.append(functions[at])
            at = int(calls[at, random.integers(0, 3)])
        found[fold(path)] = None
    heat = 1.0 / np.arange(1, _STACKS + 1)
    return tuple(found), heat / heat.sum()


def sample_rows(random: np.random.Generator, window: int, count: int) -> pa.RecordBatch:
    """Rows of `schemas.rows.STACKS` in a window, in order of time; only the stacks that were seen travel."""
    stacks, heat = _stacks()
    seen, codes = np.unique(random.choice(len(stacks), count, p=heat), return_inverse=True)
    at_us = window * WINDOW_US + np.linspace(0, WINDOW_US - 1, count).astype(np.int64) + random.integers(-80, 80, count)
    columns = [
        pa.array(np.clip(at_us, window * WINDOW_US, (window + 1) * WINDOW_US - 1) // 1000 * 1000).cast(
            pa.timestamp("us", tz="UTC")
        ),
        pa.array(np.full(count, WINDOW_US // max(count, 1), np.uint32)),
        pa.array(random.choice([7001, 7002, 7003], count).astype(np.uint64)),
        pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array([stacks[one] for one in seen])),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(["cpu"])),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=STACKS)
