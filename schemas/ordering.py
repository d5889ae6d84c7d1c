"""The order in which rows of requests travel and are stored: by stage, endpoint and time, so that neighbours are alike.

Alike neighbours are small in Kafka and in the store. A load puts its rows in order, once; a worker looks whether they
are, which costs it a tenth of doing so, and does it for whoever did not.
"""

import numpy as np


def ranks_of(names: list[str]) -> np.ndarray:
    """For each of these different names its place among them, as the store compares text: byte by byte."""
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=lambda at: names[at].encode())] = np.arange(len(names))
    return ranks


def order_of(stages: np.ndarray, endpoints: np.ndarray, times_us: np.ndarray) -> np.ndarray | None:
    """The places of rows in that order; None when they lie in it. Arrays of ranks and times, of one length."""
    if not len(times_us):
        return None
    first_us, last_us = int(times_us.min()), int(times_us.max())
    names, span = int(endpoints.max()) + 1, last_us - first_us + 1
    groups = stages.astype(np.int64) * names + endpoints
    if (int(groups.max()) + 1) * span >= 1 << 63:
        order = np.lexsort((times_us, groups))
        return None if np.all(order[1:] > order[:-1]) else order
    keys = groups * span + (times_us - first_us)
    return None if np.all(keys[1:] >= keys[:-1]) else np.argsort(keys, kind="stable")
