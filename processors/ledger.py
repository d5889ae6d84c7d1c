"""Which offset may be committed: never past anything that is not yet durable and announced.

Every record is received in order. What must outlive a crash is held (a batch until it is stored, and until its window
is announced; a dead letter and an event until they are acknowledged) and released when it is safe. The committable
offset is the first held one, else the one after the last received (KIP-98's consumer convention: the next to read).
"""

from collections.abc import Iterable

from processors.records import Place


class Ledger:
    """Offsets of the owned partitions."""

    def __init__(self) -> None:
        self._held: dict[Place, dict[int, int]] = {}
        self._next: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}

    def receive(self, place: Place, offset: int, *, holds: int = 0) -> None:
        """A record came; `holds` reasons keep its offset from being committed."""
        self._next[place] = offset + 1
        if holds:
            # Records of a partition come in order, so the first key is always the least.
            self._held.setdefault(place, {})[offset] = holds

    def release(self, place: Place, offset: int) -> None:
        """One reason is gone. Raises KeyError when the offset is not held: a mistake in the accounting."""
        held = self._held[place]
        held[offset] -= 1
        if not held[offset]:
            del held[offset]

    def committable(self) -> dict[Place, int]:
        """Offsets to commit for the places where they have moved since `committed`."""
        found = {}
        for place, following in self._next.items():
            offset = next(iter(self._held.get(place, ())), following)
            if self._committed.get(place) != offset:
                found[place] = offset
        return found

    def committed(self, offsets: dict[Place, int]) -> None:
        """The broker took them."""
        for place, offset in offsets.items():
            if place in self._next:
                self._committed[place] = offset

    @property
    def idle(self) -> bool:
        """Nothing is held."""
        return not any(self._held.values())

    def drop(self, places: Iterable[Place]) -> None:
        """These partitions belong to somebody else now; whoever owns them reads again from the committed offset."""
        for place in places:
            for table in (self._held, self._next, self._committed):
                table.pop(place, None)
