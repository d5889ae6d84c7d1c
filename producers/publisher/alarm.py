"""What a producer says of its spool: each trouble once, in words that name the remedy, until it is over."""

from pathlib import Path

import structlog

from producers.publisher.base import Published

_log = structlog.get_logger()


class SpoolAlarm:
    """Told of everything, tells of changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._is_refused = False
        self._is_unreadable = False

    def refused(self, error: OSError) -> None:
        """The spool did not take a message."""
        if not self._is_refused:
            _log.error(
                "Kafka is away and the spool takes nothing: what is measured now waits in memory, and is lost once "
                "that is full; free some disk, or give more by LOADFLAME_SPOOL_BYTES or another LOADFLAME_SPOOL_DIR",
                spool=self._folder,
                why=error.strerror or str(error),
            )
        self._is_refused = True

    def taken(self) -> None:
        """The spool took a message."""
        if self._is_refused:
            _log.warning("the spool takes messages again", spool=self._folder)
        self._is_refused = False

    def unreadable(self, error: OSError) -> None:
        """What is in the spool cannot be read now."""
        if not self._is_unreadable:
            _log.error("the spool cannot be read; it is tried again", spool=self._folder, why=str(error))
        self._is_unreadable = True

    def left_behind(self, published: Published, broker: str) -> None:
        """The process ends, and its spool is not empty."""
        _log.warning(
            f"{published.batches_spooled} batches ({published.rows_spooled} rows) were not acknowledged by Kafka and "
            f"wait on disk: `loadflame spool send --broker {broker}` delivers them once it is back, and so does the "
            "next load or profile on this host",
            spool=self._folder,
        )
