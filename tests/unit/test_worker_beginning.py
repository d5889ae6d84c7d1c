"""Where a worker begins in a partition: where its group goes on, whatever record the client hands over first.

After a rebalance that may be one that was fetched before it, beyond what is to be read again. Committing behind it
would lose what lies before: seen in a campaign whose workers were cut off before their group had committed anything.
"""

from collections.abc import Callable

import pytest

from processors.records import Place
from processors.worker import WorkerConfig, _Worker
from sinks.memory import MemoryStore
from tests.support.batches import WINDOW_US, request_batch
from tests.support.records import TOPICS, Log


class App:
    """What a worker asks of Kafka; `meanwhile` happens while it is asked where a partition begins."""

    def __init__(self, start: int | None, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.start = start
        self.meanwhile = meanwhile
        self.asked = 0
        self.again: list[tuple[Place, int]] = []

    async def start_of(self, _: Place) -> int | None:
        self.asked += 1
        self.meanwhile()
        return self.start

    async def read_again(self, place: Place, offset: int) -> None:
        self.again.append((place, offset))


def worker_with(app: App) -> _Worker:
    worker = _Worker(WorkerConfig("127.0.0.1:1", TOPICS, "group", WINDOW_US), MemoryStore(), None)
    worker._app = app
    return worker


@pytest.mark.parametrize(("start", "first", "again"), [(0, 0, None), (0, 2, 0), (1, 1, None), (1, 2, 1), (2, 1, None)])
async def test_a_partition_begins_where_its_group_goes_on(start: int, first: int, again: int | None) -> None:
    log = Log()
    records = [log.batch(request_batch(seq=seq, partitions=TOPICS.partitions)) for seq in range(4)]
    app = App(start)
    worker, place = worker_with(app), records[0].place
    await worker._on_record(records[first])
    assert app.again == ([] if again is None else [(place, again)])
    assert worker._pipeline.next_offset(place) == (start if again is not None else max(start, first + 1))
    assert worker._pipeline.committable().get(place, start) <= start
    for record in records[start:]:
        await worker._on_record(record)
    assert worker._pipeline.next_offset(place) == 4
    assert len(worker._pipeline.take().batches) == 4 - start
    assert app.asked == 1


async def test_a_record_of_a_partition_that_went_meanwhile_is_nobodys() -> None:
    record = Log().batch(request_batch(partitions=TOPICS.partitions))
    gone = App(None)
    revoked = App(0, lambda: worker._on_revoked([record.place]))
    for app in (gone, revoked):
        worker = worker_with(app)
        await worker._on_record(record)
        assert worker._pipeline.next_offset(record.place) is None
        assert not worker._pipeline.has_work
