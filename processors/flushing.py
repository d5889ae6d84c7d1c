"""A flush into the store: the truth first, then what is derived from it. Blocks; whoever calls keeps a thread for it.

A crash between any two steps is mended by the same flush again, from the same offsets.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import structlog

from processors.join import join_window
from processors.records import ClosedWindow, Flush, WindowKey
from schemas.batches import Batch
from schemas.joined import ClosedBy, JoinedWindow
from sinks.errors import RowsGoneError
from sinks.store import Store

_log = structlog.get_logger()


def write_flush(
    store: Store, flush: Flush, window_us: int, on_window: Callable[[], None] = lambda: None
) -> list[JoinedWindow]:
    """Store everything of a flush; gives the joined windows, which are to be announced. Raises StoreError.

    `on_window` is called for each window: thousands of late ones, as an import brings, take minutes.
    """
    store.write_batches(flush.batches)
    store.write_dead_letters([letter.as_row() for letter in flush.letters])
    store.write_events([event for event, _ in flush.events], [time_us for _, time_us in flush.events])
    joined = []
    for window in _joined(store, flush, window_us):
        joined.append(window)
        on_window()
    store.write_windows(joined)
    return joined


def _joined(store: Store, flush: Flush, window_us: int) -> Iterable[JoinedWindow]:
    closed = {window.key: window for window in flush.closed}
    wanted = sorted(closed.keys() | flush.late)
    visible = _visible(store, wanted)
    for key in wanted:
        with structlog.contextvars.bound_contextvars(run=key.run_id, window=key.window):
            joined = _joined_one(store, key, closed.get(key), visible.get(key, 0), window_us)
        if joined is not None:
            yield joined


def _joined_one(
    store: Store, key: WindowKey, window: ClosedWindow | None, visible: int, window_us: int
) -> JoinedWindow | None:
    if window is not None and len(window.batches) == visible:
        batches: Iterable[Batch] | None = (stored.batch for stored in window.batches)
    else:
        # Batches came late, or were stored by somebody who read them before us: memory does not hold them.
        batches = _stored(store, key)
    return None if batches is None else _join(key, batches, window_us, _closed_by(window))


def _closed_by(window: ClosedWindow | None) -> ClosedBy:
    return "late" if window is None else window.closed_by


def _visible(store: Store, keys: Iterable[WindowKey]) -> Mapping[WindowKey, int]:
    """How many batches of each window the store shows."""
    windows_of: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        windows_of[key.run_id].append(key.window)
    return {
        WindowKey(run_id, window): visible
        for run_id, windows in windows_of.items()
        for window, visible in store.count_visible(run_id, windows).items()
    }


def _stored(store: Store, key: WindowKey) -> list[Batch] | None:
    """The visible batches of a window; None when there are none, or their rows have outlived their time."""
    try:
        truth = store.read_window(*key)
    except RowsGoneError as error:
        _log.warning("a window stays as it was joined before", error=str(error))
        return None
    return [*truth.requests, *truth.stacks] or None


def _join(key: WindowKey, batches: Iterable[Batch], window_us: int, closed_by: ClosedBy) -> JoinedWindow:
    sides: dict[str, list[Batch]] = {"requests": [], "stacks": []}
    for batch in batches:
        sides[batch.header.key.topic].append(batch)
    return join_window(*key, window_us, sides["requests"], sides["stacks"], closed_by=closed_by)
