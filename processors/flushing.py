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
from sinks.store import Store, nothing

_log = structlog.get_logger()


class FlushJoin:
    """Joins the windows of a flush, each once, however often the flush is written.

    `on_window` is called as each is joined: thousands of late ones, as an import brings, take minutes.
    """

    def __init__(self, flush: Flush, window_us: int, on_window: Callable[[], None] = nothing) -> None:
        self._closed = {window.key: window for window in flush.closed}
        self._window_us = window_us
        self._on_window = on_window
        self._held: dict[WindowKey, JoinedWindow] = {}
        self.keys = sorted(self._closed.keys() | flush.late)

    def join_held(self) -> None:
        """Join those whose batches memory holds: before it can be known whether the store shows any more of them."""
        for key, window in self._closed.items():
            if key not in self._held:
                self._held[key] = self._join(key, (stored.batch for stored in window.batches))

    def window(self, store: Store, key: WindowKey, visible: int) -> JoinedWindow | None:
        """A window of its visible batches; None when there are none, or their rows have outlived their time."""
        closed = self._closed.get(key)
        if closed is not None and len(closed.batches) == visible:
            return self._held[key]
        # Batches came late, or were stored by somebody who read them before us: memory does not hold them.
        batches = _stored(store, key)
        return self._join(key, batches) if batches else None

    def _join(self, key: WindowKey, batches: Iterable[Batch]) -> JoinedWindow:
        sides: dict[str, list[Batch]] = {"requests": [], "stacks": []}
        for batch in batches:
            sides[batch.header.key.topic].append(batch)
        closed_by = _closed_by(self._closed.get(key))
        with structlog.contextvars.bound_contextvars(run=key.run_id, window=key.window):
            joined = join_window(*key, self._window_us, sides["requests"], sides["stacks"], closed_by=closed_by)
        self._on_window()
        return joined


def write_flush(store: Store, flush: Flush, join: FlushJoin) -> list[JoinedWindow]:
    """Store everything of a flush; gives the joined windows, which are to be announced. Raises StoreError."""
    store.write_batches(flush.batches, join.join_held)
    store.write_dead_letters([letter.as_row() for letter in flush.letters])
    store.write_events([event for event, _ in flush.events], [time_us for _, time_us in flush.events])
    visible = _visible(store, join.keys)
    found = (join.window(store, key, visible.get(key, 0)) for key in join.keys)
    joined = [window for window in found if window is not None]
    store.write_windows(joined)
    return joined


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


def _stored(store: Store, key: WindowKey) -> list[Batch]:
    """The visible batches of a window; none when their rows have outlived their time."""
    try:
        truth = store.read_window(*key)
    except RowsGoneError as error:
        _log.warning("a window stays as it was joined before", run=key.run_id, window=key.window, error=str(error))
        return []
    return [*truth.requests, *truth.stacks]
