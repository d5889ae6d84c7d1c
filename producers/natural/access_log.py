"""An access log that grows, as a source of plain traffic.

When a request ended is known twice, and neither time is enough. The log's own has whole seconds as a rule, and is right
however late the line is read; the time of reading is fine, and late where lines are written in blocks (`buffer=` of
nginx). So a request ended when its line was read, but within the second that the line says. Some write when a request
began (Apache's %t, aiohttp's), and then it ended a duration later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from producers.endpoint_names import endpoint_of
from producers.natural.entry import Entry, LineError, Unit
from producers.natural.lines import entry_of
from producers.natural.log_file import LogFile
from producers.natural.moments import SECOND_US
from producers.natural.seen import NO_HTTP, Seen, Tally, counted, error_of

Stamp = Literal["end", "start"]
AHEAD_US = SECOND_US
"""How far ahead of ours the clock of whoever writes the log may be; a line beyond that has the time of reading."""


class AccessLog:
    """See Source. The log may change its form in mid-file: each line is read for itself."""

    name = "access log"
    settle_us = 200_000

    def __init__(
        self,
        path: Path,
        now_us: int,
        *,
        unit: Unit | None = None,
        stamp: Stamp = "end",
        under: Sequence[str] = (),
        correction_us: int = 0,
    ) -> None:
        """Follow a log from its end on. Raises LogFileError.

        `unit` is that of a duration which does not say it; `stamp` says of which moment of a request a line has the
        time; `under` are beginnings of paths that are wanted alone. `correction_us` is what this host's clock, by which
        the log is written, is behind the one that counts.
        """
        self.tally = Tally()
        self._path = path
        self._file = LogFile(path, now_us)
        self._unit = unit
        self._stamp = stamp
        self._under = tuple(under)
        self._correction_us = correction_us

    @property
    def behind(self) -> bool:
        """See Source."""
        return self._file.behind

    @property
    def note(self) -> str:
        """See Source."""
        tally, file, said = self.tally, self._file, []
        if tally.unknown:
            said.append(f"not understood: {tally.unknown:,} of {counted(tally.told, 'line')} ({tally.examples[0]})")
        if tally.late:
            said.append(
                f"{counted(tally.late, 'request')} logged too late for their second count in a later one: have the log "
                "written at once, or give --wait longer than it is buffered"
            )
        if file.long_lines:
            said.append(f"skipped: {counted(file.long_lines, 'line')} over 64 KiB")
        if file.truncations:
            said.append(f"the log was cut to nothing and read from its beginning ({counted(file.truncations, 'time')})")
        return "; ".join(said)

    def look(self, now_us: int) -> list[Seen]:
        """See Source."""
        found = []
        for line in self._file.lines(now_us):
            self.tally.told += 1
            try:
                entry = entry_of(line, self._unit)
            except LineError as error:
                self.tally.refuse(f"one {error}: {line[:40]!r}")
                continue
            if self._under and not entry.target.startswith(self._under):
                self.tally.others += 1
            else:
                found.append(self._seen(entry, now_us))
        return found

    def _seen(self, entry: Entry, now_us: int) -> Seen:
        return Seen(
            ended_at_us=self._ended_us(entry, now_us),
            latency_us=entry.latency_us,
            status=entry.status,
            error=error_of(entry.status),
            endpoint=endpoint_of(entry.method, entry.target) if entry.method else NO_HTTP,
            bytes_received=entry.bytes_sent,
        )

    def _ended_us(self, entry: Entry, now_us: int) -> int:
        """See the head of this file."""
        if entry.at_us is None:
            return now_us
        first_us = entry.at_us + self._correction_us
        if self._stamp == "start":
            if entry.latency_us is None:
                return now_us
            first_us += entry.latency_us
        if first_us > now_us + AHEAD_US:
            return now_us
        return min(max(now_us, first_us), first_us + entry.grain_us - 1)

    def close(self) -> None:
        """See Source."""
        self._file.close()
