"""Services whose functions time themselves by endpoint, by their thread's clock: what a profile should find out.

`search` pays for `rank`, `checkout` for `sign`, and both for `render`, which costs a `checkout` twice as much. In the
one that hands work on, `search` calls `rank` in its own task and `render` in another; `checkout` is a `def` endpoint.
"""

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import psutil

from tests.support.polling import wait_until

WORK = """
import json, os, threading, time

spent = {}
asked = {}
lock = threading.Lock()

FUNCTION = '''
def {name}(endpoint, us):
    began = time.thread_time_ns()
    until = began + us * 1000
    while time.thread_time_ns() < until:
        for _ in range(50):
            pass
    took = time.thread_time_ns() - began
    with lock:
        spent["{name} " + endpoint] = spent.get("{name} " + endpoint, 0) + took
        asked[endpoint] = asked.get(endpoint, 0) + ("{name}" == "render")
'''
for name in ("rank", "sign", "render"):
    exec(compile(FUNCTION.format(name=name), __file__, "exec"))

def search():
    rank("search", 3000)

def checkout():
    sign("checkout", 6000)

def truth():
    with lock:
        return {"pid": os.getpid(), "spent_ns": dict(spent), "asked": dict(asked)}
"""
THREADS = """
import sys
from flask import Flask
from gunicorn.app.base import BaseApplication
from loadflame_middleware import LoadflameWSGI
import work

app = Flask(__name__)

@app.get("/search/<int:item>")
def search(item):
    work.search()
    work.render("search", 1000)
    return {"item": item}

@app.get("/checkout")
def checkout():
    work.checkout()
    work.render("checkout", 2000)
    return {"item": 1}

@app.get("/truth")
def truth():
    return work.truth()

app.wsgi_app = LoadflameWSGI(app.wsgi_app, sys.argv[1])

class Server(BaseApplication):
    def load_config(self):
        for name, value in {"bind": f"127.0.0.1:{sys.argv[2]}", "threads": 4, "keepalive": 60}.items():
            self.cfg.set(name, value)

    def load(self):
        return app

Server().run()
"""
LOOP = """
import asyncio, sys
import uvicorn
from fastapi import FastAPI
from loadflame_middleware import LoadflameASGI
import work

app = FastAPI()

@app.get("/search/{item}")
async def search(item: int):
    await asyncio.sleep(0.02)
    work.search()
    await asyncio.sleep(0.01)
    work.render("search", 1000)
    return {"item": item}

@app.get("/checkout")
async def checkout():
    await asyncio.sleep(0.02)
    work.checkout()
    await asyncio.sleep(0.01)
    work.render("checkout", 2000)
    return {"item": 1}

@app.get("/truth")
async def truth():
    return work.truth()

uvicorn.run(LoadflameASGI(app, sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
HANDED_ON = """
import asyncio, sys
import uvicorn
from fastapi import FastAPI
from loadflame_middleware import LoadflameASGI
import work

app = FastAPI()

async def rendered():
    await asyncio.sleep(0.01)
    work.render("search", 1000)

@app.get("/search/{item}")
async def search(item: int):
    await asyncio.sleep(0.02)
    work.search()
    await asyncio.create_task(rendered())
    return {"item": item}

@app.get("/checkout")
def checkout():
    work.checkout()
    work.render("checkout", 2000)
    return {"item": 1}

@app.get("/truth")
def truth():
    return work.truth()

uvicorn.run(LoadflameASGI(app, sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
SERVICES = {"threads": THREADS, "loop": LOOP, "handed on": HANDED_ON}
NAMES = {"threads": "GET /search/<int:item>", "loop": "GET /search/{item}", "handed on": "GET /search/{item}"}
"""Of `search`, as the framework has its route."""


@contextmanager
def paying(kind: str, folder: Path, told: Path, port: int) -> Iterator[tuple[str, int]]:
    """One of SERVICES, whose middleware tells at a socket; its URL and pid."""
    (folder / "work.py").write_text(WORK)
    (folder / "service.py").write_text(SERVICES[kind])
    middleware = files("producers.context").joinpath("loadflame_middleware.py").read_text()
    (folder / "loadflame_middleware.py").write_text(middleware)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(folder / "service.py"), str(told), str(port)]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            wait_until(lambda: answers(url), 60, "the service answers")
            yield url, process.pid
        finally:
            for one in psutil.Process(process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                    one.terminate()
            process.terminate()


def answers(url: str) -> bool:
    """Whether somebody does."""
    try:
        truth(url)
    except OSError:
        return False
    return True


def truth(url: str) -> dict[str, dict[str, float]]:
    """What the functions themselves say: `spent_ns` by function and endpoint, `asked` by endpoint, since it began."""
    with urllib.request.urlopen(f"{url}/truth", timeout=60) as answer:
        found: dict[str, dict[str, float]] = json.loads(answer.read())
        return found


def ask(url: str, seconds: float, *, tps: float, clients: int = 6, seed: int = 1) -> None:
    """A fixed mix, one `checkout` in four, at random times, by several clients at once."""

    def client(number: int) -> None:
        draw = random.Random(seed * 1000 + number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            path = "/checkout" if draw.random() < 0.25 else f"/search/{draw.randrange(100)}"
            with urllib.request.urlopen(url + path, timeout=60) as answer:
                answer.read()
            time.sleep(draw.expovariate(tps / clients))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def difference(after: dict[str, dict[str, float]], before: dict[str, dict[str, float]]) -> dict[str, float]:
    """Microseconds that each request of an endpoint made a function spend in between, by `function endpoint`."""
    found = {}
    for key, ns in after["spent_ns"].items():
        endpoint = key.split()[1]
        asked = after["asked"][endpoint] - before["asked"].get(endpoint, 0)
        found[key] = (ns - before["spent_ns"].get(key, 0)) / 1000 / asked
    return found
