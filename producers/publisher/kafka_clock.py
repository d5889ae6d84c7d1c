"""A producer's time: its host's, set right by Kafka's once as it starts, and watched from then on.

Kafka is asked for its time by a few ticks, one after the other.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError

from producers.clock import SteadyClock
from producers.publisher.base import PublisherError
from producers.publisher.client import Client, Delivered
from producers.publisher.messages import Message
from producers.publisher.skew import Reading, Residual, Skew, best
from schemas.ticks import tick
from schemas.topics import Topics

PROBES = 5
PROBE_S = 2.0
"""All of them together: some milliseconds each, but the first waits for the partition's leader to be known."""
WORTH_TELLING_US = 1_000_000
_log = structlog.get_logger()


class KafkaClock:
    """`steady` is the clock to use: the host's before `learn`."""

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        """`wall_ns` is the host's clock, Unix nanoseconds."""
        self.steady = SteadyClock(0, wall_ns)
        self._correction_us = 0
        self._residual = Residual(None, 0)

    @property
    def skew(self) -> Skew:
        """What was learnt."""
        return Skew(self._correction_us, self._residual.reading)

    async def learn(self, client: Client, topics: Topics) -> None:
        """Measure, and correct if need be; nothing where the broker does not tell its time, or takes too long.

        Raises PublisherError when Kafka takes no messages from us at all.
        """
        reading = await _measured(client, topics, self.steady)
        if reading is None:
            return
        self._correction_us = correction_us = reading.correction_us
        self.steady = self.steady.moved(correction_us)
        self._residual = Residual(
            Reading(reading.offset_us - correction_us, reading.error_us), now_us=self.steady.now_us()
        )
        if abs(correction_us) >= WORTH_TELLING_US:
            side = "behind" if correction_us > 0 else "ahead of"
            _log.warning(
                f"this host's clock is {abs(correction_us) / 1e6:,.1f} s {side} Kafka's: times of this run are told, "
                "and meant, by Kafka's; have both keep time by NTP"
            )

    def heard(self, done: Delivered) -> None:
        """A message was acknowledged."""
        if done.broker_ms is not None:
            sent_us, acknowledged_us = self.steady.at_us(done.began_ns), self.steady.at_us(done.ended_ns)
            self._residual.hear(Reading.of(sent_us, acknowledged_us, done.broker_ms), acknowledged_us)


async def _measured(client: Client, topics: Topics, clock: SteadyClock) -> Reading | None:
    value, headers = tick("requests", topics.partitions)
    probe = Message(topics.name("requests"), 0, None, headers, value, 0, is_batch=False)
    readings: list[Reading] = []
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                while len(readings) < PROBES:
                    done = await client.deliver(probe)
                    if done.broker_ms is None:
                        break
                    readings.append(Reading.of(clock.at_us(done.began_ns), clock.at_us(done.ended_ns), done.broker_ms))
    except KafkaError as error:
        raise PublisherError(
            f"Kafka at {client.bootstrap} takes no messages on topic {probe.topic} ({type(error).__name__}); "
            "let this user write to it"
        ) from error
    return best(readings)
