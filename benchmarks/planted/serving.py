"""A drawn service in a process of its own, the downstream that it may ask, and the plan by which it is loaded."""

import contextlib
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.drawn import Drawn
from benchmarks.planted.source import source_of
from producers.load.plan import Plan
from schemas.errors import UserError

USERS = 8
_POLL_S = 0.05
PlanAt = Callable[[str, int], Plan]
"""The plan for a service at a URL, with a process id."""


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
def serving(drawn: Drawn, folder: Path, *, without: Collection[str], design: Design) -> Iterator[tuple[str, int]]:
    """Write a service into a folder and run it; gives its URL and process id, and ends it at last.

    `without`: planted functions that lack their defect.
    """
    folder.mkdir(exist_ok=True)
    script = folder / f"{drawn.name}.py"
    script.write_text(source_of(drawn, without=without, design=design))
    with contextlib.ExitStack() as stack:
        command = [sys.executable, str(script)]
        if any(plant.kind == "downstream" for plant in drawn.plants):
            command += ["--downstream", str(stack.enter_context(downstream()))]
        # A session of its own: Ctrl-C is for the load, which ends before the service does.
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise UserError(f"the service {drawn.bundle} {drawn.seed} did not start")
        yield url, process.pid


def limit_of(design: Design) -> dict[str, object]:
    """As fast as the service answers: the closed model, users who never think."""
    return {"name": "all", "users": USERS, "for": f"{design.limit_s:g}s"}


def plan_of(drawn: Drawn, stages: Sequence[Mapping[str, object]]) -> PlanAt:
    """What the service is asked: its endpoints by their weights."""

    def plan(url: str, pid: int) -> Plan:
        return Plan.model_validate(
            {
                "target": url,
                "service": drawn.name,
                "profile": {"pid": pid},
                "target_count_path": "/counts",
                "arrivals": "poisson" if BUNDLES[drawn.bundle].random else "even",
                "seed": drawn.seed,
                "stages": stages,
                "requests": [
                    {"name": one.path, "weight": one.weight, "path": f"/{one.path}?key=tea"} for one in drawn.endpoints
                ],
            }
        )

    return plan
