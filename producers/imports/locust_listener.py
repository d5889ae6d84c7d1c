"""For a locustfile: write down every request, so that `loadflame import` can read it.

Copy this file beside your locustfile (it needs nothing of loadflame), and add two lines there:

    from locust_listener import write_requests
    write_requests("requests")

Each Locust process then writes `requests-PID.ndjson`; put those of several processes together with `cat`.
"""

import json
import os
import time
from typing import Any, TextIO


class RequestWriter:
    """A listener of Locust's `request` event that writes one JSON object a line, into a file of its own process."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._files: dict[int, TextIO] = {}

    def __call__(  # noqa: D102  the class says it; the names are Locust's
        self,
        *,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        response: Any = None,
        exception: BaseException | None = None,
        start_time: float | None = None,
        **_more: Any,
    ) -> None:
        line = {
            "start_time": time.time() - response_time / 1000 if start_time is None else start_time,
            "response_time": response_time,
            "method": request_type,
            "name": name,
            "status": getattr(response, "status_code", None),
            "error": "" if exception is None else f"{type(exception).__name__}: {exception}",
            "response_length": response_length or 0,
        }
        self._file().write(json.dumps(line) + "\n")

    def _file(self) -> TextIO:
        """Opened at the first request: Locust may fork after it has read the locustfile."""
        pid = os.getpid()
        if pid not in self._files:
            # Line by line, so that a process that is killed leaves whole lines.
            self._files[pid] = open(f"{self._prefix}-{pid}.ndjson", "w", buffering=1, encoding="utf-8")  # noqa: PTH123, SIM115
        return self._files[pid]


def write_requests(prefix: str) -> None:
    """Write every request of this Locust process into `PREFIX-PID.ndjson`."""
    from locust import events  # noqa: PLC0415  so that this file can be looked at without Locust

    events.request.add_listener(RequestWriter(prefix))
