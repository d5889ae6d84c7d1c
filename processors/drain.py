"""When is a run over *and* stored? Asked of the store, so that a worker that was started again knows it too."""

from schemas.events import ProducerEnded, RunEnded, RunStarted
from sinks.store import Store


def is_drained(store: Store, run_id: str) -> bool:
    """Whether the run has ended, all its producers have, and every batch that Kafka acknowledged to them is visible.

    Batches that became dead letters can never be: they are taken off.
    """
    events = store.read_events(run_id)
    if not any(isinstance(event, RunEnded) for event in events):
        return False
    expected = sum(event.producers for event in events if isinstance(event, RunEnded))
    ended = [event for event in events if isinstance(event, ProducerEnded)]
    if len(ended) < expected:
        return False
    visible = store.count_batches(run_id)
    missing = sum(max(0, event.batches_acknowledged - visible.get(event.producer_id, 0)) for event in ended)
    started_us = min((event.started_at_us for event in events if isinstance(event, RunStarted)), default=0)
    return missing == 0 or missing <= store.count_dead_letters(since_us=started_us)
