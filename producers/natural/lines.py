"""Any line of an access log: text or JSON, and either of them in the envelope of a container's log."""

import json
import re
from dataclasses import replace

from producers.natural import json_lines, text_lines
from producers.natural.entry import Entry, LineError, Unit
from producers.natural.moments import moment_of

_KUBERNETES = re.compile(r"(\d{4}-\d\d-\d\dT\S{8,40}) (?:stdout|stderr) [FP] ")
"""The container runtime interface's: time, stream, whole or partial."""


def entry_of(line: str, unit: Unit | None) -> Entry:
    """Read a line; `unit` is that of a duration which does not say it. Raises LineError.

    An envelope's time is finer than most lines' own, and stands where these have none.
    """
    time = ""
    if (envelope := _KUBERNETES.match(line)) is not None:
        time, line = envelope[1], line[envelope.end() :]
    elif line.startswith('{"log":'):
        time, line = _of_docker(line)
    read = json_lines.entry_of if line.startswith("{") else text_lines.entry_of
    entry = read(line, unit)
    if entry.at_us is None and (moment := moment_of(time)) is not None:
        return replace(entry, at_us=moment[0], grain_us=moment[1])
    return entry


def _of_docker(line: str) -> tuple[str, str]:
    """Time and line of Docker's `json-file`: {"log": "...", "stream": "stdout", "time": "..."}."""
    try:
        record = json.loads(line)
        return str(record["time"]), str(record["log"]).strip()
    except (ValueError, RecursionError, KeyError):
        raise LineError("is not whole JSON of a container's log") from None
