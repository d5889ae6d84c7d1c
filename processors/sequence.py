"""Whether the records of a partition came one after another, none skipped: trust in the client library, verified.

Offsets that were never handed over must not be committed over. When some are skipped we go back for them once; if
Kafka then gives the same record again, there is nothing between (a transaction's mark, or records that were deleted).
"""

from collections.abc import Iterable
from typing import Literal

from processors.records import Place

Admission = Literal["take", "pass", "again"]


class Sequences:
    """The next offset of each place."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._skipped_to: dict[Place, int] = {}

    def admit(self, place: Place, offset: int) -> Admission:
        """What to do with a record: take it, pass over it, or read the place again from `next_of`."""
        expected = self._next.get(place, offset)
        if offset < expected:
            return "pass"  # had it
        if offset > expected:
            skipped_to = self._skipped_to.get(place)
            if skipped_to is None:
                self._skipped_to[place] = offset
                return "again"
            if offset > skipped_to:
                return "pass"  # it was under way when we went back
        self._next[place] = offset + 1
        self._skipped_to.pop(place, None)
        return "take"

    def begin(self, place: Place, offset: int) -> None:
        """A place that was not heard yet begins there, whatever comes of it first.

        After a rebalance a client may still hand over what it had fetched before, beyond what is to be read again.
        """
        self._next.setdefault(place, offset)

    def next_of(self, place: Place) -> int | None:
        """The offset that is awaited; None while nothing was heard."""
        return self._next.get(place)

    def drop(self, places: Iterable[Place]) -> None:
        """These partitions belong to somebody else now."""
        for place in places:
            self._next.pop(place, None)
            self._skipped_to.pop(place, None)
