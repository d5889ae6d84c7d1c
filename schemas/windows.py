"""Tumbling windows on the Unix clock, and the Kafka partition that each one belongs to."""

from zlib import crc32

WINDOW_US = 1_000_000
"""Default length of a window in microseconds."""


def window_of(time_us: int, window_us: int = WINDOW_US) -> int:
    """Index of the window that holds `time_us` (microseconds since the Unix epoch): [w * size, (w + 1) * size)."""
    return time_us // window_us


def partition_of(run_id: str, window: int, partitions: int) -> int:
    """Partition of a run's window, on both bulk topics: both sides meet in one worker, and a run spreads evenly."""
    return (crc32(run_id.encode()) + window) % partitions
