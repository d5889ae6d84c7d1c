"""Rows of one window, gathered from what others say of requests: other tools, access logs, a service's middleware."""

from array import array

import numpy as np
import pyarrow as pa

from schemas.precision import UNKNOWN_US, latencies_us
from schemas.rows import REQUESTS

_TEXT16 = pa.dictionary(pa.int16(), pa.string())


class OutcomeRows:
    """Rows in columns, of `schemas.rows.REQUESTS`."""

    __slots__ = ("bytes_received", "bytes_sent", "endpoint", "error", "latency_us", "sent_at_us", "status")

    def __init__(self) -> None:
        self.sent_at_us, self.latency_us, self.status = array("q"), array("I"), array("H")
        self.bytes_sent, self.bytes_received = array("Q"), array("Q")
        self.endpoint: list[str] = []
        self.error: list[str | None] = []

    def __len__(self) -> int:
        return len(self.status)

    def add(
        self,
        *,
        sent_at_us: int,
        latency_us: int,
        status: int,
        error: str | None,
        endpoint: str,
        bytes_sent: int = 0,
        bytes_received: int = 0,
    ) -> None:
        """Take one request. Of one with a latency of UNKNOWN_US the time is that of its end."""
        self.sent_at_us.append(sent_at_us)
        self.latency_us.append(latency_us)
        self.status.append(status)
        self.bytes_sent.append(bytes_sent)
        self.bytes_received.append(bytes_received)
        self.endpoint.append(endpoint)
        self.error.append(error)

    def batch(self, stage: str) -> pa.RecordBatch:
        """As a record batch. The lags are zero: nobody told of a schedule that it could be late for."""
        none = np.zeros(len(self), np.uint32)
        exact_us = np.asarray(self.latency_us, np.uint32)
        columns = [
            pa.array(np.asarray(self.sent_at_us, np.int64), pa.timestamp("us", tz="UTC")),
            pa.array(none),
            pa.array(none),
            pa.array(np.where(exact_us == UNKNOWN_US, exact_us, latencies_us(exact_us))),
            pa.array(np.asarray(self.status, np.uint16)),
            pa.array(self.error, _TEXT16),
            pa.array(self.endpoint, _TEXT16),
            pa.array(np.asarray(self.bytes_sent, np.uint64)),
            pa.array(np.asarray(self.bytes_received, np.uint64)),
            pa.array([stage] * len(self), _TEXT16),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
