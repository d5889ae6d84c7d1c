"""Stretches of equal rate with known truth: what drifts, leaks or changes, in noise whose minutes are alike."""

import numpy as np
from numpy.typing import NDArray

from analysis.over_time.drift import MINUTE_US, Soak

Floats = NDArray[np.float64]

HZ = 100
COSTS_US = (310.0, 155.0, 103.0, 78.0, 62.0)
MIB = 1 << 20


def autocorrelated(
    random: np.random.Generator, size: int, many: int, correlation: float, *, white: float = 0.0
) -> Floats:
    """Noise of variance 1, shape (many, size): autoregressive of order one, a share of it without correlation."""
    found = random.normal(size=(many, size))
    for at in range(1, size):
        found[:, at] = correlation * found[:, at - 1] + (1 - correlation**2) ** 0.5 * found[:, at]
    return np.asarray((1 - white) ** 0.5 * found + white**0.5 * random.normal(size=(many, size)))


def soak(
    minutes: int,
    *,
    seed: int = 0,
    correlation: float = 0.5,
    noise: float = 0.03,
    drift: float = 0.0,
    all_drift: float = 0.0,
    change: float = 0.0,
    change_at: float = 0.6,
    warm_up: float = 0.0,
    leak_mib: float = 0.0,
    steps_mib: float = 0.0,
    slower: float = 0.0,
    tps: float = 200.0,
) -> Soak:
    """Functions `f0` to `f4`. By its end `f1` is dearer by `drift`, everything by `all_drift`, memory greater by
    `leak_mib`, in small steps up and down of `steps_mib`, and the latency longer by `slower`. `f2` costs `change` more
    at once. At the beginning everything costs `warm_up` more, which is over after some ten minutes.
    """
    random = np.random.default_rng(seed)
    along = np.linspace(0, 1, minutes)
    common, slow, *own = autocorrelated(random, minutes, 2 + len(COSTS_US), correlation)
    warming = 1 + warm_up * np.exp(-np.arange(minutes) / 3)
    each = 1 + noise * common
    each = each * warming * (1 + all_drift * along)
    requests = random.poisson(tps * 60, minutes).astype(np.float64)
    spent = [cost * each * (1 + noise / 2 * one) * requests for cost, one in zip(COSTS_US, own, strict=True)]
    spent[1] = spent[1] * (1 + drift * along)
    spent[2] = spent[2] * (1 + change * (along >= change_at))
    cpu_us = sum(spent, np.zeros(minutes))
    seen = [random.poisson(one / 1e6 * HZ) for one in spent]
    total = np.sum(seen, axis=0)
    latency = np.exp(4 * noise * slow) * warming * (1 + slower * along)
    wandering = np.cumsum(random.normal(0, 1, minutes)) * steps_mib
    return Soak(
        tps=tps,
        unit_us=MINUTE_US,
        starts_us=29_000_000 * MINUTE_US + np.arange(minutes) * MINUTE_US,
        requests=requests,
        cpu_us=cpu_us,
        p50_us=9_000 * latency**0.5,
        p99_us=24_000 * latency,
        functions={f"f{place} (shop.py)": one / total * cpu_us for place, one in enumerate(seen)},
        rss_bytes={"pid-100": (120 + leak_mib * along + wandering) * MIB},
    )
