"""Circumstances in which a role is started: Python that runs in its process before the command line is imported."""


def clock_off_by(seconds: float) -> str:
    """The host's clock is so much ahead; what measures durations goes on as it is."""
    return f"""
import time
_wall_ns, _off_ns = time.time_ns, {round(seconds * 1e9)}
time.time_ns = lambda: _wall_ns() + _off_ns
time.time = lambda: time.time_ns() / 1e9
"""


def memory_for_kafka(budget_bytes: int) -> str:
    """A publisher may keep only so much in memory, which otherwise takes hours of an outage to fill."""
    return f"""
from producers.publisher import KafkaPublisher
KafkaPublisher.__init__.__kwdefaults__["budget_bytes"] = {budget_bytes}
"""
