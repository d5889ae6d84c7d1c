"""Plain traffic: what a production service answers anyway, seen from beside it, without a load of ours.

access log (rotated, truncated) ─► entries ─┐
                                            ├─► windows ─► publisher, as of any load
the service's middleware ─► Unix socket ────┘
"""

from producers.context.listening import SocketError
from producers.natural.access_log import AccessLog
from producers.natural.log_file import LogFileError
from producers.natural.middleware_socket import MiddlewareSocket
from producers.natural.observing import STAGE, Observed, observe
from producers.natural.seen import Seen, Tally
from producers.natural.source import Source

__all__ = [
    "STAGE",
    "AccessLog",
    "LogFileError",
    "MiddlewareSocket",
    "Observed",
    "Seen",
    "SocketError",
    "Source",
    "Tally",
    "observe",
]
