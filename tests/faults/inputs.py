"""What should not come: poison, late batches, wrong clocks, more partitions in the middle of a run."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import MessageSizeTooLargeError

from schemas.batches import Batch, Headers
from schemas.codec import LIMITS, encode
from schemas.events import LoadTotals, ProducerEnded
from schemas.rows import REQUESTS
from schemas.topics import BULK
from schemas.windows import partition_of
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.seat import WAIT_S, WORKER_BYTES
from tests.faults.site import Site
from tests.support.batches import many_requests, request_batch
from tests.support.streams import stream
from tests.support.traffic import messages_of

BROKER_BYTES = 1 << 20
BOMB_BYTES = 64 << 20
HOUR_US = 3_600_000_000


class ByHand:
    """A producer that sends what no publisher would, and says its last words."""

    def __init__(self, lane: Lane, producer: AIOKafkaProducer) -> None:
        self._lane = lane
        self._producer = producer
        self._sent: list[Batch] = []

    async def message(self, partition: int, value: bytes, headers: Headers) -> None:
        """Any message on the topic of requests."""
        topic = self._lane.topics.name("requests")
        await self._producer.send_and_wait(topic, value, partition=partition, headers=headers)

    async def requests(self, window: int, rows: int = 30) -> Batch:
        """A batch of requests for any window."""
        run, partitions = self._lane.run_id, self._lane.topics.partitions
        batch = request_batch(
            many_requests(rows, seed=window), run=run, window=window, producer="by-hand", seq=len(self._sent),
            partitions=partitions,
        )  # fmt: skip
        await self.message(
            partition_of(run, window, partitions), encode(batch.rows, batch.facts), batch.header.to_kafka()
        )
        self._sent.append(batch)
        self._lane.more[batch.header.key] = rows
        return batch

    def say_end(self) -> None:
        """What was sent, in an event, as every producer does."""
        rows = sum(batch.rows.num_rows for batch in self._sent)
        failed = sum(int(np.count_nonzero(batch.rows["status"].to_numpy() == 0)) for batch in self._sent)
        totals = LoadTotals(scheduled=rows, sent=rows, completed=rows - failed, failed=failed, target_counted=rows)
        ended = ProducerEnded(
            run_id=self._lane.run_id, producer_id="by-hand", role="load", batches_acknowledged=len(self._sent),
            rows_acknowledged=rows, totals=totals,
        )  # fmt: skip
        self._lane.traffic.announce(ended)


@asynccontextmanager
async def by_hand(lane: Lane) -> AsyncIterator[ByHand]:
    """Such a producer for a while."""
    producer = AIOKafkaProducer(bootstrap_servers=lane.broker.bootstrap, max_request_size=4 << 20)
    await producer.start()
    try:
        yield ByHand(lane, producer)
    finally:
        await producer.stop()


def _poison(lane: Lane) -> dict[str, tuple[bytes, Headers]]:
    good = request_batch(many_requests(20), run=lane.run_id, window=lane.traffic.first, partitions=4)
    value, headers = encode(good.rows, good.facts), good.header.to_kafka()
    other = pa.RecordBatch.from_pydict({"a": [1] * 20})
    many = pa.RecordBatch.from_arrays([pa.nulls(20, field.type) for field in REQUESTS], schema=REQUESTS)
    long = pa.array(["n" * BOMB_BYTES]).dictionary_encode().take(pa.array([0] * 20))
    bomb = many.set_column(
        6, "endpoint", pa.DictionaryArray.from_arrays(long.indices.cast(pa.int16()), long.dictionary)
    )
    return {
        "garbage": (b"\x00\xff not Arrow at all" * 9, headers),
        "garbage for headers": (value, [("kind", b"\xff\xfe")]),
        "wrong schema": (stream(other), headers),
        "truncated Arrow": (value[: len(value) // 2], headers),
        "too long": (b"\x00" * (BROKER_BYTES - 4_096), headers),
        "a bomb of 64 MiB in Arrow's own buffers": (stream(bomb), headers),
    }


async def _poisoned(site: Site, _: Fault, times: int) -> Outcome:
    """One dead letter each, the neighbours stored, and the same worker all the time."""
    async with site.lane() as lane, by_hand(lane) as producer:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        await seat.stored_since(0.0)
        poison = _poison(lane)
        assert all(len(value) < BROKER_BYTES for value, _ in poison.values())
        partition = partition_of(lane.run_id, lane.traffic.first, 4)
        most = 0
        for _ in range(times):
            for value, headers in poison.values():
                await producer.message(partition, value, headers)
            await seat.stored_since(time.monotonic())
            most = max(most, seat.rss_bytes())
        await _refuses_a_bomb(lane, partition)
        lane.expect(seat.is_taken, "the worker ended")
        lane.expect(most < WORKER_BYTES, f"the worker took {most >> 20} MiB")
        await lane.finish()
        letters = await lane.rows("SELECT count() FROM dead_letters WHERE startsWith(topic, {run:String})")
        said = await messages_of(lane.broker, lane.topics.name("dead-letters"), 4)
        distinct = {headers["id"] for _, headers, _ in said}
        wanted = times * len(poison)
        found = {"stored": letters[0][0], "sent": len(distinct)}
        lane.expect(set(found.values()) == {wanted}, f"{wanted} poisoned messages became {found} dead letters")
        return await lane.outcome(times * len(poison), note=f"{', '.join(poison)}; {most >> 20} MiB")


async def _refuses_a_bomb(lane: Lane, partition: int) -> None:
    """A record batch that inflates to 64 MiB is refused by Kafka itself, before any client could inflate it."""
    producer = AIOKafkaProducer(
        bootstrap_servers=lane.broker.bootstrap, compression_type="gzip", max_request_size=2 * BOMB_BYTES
    )
    await producer.start()
    try:
        bomb = b"\x00" * BOMB_BYTES
        await producer.send_and_wait(lane.topics.name("requests"), bomb, partition=partition, headers=[("kind", b"x")])
        lane.broken.append("Kafka took a record batch that inflates to 64 MiB")
    except MessageSizeTooLargeError:
        pass
    finally:
        await producer.stop()


async def _late(late_s: float, site: Site, _: Fault, times: int) -> Outcome:
    """Stored at any age; the window is computed again from all of it, announced again and called late."""
    async with site.lane() as lane, by_hand(lane) as producer:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        await asyncio.sleep(3.0)
        windows = set()
        for _ in range(times):
            due_us = time.time() * 1e6 - late_s * 1e6
            window = int(due_us) // lane.traffic.window_us - 1
            await _joined(lane, window)
            await producer.requests(window)
            await producer.requests(window)  # one more, for a window that has been computed late already
            windows.add(window)
            await seat.stored_since(time.monotonic())
        producer.say_end()
        await lane.finish()
        joined = (await lane.see()).joined
        lane.expect({joined[window].closed_by for window in windows} == {"late"}, "a late window is not called late")
        return await lane.outcome(times)


async def _joined(lane: Lane, window: int) -> None:
    """Wait until a window of the traffic's, also one yet to be sent, is closed: what comes is too late for it."""
    sql = f"SELECT count() FROM windows WHERE run = {{run:String}} AND window = {window}"
    async with asyncio.timeout(WAIT_S):
        while window >= lane.traffic.first and (await lane.rows(sql))[0][0] == 0:
            await asyncio.sleep(0.1)


