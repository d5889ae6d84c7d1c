"""Stack texts are stored once per run and day; samples refer to them by a 64-bit hash of the text."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

StackKey = tuple[str, int]
"""Run id and stack id."""


@lru_cache(maxsize=1 << 12)  # the same few thousand stacks come in every window
def stack_id(text: str) -> int:
    """The id of a folded stack: BLAKE2b (RFC 7693) of its UTF-8 with a digest of 8 bytes, read as little-endian.

    With a million stacks in a run the chance of any two sharing an id is about 3 in 10^8.
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


class Interner:
    """Remembers which texts this writer has stored, so that each is sent once a day (days count from the epoch).

    Once a day and not once for ever, because texts have a time to live of their own. Memory is bounded: beyond
    `limit` texts everything is forgotten, and sent once more.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._stored: set[StackKey] = set()
        self._day = 0

    def missing(self, keys: Iterable[StackKey], day: int) -> set[StackKey]:
        """Those of `keys` whose text this writer has not stored on `day`."""
        if day != self._day or len(self._stored) > self._limit:
            self._stored.clear()
            self._day = day
        return set(keys) - self._stored

    def remember(self, keys: Iterable[StackKey]) -> None:
        """Call once the texts of `keys` are durable."""
        self._stored.update(keys)
