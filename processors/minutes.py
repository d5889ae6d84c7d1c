"""When a minute is to be made from its windows: once it has been quiet, and now and then while it is under way.

Which windows are visible only the store knows, for those of one minute are closed by many workers. So each of them has
every minute made that it changed a window of, after it did: whoever is last sees all of them, and his record wins.
"""

from collections.abc import Iterable

from schemas.joined import JoinedWindow
from schemas.minutes import MinuteKey, minute_of

QUIET_S = 5.0
"""No window of it was stored for so long: it is over, or was late."""
MOST_S = 20.0
"""A minute in which windows keep coming is made so often: what reads minutes is never further behind."""


class Minutes:
    """Minutes that wait to be made. `now_s` is any steady clock."""

    def __init__(self) -> None:
        self._changed: dict[MinuteKey, tuple[float, float]] = {}
        self._unmade: dict[MinuteKey, None] = {}

    def changed(self, windows: Iterable[JoinedWindow], now_s: float) -> None:
        """Windows were stored."""
        self.add((MinuteKey(one.run_id, minute_of(one.window, one.window_us), one.window_us) for one in windows), now_s)

    def add(self, keys: Iterable[MinuteKey], now_s: float) -> None:
        """Windows of these minutes were stored."""
        for key in keys:
            first_s, _ = self._changed.get(key, (now_s, now_s))
            self._changed[key] = first_s, now_s

    def unmade(self, keys: Iterable[MinuteKey]) -> None:
        """Somebody before left these unmade: they are made when nothing else is due."""
        self._unmade.update(dict.fromkeys(keys))

    def take(self, now_s: float, most: int) -> list[MinuteKey]:
        """Take out up to `most` minutes that are due, in order."""
        due = sorted(
            key
            for key, (first_s, last_s) in self._changed.items()
            if now_s - last_s >= QUIET_S or now_s - first_s >= MOST_S
        )
        return self._taken((due or list(self._unmade))[:most])

    def take_changed(self, most: int) -> list[MinuteKey]:
        """Take out up to `most` minutes whose windows were stored, due or not."""
        return self._taken(sorted(self._changed)[:most])

    def _taken(self, keys: list[MinuteKey]) -> list[MinuteKey]:
        for key in keys:
            self._changed.pop(key, None)
            self._unmade.pop(key, None)
        return keys
