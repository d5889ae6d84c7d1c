"""A consumer group as Kafka knows it: who has what, what is committed; and how to put it back or do away with it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

EMPTY_S = 60.0


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def commits(bootstrap: str, group: str) -> dict[TopicPartition, int]:
    """The committed offsets."""
    async with _admin(bootstrap) as admin:
        found = await admin.list_consumer_group_offsets(group)
    return {place: one.offset for place, one in found.items() if one.offset > 0}


async def assignments(bootstrap: str, group: str) -> list[dict[str, set[int]]]:
    """The partitions of each member, by topic; nothing while they are changing hands."""
    async with _admin(bootstrap) as admin:
        (answer,) = await admin.describe_consumer_groups([group])
    ((_, _, state, _, _, members, *_),) = answer.groups
    if state != "Stable":
        return []
    decoded = [ConsumerProtocolMemberAssignment.decode(member[4]) for member in members]
    return [{topic: set(partitions) for topic, partitions in one.assignment} for one in decoded]


async def rewind(bootstrap: str, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit other offsets, in the place of a group without members."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    finally:
        await consumer.stop()


async def delete(bootstrap: str, group: str) -> None:
    """Do away with a group, once its last member is gone, and with all that it has committed."""
    async with _admin(bootstrap) as admin, asyncio.timeout(EMPTY_S):
        node = await admin.find_coordinator(group)
        while True:
            answer = await admin._send_request(DeleteGroupsRequest([group]), node)
            ((_, code),) = answer.results
            if not code:
                return
            if for_code(code).__name__ != "NonEmptyGroupError":
                raise for_code(code)(group)
            await asyncio.sleep(0.2)
