"""The program austin on one process: started, followed, ended."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

from producers.profiler.counters import core_of, cpu_us_of
from producers.profiler.errors import SamplerError
from producers.profiler.sampler import program, with_priority
from producers.profiler.stamps import received, stamped_pair

_END_S = 2.0


def wait_for_input(file: int) -> None:
    """Until there is something to read, or nothing will come any more; `select` knows the first 1,024 files only."""
    ready = select.poll()
    ready.register(file, select.POLLIN)
    ready.poll()


class AustinProcess:
    """austin on the process `pid`, with these options. Raises SamplerError when a program is missing.

    `stamped`: it prints into a socket, in which the kernel puts the time beside each line. Then `socket` is there, and
    no `output`.
    """

    def __init__(self, pid: int, *options: str, stamped: bool = False) -> None:
        self._pid = pid
        self._cpu_us = 0
        self._core: int | None = None
        self.is_silent = False
        line_buffered = shutil.which("stdbuf")
        if line_buffered is None:
            raise SamplerError("austin needs the program stdbuf (coreutils) to print in time; install it or use py-spy")
        self.socket: socket.socket | None = None
        printing: socket.socket | None = None
        if stamped:
            self.socket, printing = stamped_pair()
        self._process = subprocess.Popen(
            with_priority([line_buffered, "-oL", program("austin"), "-P", *options, "-p", str(pid)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if printing is None else printing.fileno(),
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the agent, which stops it in order
        )
        if printing is not None:
            printing.close()

    @property
    def output(self) -> int:
        """The file that its lines are read from."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def wait_for_lines(self) -> None:
        """Until it has printed something since, or has ended."""
        assert self.socket is not None
        wait_for_input(self.socket.fileno())

    def printed(self, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """What it has printed, a print at a time, and when, see `stamps`. Does not wait."""
        assert self.socket is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                data, at_us = received(self.socket, most_bytes, socket.MSG_DONTWAIT)
                if not data:
                    self.is_silent = True
                    return
                yield data, at_us

    def words(self) -> str:
        """What it says besides its lines. Blocks until it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read(1 << 16).decode(errors="replace")

    def follow(self, thread_id: int) -> None:
        """Move it to the core on which a thread of the service is."""
        core = core_of(self._pid, thread_id)
        if core is not None and core != self._core:
            self._core = core
            with contextlib.suppress(OSError, AttributeError):  # another set of cores than the service, or no Linux
                os.sched_setaffinity(self._process.pid, {core})

    def interrupt(self) -> None:
        """Ask it to end, and do not wait."""
        self.cpu_us()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def close(self, reader: threading.Thread) -> None:
        """End it, let the thread that reads it come to its end, and free the pipes."""
        self.interrupt()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        reader.join(_END_S)
        for pipe in (self._process.stdout, self._process.stderr, self.socket):
            if pipe is not None:
                pipe.close()

    def cpu_us(self) -> int:
        """CPU time that it has taken, in microseconds; of one that has ended, as far as it was asked."""
        if self._process.returncode is None:
            self._cpu_us = max(self._cpu_us, cpu_us_of(self._process.pid))
        return self._cpu_us
