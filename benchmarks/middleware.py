"""What the middleware costs a service: CPU per request with it over without it, in pairs.

    python -m benchmarks.middleware [--rounds 80] [--requests 200] [--work-us 0 500 2000]

Four processes of the same small service run side by side: twice without the middleware, wrapped in it with nobody
listening, and wrapped in it and listened to. One is asked at a time, one request after the other on one connection, in
random order within each round; its CPU is the kernel's, of all its threads, from one round's end to the next: what it
does while it is not asked (tell, look around) is in it. So each round gives one ratio for each, against the first
without, and neighbours, clocks and caches are much the same for both. The second without is the noise of the method:
its ratio is 1. Told is the median over the rounds with its 95% interval by order statistics, which one round in which a
neighbour took the core does not move. `receiver` is what listening cost, CPU per request.

First the services do next to nothing, so these are the largest ratios there are; then they compute for 0.5 and for 2 ms
in each request, by their thread's clock. Of dearer requests fewer are asked in a round: it is to take the CPU of the
cheap ones, about. FastAPI is measured with an endpoint on its loop and with a `def` one, which it hands to a thread.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from producers.natural import MiddlewareSocket

ARMS = ("without", "without, again", "nobody listens", "listened to")
HEADERS = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "benchmark",
    "X-Request-Id": "0af76519",
}
_CHEAP_US = 400
"""What a request takes that does nothing, about."""
WORK = """
    import time

    def work(us):
        until = time.thread_time_ns() + us * 1000
        while time.thread_time_ns() < until:
            pass
"""
_FASTAPI = """
    import os, sys
    import uvicorn
    from fastapi import FastAPI
    from loadflame_middleware import LoadflameASGI
    from work import work

    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int):
        work(int(sys.argv[3]))
        return {"item": item}

    served = app if sys.argv[1] == "-" else LoadflameASGI(app, sys.argv[1])
    uvicorn.run(served, uds=sys.argv[2], log_level="warning", access_log=False, timeout_keep_alive=600)
"""
SERVICES = {
    "FastAPI on uvicorn": _FASTAPI,
    "FastAPI on uvicorn, def": _FASTAPI.replace("async def item", "def item"),
    "Flask on gunicorn (threads)": """
        import sys
        from flask import Flask
        from gunicorn.app.base import BaseApplication
        from loadflame_middleware import LoadflameWSGI
        from work import work

        app = Flask(__name__)

        @app.get("/items/<int:item>")
        def item(item):
            work(int(sys.argv[3]))
            return {"item": item}

        if sys.argv[1] != "-":
            app.wsgi_app = LoadflameWSGI(app.wsgi_app, sys.argv[1])

        class Server(BaseApplication):
            def load_config(self):
                for name, value in {"bind": f"unix:{sys.argv[2]}", "threads": 4, "keepalive": 600}.items():
                    self.cfg.set(name, value)

            def load(self):
                return app

        Server().run()
    """,
}


class Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """To the service."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


@dataclass
class Service:
    """One that runs; `cpu_ns` is of all its threads and children."""

    process: subprocess.Popen[bytes]
    at: Path
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = Connection(self.at)

    def ask(self, requests: int) -> None:
        """One request after the other."""
        for number in range(requests):
            self.connection.request("GET", f"/items/{number}", headers=HEADERS)
            answer = self.connection.getresponse()
            answer.read()
            assert answer.status == 200

    def cpu_ns(self) -> int:
        """What all of it has used."""
        watched = psutil.Process(self.process.pid)
        pids = [watched.pid, *(child.pid for child in watched.children())]
        tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def listens(at: Path) -> bool:
    """Whether somebody does: the file is there a moment before."""
    with suppress(OSError), closing(Connection(at)) as connection:
        connection.connect()
        return True
    return False


