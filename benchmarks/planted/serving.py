"""A drawn service in a process of its own, the downstream that it may ask, and the plan by which it is loaded."""

import contextlib
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planted.defects import LOWEST_TPS, SOAK_S, SOAK_TPS, TOP_TPS
from benchmarks.planted.drawn import Drawn
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.source import source_of
from producers.load.plan import Plan
from schemas.errors import UserError

USERS = 8
_POLL_S = 0.05
LEVELS_TPS = (LOWEST_TPS, 50, 100, TOP_TPS)


@dataclass(frozen=True, slots=True)
class Design:
    """How the rates are visited (four visits of four rates take 64 s), and how long a twin's limit is measured."""

    levels_tps: tuple[int, ...] = LEVELS_TPS
    visits: int = 4
    each_s: float = 4.0
    settle_s: float = 1.0
    soak_s: float = SOAK_S
    limit_s: float = 8.0

    @property
    def words(self) -> str:
        """For people."""
        rates = ", ".join(map(str, self.levels_tps))
        return f"{rates} requests/s {self.visits} times for {self.each_s:g} s each, in random order"


class _Downstream(socketserver.StreamRequestHandler):
    """Answers after as many milliseconds as it is asked for."""

    def handle(self) -> None:
        """One connection, one line."""
        time.sleep(int(self.rfile.readline()) / 1e3)
        self.wfile.write(b"done\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


@contextlib.contextmanager
def downstream() -> Iterator[int]:
    """Something on a loopback port that services wait for."""
    with _Server(("127.0.0.1", 0), _Downstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def serving(drawn: Drawn, folder: Path, *, clean: bool) -> Iterator[tuple[str, int]]:
    """Write the service or its twin into a folder and run it; gives its URL and process id, and ends it at last."""
    script = folder / f"{drawn.name}.py"
    script.write_text(source_of(drawn, clean=clean))
    with contextlib.ExitStack() as stack:
        command = [sys.executable, str(script)]
        if drawn.kind == "downstream":
            command += ["--downstream", str(stack.enter_context(downstream()))]
        # A session of its own: Ctrl-C is for the load, which ends before the service does.
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise UserError(f"the service {drawn.kind} {drawn.seed} did not start")
        yield url, process.pid


def stage_of(drawn: Drawn, design: Design) -> dict[str, object]:
    """The rates that the kind of defect needs."""
    load = KINDS[drawn.kind].load
    if load == "soak":
        return {"name": "soak", "soak": SOAK_TPS, "for": f"{design.soak_s:g}s"}
    return {
        "name": "map",
        "levels": list(design.levels_tps),
        "visits": design.visits,
        "each": f"{design.each_s:g}s",
        "settle": f"{design.settle_s:g}s",
        "seed": drawn.seed,
        "modulate": load == "modulated",
    }


def limit_of(design: Design) -> dict[str, object]:
    """As fast as the service answers: the closed model, users who never think."""
    return {"name": "all", "users": USERS, "for": f"{design.limit_s:g}s"}


def plan_of(drawn: Drawn, url: str, pid: int, stage: Mapping[str, object]) -> Plan:
    """What the service is asked: its endpoints by their weights."""
    return Plan.model_validate(
        {
            "target": url,
            "service": drawn.name,
            "profile": {"pid": pid},
            "target_count_path": "/counts",
            "stages": [stage],
            "requests": [
                {"name": one.path, "weight": one.weight, "path": f"/{one.path}?key=tea"} for one in drawn.endpoints
            ],
        }
    )
