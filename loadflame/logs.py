"""Logs are JSON lines on standard error, whoever writes them; standard output belongs to results and to `ready`.

A line carries the run that its process is about, if it is about one, and the window where it is about a window.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor

_SECRET_NAME = re.compile(r"password|passwd|secret|token|authorization|api_?key", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_ASSIGNED = re.compile(
    rf"(?P<name>[\w.-]*(?:{_SECRET_NAME.pattern})[\w.-]*['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic)\s+)?)[^\s'\",;&]+",
    re.IGNORECASE,
)
_HIDDEN = "..."
_SHORTEST = 4
"""A secret of fewer letters would be found in every other word."""

_about: dict[str, str] = {}


@contextlib.contextmanager
def logs_about(run: str | None) -> Iterator[None]:
    """Every line of this process is about this run, of whatever thread it is: context variables are of one only."""
    before = dict(_about)
    if run is not None:
        _about["run"] = run
    try:
        yield
    finally:
        _about.clear()
        _about.update(before)


def configure_logs() -> None:
    """Set up logging for a command, once, at its start: the same lines from structlog and from the standard library."""
    every: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_run,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        _Hidden(_secrets_of(os.environ)),
        structlog.processors.JSONRenderer(default=str),
    ]
    structlog.configure(
        processors=[*every, *last],
        # Not the one that prints: it writes a line and its end apart, and others may write in between.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*every, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.captureWarnings(capture=True)
    for client in ("aiokafka", "clickhouse_connect", "urllib3.connectionpool"):
        logging.getLogger(client).setLevel(logging.CRITICAL)  # they print every attempt; our errors say it once


def _with_run(_: Any, __: str, event: EventDict) -> EventDict:
    return {**_about, **event}


class _Hidden:
    """Leaves out what nobody may read: these secrets wherever they stand, and what looks like one."""

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets

    def __call__(self, _: Any, __: str, event: EventDict) -> EventDict:
        """See structlog's processors."""
        return {name: _HIDDEN if _SECRET_NAME.search(name) else self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self(None, "", value)
        if isinstance(value, list | tuple):
            return [self._clean(one) for one in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _IN_URL.sub(rf"\1:{_HIDDEN}@", text)
        return _ASSIGNED.sub(rf"\g<name>{_HIDDEN}", text)


def _secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Passwords in the settings, as they stand there and as they are sent; the longest first."""
    found = set()
    for name, value in environment.items():
        if not name.startswith("LOADFLAME_"):
            continue
        if _SECRET_NAME.search(name):
            found.add(value)
        with contextlib.suppress(ValueError):
            if password := urlsplit(value).password:
                found |= {password, unquote(password)}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)