@contextmanager
def serving(source: str, folder: Path, name: str, told: str, work_us: int) -> Iterator[Service]:
    script, at = folder / "service.py", folder / f"{name}.http"
    script.write_text(textwrap.dedent(source))
    command = [sys.executable, str(script), told, str(at), str(work_us)]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            until = time.monotonic() + 30
            while not listens(at):
                assert process.poll() is None, "the service ended"
                assert time.monotonic() < until, "the service does not listen"
                time.sleep(0.05)
            service = Service(process, at)
            with closing(service.connection):
                yield service
        finally:
            process.send_signal(signal.SIGTERM)


@dataclass
class Listener:
    """Reads what is told, in a thread of its own, and counts its CPU."""

    socket: MiddlewareSocket
    cpu_ns: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is over."""
        while not self.over.wait(0.05):
            self.socket.look(time.time_ns() // 1000)
        self.cpu_ns = time.thread_time_ns()


def measure(source: str, rounds: int, requests: int, work_us: int) -> dict[str, object]:
    """CPU per request of each arm in each round, in microseconds."""
    cost_us: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        middleware = files("producers.context").joinpath("loadflame_middleware.py").read_text()
        (folder / "loadflame_middleware.py").write_text(middleware)
        (folder / "work.py").write_text(textwrap.dedent(WORK))
        folder.chmod(0o700)
        listener = Listener(MiddlewareSocket(folder / "told"))
        told = {"nobody listens": str(folder / "nobody"), "listened to": str(folder / "told")}
        services = {
            arm: stack.enter_context(serving(source, folder, f"arm{at}", told.get(arm, "-"), work_us))
            for at, arm in enumerate(ARMS)
        }
        thread = threading.Thread(target=listener.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(listener.over.set)
        for service in services.values():
            service.ask(200)
        time.sleep(1.5)  # the middleware looks once a second whether somebody listens
        before = {arm: service.cpu_ns() for arm, service in services.items()}
        for _ in range(rounds):
            for arm in random.sample(ARMS, len(ARMS)):
                services[arm].ask(requests)
            for arm, service in services.items():
                after = service.cpu_ns()
                cost_us[arm].append((after - before[arm]) / requests / 1000)
                before[arm] = after
        time.sleep(0.5)
        listener.over.set()
        thread.join()
        tally = listener.socket.tally
        asked = rounds * requests
        assert tally.told + tally.lost >= asked, f"{tally.told} told of {asked}"
    return {
        "cost_us": cost_us,
        "told": tally.told,
        "lost": tally.lost,
        "receiver_us": listener.cpu_ns / 1000 / tally.told,
    }


def ratio(mine: list[float], base: list[float]) -> tuple[float, float, float]:
    """Median of the ratios in pairs, and its 95% interval (of the binomial distribution, by its normal limit)."""
    ratios = np.sort(np.array(mine) / np.array(base))
    half = 0.98 * np.sqrt(len(ratios))
    low, high = max(0, int(len(ratios) / 2 - half)), min(len(ratios) - 1, int(np.ceil(len(ratios) / 2 + half)))
    return float(np.median(ratios)), float(ratios[low]), float(ratios[high])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--work-us", type=int, nargs="+", default=[0, 500, 2000])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {
        f"{name}, {work_us / 1000:g} ms of work": measure(
            textwrap.dedent(source), asked.rounds, max(20, asked.requests * _CHEAP_US // (_CHEAP_US + work_us)), work_us
        )
        for name, source in SERVICES.items()
        for work_us in asked.work_us
    }
    if asked.json:
        print(json.dumps(found))
        return
    table = Table(title=f"CPU per request, {asked.rounds} rounds, {os.cpu_count()} cores")
    for column in ("service", "", "us", "over without", "95%"):
        table.add_column(column)
    for name, result in found.items():
        cost_us = result["cost_us"]
        for arm in ARMS:
            middle, low, high = ratio(cost_us[arm], cost_us[ARMS[0]])
            over = ("", "") if arm == ARMS[0] else (f"{middle:.3f}", f"{low:.3f} to {high:.3f}")
            table.add_row(name if arm == ARMS[0] else "", arm, f"{np.median(cost_us[arm]):.1f}", *over)
        table.add_row("", f"receiver; {result['told']:,} told, {result['lost']:,} lost", f"{result['receiver_us']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
