"""A drawn service as a file of Python that stands by itself and knows nothing of who asks it."""

from collections.abc import Collection
from textwrap import dedent, indent

from benchmarks.planted.bundles import Design
from benchmarks.planted.defects import body
from benchmarks.planted.drawn import Drawn, Endpoint, Function
from benchmarks.planted.work import WORKS

_HEAD = '''
"""{name}: {paths}.

    python {name}.py --port 0

`/counts` says how many requests have been answered.
"""

import argparse
import gc
import hashlib
import itertools
import json
import random
import socket
import threading
import time
from collections import deque

CATALOGUE = [number * 7919 % 1009 for number in range(500)]
guard = threading.Lock()
counting = threading.Lock()
recent = deque()
sessions = deque()
turns = itertools.count()
cached = []
kept = []
answered = 0
downstream = ("127.0.0.1", 0)


def count_one():
    global answered
    with counting:
        answered += 1


def ask_downstream(wait_ms):
    with socket.create_connection(downstream) as asked:
        asked.sendall(b"%d\\n" % wait_ms)
        return asked.recv(64)
'''
_AIOHTTP = "\nfrom aiohttp import web"
_ASYNC = """
async def serve(listener):
    async def answer(request):
        handler = HANDLERS.get(request.path)
        if handler is None:
            return web.json_response({"requests": answered})
        count_one()
        return web.Response(text=handler(request.query.get("key", "none")), content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.Event().wait()


def run(listener):
    asyncio.run(serve(listener))
"""
_THREADS = """
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        path, _, query = self.path.partition("?")
        handler = HANDLERS.get(path)
        if handler is None:
            text = json.dumps({"requests": answered})
        else:
            count_one()
            text = handler(query.partition("=")[2] or "none")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def run(listener):
    server = ThreadingHTTPServer(listener.getsockname(), Answer, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = listener
    server.serve_forever()
"""
_TAIL = """
def main():
    global downstream
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--downstream", type=int, default=0, help="a port of loopback")
    options = parser.parse_args()
    downstream = ("127.0.0.1", options.downstream)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=256)
    gc.freeze()  # what was imported is no garbage
    print("http://{}:{}".format(*listener.getsockname()), flush=True)
    run(listener)


if __name__ == "__main__":
    main()
"""


def source_of(drawn: Drawn, *, without: Collection[str], design: Design | None = None) -> str:
    """The file's text, where the planted functions `without` lack their defect and nothing else."""
    requests = (design or Design()).requests(drawn.stages)
    head = _HEAD.format(name=drawn.name, paths=", ".join(f"GET /{one.path}" for one in drawn.endpoints)).strip()
    imports = "from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer" if drawn.threads else _AIOHTTP
    head = head.replace("from collections import deque", f"from collections import deque\n{imports}")
    if not drawn.threads:
        head = head.replace("import argparse\n", "import argparse\nimport asyncio\n")
    handlers = ", ".join(f'"/{one.path}": {one.handler}' for one in drawn.endpoints)
    parts = [
        head,
        *(_function(drawn, one, clean=one.name in without, requests=requests) for one in reversed(drawn.functions)),
        *(_endpoint(one) for one in drawn.endpoints),
        f"HANDLERS = {{{handlers}}}",
        (_THREADS if drawn.threads else _ASYNC).strip(),
        _TAIL.strip(),
    ]
    return "\n\n\n".join(parts) + "\n"


def _function(drawn: Drawn, one: Function, *, clean: bool, requests: int) -> str:
    if one.work is None:
        dear = drawn.dear.path
        plant = next(plant for plant in drawn.plants if plant.function == one.name)
        lines = body(plant.kind, plant.effect, one.us, endpoint=dear, requests=requests, clean=clean)
    else:
        lines = WORKS[one.work].body(one.us)
    told = " + ".join(["result", *(f"{name}(key)" for name in one.calls)])
    return f"def {one.name}(key):\n{indent(lines, '    ')}\n    return {told}"


def _endpoint(endpoint: Endpoint) -> str:
    parts = ", ".join(f'"{name}": {name}(f"{endpoint.path}-{{key}}")' for name in endpoint.calls)
    return dedent(f"def {endpoint.handler}(key):\n    return json.dumps({{{parts}}})")