async def _skewed(skew_us: int, site: Site, _: Fault, times: int) -> Outcome:
    """A producer whose clock is an hour off and that does not correct it."""
    async with site.lane() as lane, by_hand(lane) as producer:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        await asyncio.sleep(2.0)
        sent = []
        for _ in range(times):
            sent.append(await producer.requests((time.time_ns() // 1000 + skew_us) // lane.traffic.window_us))
            await seat.stored_since(time.monotonic())
        if skew_us > 0:
            lane.dead |= {batch.header.key for batch in sent}
        producer.say_end()
        await lane.finish()
        ((letters,),) = await lane.rows("SELECT count() FROM dead_letters WHERE run = {run:String}")
        lane.expect(letters == len(lane.dead), f"{letters} dead letters")
        return await lane.outcome(times, note="dead-lettered" if lane.dead else "stored, late")


async def _more_partitions(site: Site, _: Fault, times: int) -> Outcome:
    """The run keeps its count, also when its worker dies and another one starts that knows of the new ones."""
    async with site.lane() as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        await seat.stored_since(0.0)
        admin = AIOKafkaAdminClient(bootstrap_servers=lane.broker.bootstrap)
        await admin.start()
        try:
            await admin.create_partitions({lane.topics.name(kind): NewPartitions(8) for kind in BULK})
        finally:
            await admin.close()
        await asyncio.sleep(3.0)
        await seat.stored_since(time.monotonic())
        killed_s = seat.kill()
        seat.use(replace(lane.topics, partitions=8))
        await seat.start()
        recovery_s = await seat.stored_since(killed_s, WAIT_S)
        await lane.finish()
        return await lane.outcome(times, [recovery_s], note="4, then 8 of each topic")


assert LIMITS.message_bytes + (512 << 10) - 8_192 < BROKER_BYTES
FAULTS = (
    Fault("poison", _poisoned, 3, 1, 3, alone=False),
    Fault("late by 2 s", partial(_late, 2.0), 5, 1, 5, alone=False),
    Fault("late by 10 min", partial(_late, 600.0), 5, 0, 5, alone=False),
    Fault("clock 1 h ahead, not corrected", partial(_skewed, HOUR_US), 5, 1, 5, alone=False),
    Fault("clock 1 h behind, not corrected", partial(_skewed, -HOUR_US), 5, 0, 5, alone=False),
    Fault("partitions added during a run", _more_partitions, 2, 1, 1, alone=False),
)
