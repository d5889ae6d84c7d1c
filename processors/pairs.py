"""The two bulk topics of a partition are worked off side by side, in the order of the broker's time.

A second of stacks is a few KiB, a second of requests may be hundreds, and a client fetches as many bytes of each. After
an outage the stacks would be read through to their end, and held decoded until the requests of their windows come, in
memory that nothing bounds. So records that are far ahead of the other topic wait here, as they came: a twentieth of
what they take when decoded.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping

from processors.records import Place, Record

LEAD_US = 5_000_000
"""How far one topic may be ahead. Live, one comes a fraction of a second after the other, and nothing waits."""
SILENT_S = 1.0
"""A topic of which nothing comes for so long (no agent, or its end is reached) holds nobody up."""
BEHIND_S = 30.0
"""The same, of a topic that has more in Kafka: a client that reads eight partitions comes round to each in its turn,
and reads nothing while the store is slow.
"""


class Pairs:
    """Records that wait. `others` names the other topic of each that has one; `end_of` says which offset follows the
    last record of a place, as far as is known. `now_s` is any steady clock.
    """

    def __init__(self, others: Mapping[str, str], end_of: Callable[[Place], int | None]) -> None:
        self._others = others
        self._end_of = end_of
        self._held: defaultdict[Place, deque[Record]] = defaultdict(deque)
        self._reached_us: dict[Place, int] = {}
        self._heard: dict[Place, tuple[float, int]] = {}

    def add(self, record: Record, now_s: float) -> None:
        """A record came; those of a place come in order."""
        self._held[record.place].append(record)
        self._heard[record.place] = (now_s, record.offset)

    def next(self, now_s: float) -> Record | None:
        """Take out a record whose turn it is, those of a place in order; None when all that are here wait."""
        for place, held in self._held.items():
            if held and self._may_go(held[0], now_s):
                record = held.popleft()
                self._reached_us[place] = max(record.timestamp_us, self._reached_us.get(place, record.timestamp_us))
                return record
        return None

    def drop(self, places: Iterable[Place]) -> None:
        """These belong to somebody else now, or are read again."""
        for place in places:
            for table in (self._held, self._reached_us, self._heard):
                table.pop(place, None)

    def _may_go(self, record: Record, now_s: float) -> bool:
        other = Place(self._others.get(record.place.topic, ""), record.place.partition)
        if waiting := self._held.get(other):
            return record.timestamp_us <= waiting[0].timestamp_us + LEAD_US
        return self._is_silent(other, now_s) or record.timestamp_us <= self._reached_us[other] + LEAD_US

    def _is_silent(self, place: Place, now_s: float) -> bool:
        if place not in self._heard:
            return True
        heard_s, offset = self._heard[place]
        end = self._end_of(place)
        return now_s - heard_s >= (SILENT_S if end is None or offset + 1 >= end else BEHIND_S)
