"""How far a partition's clock has come: the greatest broker timestamp processed from it, and nothing else.

No wall clock and no high water mark go in, so an outage, a pause or a wrong worker clock stops it instead of
falsifying it, and a replay moves it as the live run did. An owner that has open windows and hears nothing appends a
tick, and reads the broker's clock from that.
"""

from collections.abc import Iterable

from processors.records import Place

TICK_AFTER_S = 0.25


class Watermarks:
    """Broker clocks of the owned partitions, in microseconds. `now_s` is any steady clock, used for idleness only."""

    def __init__(self) -> None:
        self._greatest_us: dict[Place, int] = {}
        self._heard_s: dict[Place, float] = {}

    def advance(self, place: Place, timestamp_us: int, now_s: float) -> None:
        """A record was processed. An older timestamp does not move the watermark back."""
        self._greatest_us[place] = max(timestamp_us, self._greatest_us.get(place, timestamp_us))
        self._heard_s[place] = now_s

    def of(self, places: Iterable[Place]) -> int | None:
        """The least of several watermarks; None while one of them has heard nothing."""
        known = [self._greatest_us.get(place) for place in places]
        return None if None in known else min(value for value in known if value is not None)

    def idle(self, places: Iterable[Place], now_s: float) -> list[Place]:
        """Places that want a tick: nothing heard, nor a tick asked for, in the last 250 ms."""
        wanted = [place for place in places if now_s - self._heard_s.get(place, -TICK_AFTER_S) >= TICK_AFTER_S]
        for place in wanted:
            self._heard_s[place] = now_s
        return wanted

    def drop(self, places: Iterable[Place]) -> None:
        """These partitions belong to somebody else now."""
        for place in places:
            self._greatest_us.pop(place, None)
            self._heard_s.pop(place, None)
