"""Logs are JSON lines on standard error; standard output belongs to results and to `ready`."""

import logging
import sys

import structlog


def configure_logs() -> None:
    """Set up logging for a command, once, at its start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for client in ("aiokafka", "clickhouse_connect", "urllib3.connectionpool"):
        logging.getLogger(client).setLevel(logging.CRITICAL)  # they print every attempt; our errors say it once
