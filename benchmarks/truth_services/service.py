"""The same work behind three kinds of server: `async` (one thread), `threads` (a pool, mostly idle), `processes`.

    python -m benchmarks.truth_services.service KIND PORT

`/` works; `/truth` gives, of the process that answers, by second of the Unix clock what it had used when that second
began: its functions' and its whole CPU time in ns, and the requests it had been asked. The service notes that itself,
at the first request of each second: a question for it would wait behind the others when there is a queue.
"""

import asyncio
import itertools
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from benchmarks.truth_services.work import handle, truth_ns

THREADS, PROCESSES = 16, 2


def application(kind: str) -> web.Application:
    numbers = itertools.count()
    by_second: dict[int, dict[str, object]] = {}
    pool = ThreadPoolExecutor(THREADS) if kind == "threads" else None

    async def work(_: web.Request) -> web.Response:
        number, second = next(numbers), int(time.time())
        if second not in by_second:
            state = {"functions": dict(truth_ns), "process": time.process_time_ns(), "requests": number}
            by_second[second] = state
        if pool is None:
            handle(number)
        else:
            await asyncio.get_running_loop().run_in_executor(pool, handle, number)
        return web.Response(text="ok")

    async def truth(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"pid": os.getpid(), "by_second": by_second}))

    app = web.Application()
    app.router.add_get("/", work)
    app.router.add_get("/truth", truth)
    return app


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
        if kind == "processes":
            for _ in range(PROCESSES - 1):
                if os.fork() == 0:
                    break
        web.run_app(application(kind), sock=listener, access_log=None, print=None)


if __name__ == "__main__":
    main()
