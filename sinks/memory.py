"""A store in memory: the whole contract in a few dictionaries, for tests and for trying things out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.batches import Batch, BatchKey
from schemas.events import EventData
from schemas.joined import JoinedWindow
from schemas.minutes import JoinedMinute, MinuteKey, join_minute, minute_of, stack_cpu
from sinks.errors import StoreError
from sinks.store import Coverage, DeadLetter, LetterCount, StoredBatch, WindowBatches, nothing


class MemoryStore:
    """`Store` in memory. Its public dictionaries hold what is visible.

    `failures` are raised by the next writes, one each, before anything is stored.
    """

    def __init__(self) -> None:
        self.batches: dict[BatchKey, StoredBatch] = {}
        self.windows: dict[tuple[str, int], JoinedWindow] = {}
        self.minutes: dict[tuple[str, int], JoinedMinute] = {}
        self.events: dict[str, tuple[int, EventData]] = {}
        self.dead_letters: dict[tuple[str, int, int, int], DeadLetter] = {}
        self.failures: list[StoreError] = []

    def write_batches(self, batches: Sequence[StoredBatch], meanwhile: Callable[[], None] = nothing) -> None:
        """See Store."""
        self._fail_if_told()
        self.batches.update({stored.batch.header.key: stored for stored in batches})
        meanwhile()

    def write_windows(self, windows: Sequence[JoinedWindow]) -> None:
        """See Store."""
        self._fail_if_told()
        for joined in windows:
            key = (joined.run_id, joined.window)
            known = self.windows.get(key)
            if known is None or joined.batches_covered >= known.batches_covered:
                self.windows[key] = joined

    def write_minutes(self, keys: Sequence[MinuteKey]) -> None:
        """See Store."""
        self._fail_if_told()
        for run_id, minute, _ in keys:
            windows = [one for one in self.windows.values() if (one.run_id, _minute_of(one)) == (run_id, minute)]
            if not windows:
                continue
            stacks = [part for one in windows for part in stack_cpu(self.read_window(run_id, one.window).stacks)]
            made = join_minute(minute, windows, stacks)
            known = self.minutes.get((run_id, minute))
            if known is None or made.batches_covered >= known.batches_covered:
                self.minutes[run_id, minute] = made

    def write_events(self, events: Sequence[EventData], times_us: Sequence[int]) -> None:
        """See Store."""
        self._fail_if_told()
        for event, time_us in zip(events, times_us, strict=True):
            known = self.events.get(event.event_id())
            if known is None or time_us >= known[0]:
                self.events[event.event_id()] = (time_us, event)

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See Store."""
        self._fail_if_told()
        for letter in letters:
            self.dead_letters[letter.topic, letter.partition, letter.offset, letter.received_at_us] = letter

    def read_window(self, run_id: str, window: int) -> WindowBatches:
        """See Store."""
        keys = sorted(key for key in self.batches if (key.run_id, key.window) == (run_id, window))
        found: dict[str, list[Batch]] = {"requests": [], "stacks": []}
        for key in keys:
            found[key.topic].append(self.batches[key].batch)
        return WindowBatches(**found)

    def read_joined(self, run_id: str, window: int) -> JoinedWindow | None:
        """See Store."""
        joined = self.windows.get((run_id, window))
        return joined and ordered(joined)

    def unmade_minutes(self, run_id: str | None = None) -> list[MinuteKey]:
        """See Store."""
        visible: Counter[MinuteKey] = Counter()
        for one in self.windows.values():
            if run_id in (None, one.run_id):
                visible[MinuteKey(one.run_id, _minute_of(one), one.window_us)] += one.batches_covered
        made = {key: one.batches_covered for key, one in self.minutes.items()}
        return sorted(key for key, count in visible.items() if count > made.get(key[:2], 0))

    def read_minutes(self, run_id: str, first: int, last: int) -> dict[int, JoinedMinute]:
        """See Store."""
        return {minute: one for (run, minute), one in self.minutes.items() if run == run_id and first <= minute <= last}

    def read_coverage(self, run_id: str) -> dict[int, Coverage]:
        """See Store."""
        visible = Counter(key.window for key in self.batches if key.run_id == run_id)
        joined = {window: one.batches_covered for (run, window), one in self.windows.items() if run == run_id}
        return {window: Coverage(count, joined.get(window, 0)) for window, count in visible.items()}

    def count_visible(self, run_id: str, windows: Sequence[int]) -> dict[int, int]:
        """See Store."""
        wanted = set(windows)
        return dict(Counter(key.window for key in self.batches if key.run_id == run_id and key.window in wanted))

    def read_events(self, run_id: str) -> list[EventData]:
        """See Store."""
        found = [(time_us, event) for time_us, event in self.events.values() if event.run_id == run_id]
        return [event for _, event in sorted(found, key=lambda pair: (pair[0], pair[1].event_id()))]

    def count_batches(self, run_id: str) -> dict[str, int]:
        """See Store."""
        return dict(Counter(key.producer_id for key in self.batches if key.run_id == run_id))

    def sweep(self) -> int:
        """See Store. What fails here leaves nothing behind."""
        return 0

    def count_dead_letters(self, run_id: str, *, since_us: int) -> LetterCount:
        """See Store."""
        visible = {(key.topic, *key[2:]) for key in self.batches if key.run_id == run_id}
        found: dict[tuple[object, ...], int] = {}
        unknown = 0
        for place, letter in self.dead_letters.items():
            unknown += not letter.run_id and letter.received_at_us >= since_us
            if letter.run_id == run_id:
                batch = (letter.topic.rpartition(".")[2], letter.window, letter.producer, letter.seq)
                one = batch if letter.producer else place
                found[one] = max(letter.rows, found.get(one, 0))
        missing = {one: rows for one, rows in found.items() if one not in visible}
        return LetterCount(len(missing), sum(missing.values()), unknown, len(found) - len(missing))

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def _minute_of(joined: JoinedWindow) -> int:
    return minute_of(joined.window, joined.window_us)


def ordered(joined: JoinedWindow) -> JoinedWindow:
    """The same window with its endpoints and functions ordered by their names, as `Store.read_joined` gives them."""
    return replace(
        joined,
        endpoints=tuple(sorted(joined.endpoints, key=lambda one: (one.stage, one.endpoint))),
        functions=tuple(sorted(joined.functions, key=lambda one: (one.service, one.function, one.file))),
    )
