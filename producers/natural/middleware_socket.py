"""A service's own middleware as a source of plain traffic: it tells at a Unix datagram socket of this host."""

from collections.abc import Sequence
from pathlib import Path

from producers.context.listening import Listener
from producers.context.notes import Note, NoteError, told_of
from producers.context.relay import Relay
from producers.endpoint_names import endpoint_of
from producers.natural.seen import Seen, Tally, counted, error_of
from producers.natural.slowest import Slowest

LOOK_DATAGRAMS = 500
"""Read in one look, at most: what is more comes with the next."""
_LATE_US = 60_000_000
"""How far from now a request may have ended: beyond it a clock is out of its mind, and it ended now."""


class MiddlewareSocket:
    """See Source. Several processes of a service tell at one socket."""

    name = "middleware"
    settle_us = 700_000

    def __init__(
        self,
        path: Path,
        *,
        under: Sequence[str] = (),
        owner: int | None = None,
        correction_us: int = 0,
        relay: Relay | None = None,
    ) -> None:
        """Listen; see Listener for `owner`. Raises SocketError.

        `under` are beginnings of paths that are wanted alone; `correction_us` is what this host's clock, which is the
        service's as well, is behind the one that counts. What is told is passed on to whom `relay` leads to.
        """
        self.tally = Tally()
        self.behind = False
        self._under = tuple(under)
        self._correction_us = correction_us
        self._dropped: dict[int, tuple[int, int]] = {}
        self._relay = relay
        self._slowest = Slowest()
        self._listener = Listener(path, owner=owner)

    @property
    def note(self) -> str:
        """See Source."""
        tally, said = self.tally, []
        if not tally.told:
            said.append(f"no request was told of at {self._listener.path}: is the service wrapped in the middleware?")
        if tally.unknown:
            said.append(f"not understood: {counted(tally.unknown, 'datagram')} ({tally.examples[0]})")
        if tally.lost:
            said.append(f"the middleware dropped {counted(tally.lost, 'request')} for want of room")
        if slowest := self._slowest.in_words():
            said.append(slowest)
        return "; ".join(said)

    def look(self, now_us: int) -> list[Seen]:
        """See Source."""
        found: list[Seen] = []
        read = 0
        for data in self._listener.datagrams(LOOK_DATAGRAMS):
            read += 1
            if self._relay is not None:
                self._relay.pass_on(data)
            try:
                told = told_of(data)
            except NoteError as error:
                self.tally.told += 1
                self.tally.refuse(f"one {error}")
                continue
            self._count_dropped(told.pid, told.dropped)
            found += self._seen(told.notes, now_us)
        if self._relay is not None:
            self._relay.try_again()
        self.behind = read == LOOK_DATAGRAMS
        return found

    def _seen(self, notes: Sequence[Note], now_us: int) -> list[Seen]:
        found = []
        for note in notes:
            self.tally.told += 1
            method, _, path = note.endpoint.partition(" ")
            if self._under and not path.startswith(self._under):
                self.tally.others += 1
                continue
            ended_us = note.began_us + note.took_us + self._correction_us
            if abs(ended_us - now_us) > _LATE_US:
                ended_us = now_us
            endpoint, error = endpoint_of(method, path), error_of(note.status)
            if note.trace:
                self._slowest.see(endpoint, note.took_us, note.trace)
            found.append(Seen(min(ended_us, now_us), note.took_us, note.status, error, endpoint))
        return found

    def _count_dropped(self, pid: int, dropped: int) -> None:
        """What a process dropped since we began to listen: it counts from its own beginning."""
        first, _ = self._dropped.get(pid, (dropped, dropped))
        if dropped < first:  # another process has its number now
            first = 0
        self._dropped[pid] = (first, dropped)
        self.tally.lost = sum(last - begin for begin, last in self._dropped.values())

    def close(self) -> None:
        """See Source."""
        self._listener.close()
        if self._relay is not None:
            self._relay.close()
