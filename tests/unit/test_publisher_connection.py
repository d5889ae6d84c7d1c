"""Letting go of a Kafka that is away: what was under way is given up, and nobody is shown a traceback for it."""

import asyncio
import gc
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import MessageAccumulator

from producers.publisher import connection

PLACE = TopicPartition("t.requests", 0)


async def test_batches_that_wait_for_their_next_try_are_given_up_without_a_word(monkeypatch):
    monkeypatch.setattr(connection, "_STOP_S", 0.01)
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    accumulator = MessageAccumulator(None, 1 << 16, 0, 30)
    told = await accumulator.add_message(PLACE, None, b"to be sent again", 1.0)
    under_way = accumulator._pop_batch(PLACE)
    under_way._retry_count = 1
    accumulator.reenqueue(under_way)
    sender = SimpleNamespace(sender_task=None)
    await connection.stop(SimpleNamespace(_sender=sender, _message_accumulator=accumulator, stop=accumulator.close))
    assert isinstance(told.exception(), KafkaConnectionError)
    del under_way, accumulator
    gc.collect()
    assert complaints == []
