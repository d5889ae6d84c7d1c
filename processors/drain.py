"""When is a run over *and* stored? Asked of the store, so that a worker that was started again knows it too."""

from schemas.events import ProducerEnded, RunEnded, RunStarted
from sinks.store import Store


def is_drained(store: Store, run_id: str) -> bool:
    """Whether the run and its producers have ended, and all that Kafka acknowledged to them is visible and joined.

    Batches that became dead letters can never be visible: they are taken off.
    """
    events = store.read_events(run_id)
    expected = next((event.producers for event in events if isinstance(event, RunEnded)), None)
    ended = [event for event in events if isinstance(event, ProducerEnded)]
    if expected is None or len(ended) < expected:
        return False
    visible = store.count_batches(run_id)
    missing = sum(max(0, event.batches_acknowledged - visible.get(event.producer_id, 0)) for event in ended)
    if missing:
        started_us = min((event.started_at_us for event in events if isinstance(event, RunStarted)), default=0)
        if missing > store.count_dead_letters(since_us=started_us):
            return False
    return all(window.covered == window.visible for window in store.read_coverage(run_id).values())
