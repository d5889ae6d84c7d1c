"""Does memory stay flat under very large bodies? One upload and one download a second, as large as asked for.

    python -m benchmarks.large_bodies [--size 1GiB] [--requests 3]

The service is another process, so that the peak of this one's resident memory is the load's own.
"""

import argparse
import asyncio
import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop
from aiohttp import web

from benchmarks.serving import free_port, serving
from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.load.sizes import format_bytes, parse_bytes
from producers.publisher import MemoryPublisher
from schemas.events import LoadTotals

_PIECE = bytes(1 << 18)
AIM_MIB = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """`grown_bytes` is by how much the peak of resident memory rose; bytes are both ways, over all requests."""

    totals: LoadTotals
    sent_bytes: int
    received_bytes: int
    seconds: float
    grown_bytes: int
    peak_bytes: int


async def _upload(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(text=str(size))


async def _download(request: web.Request) -> web.StreamResponse:
    left = int(request.query["bytes"])
    response = web.StreamResponse(headers={"Content-Length": str(left)})
    await response.prepare(request)
    while left:
        await response.write(_PIECE[:left])
        left -= min(left, len(_PIECE))
    return response


def serve(port: int) -> None:
    """The service: takes anything, gives as much as wanted."""
    app = web.Application(client_max_size=1 << 50)
    app.router.add_put("/upload", _upload)
    app.router.add_get("/download", _download)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextlib.contextmanager
def service() -> Iterator[str]:
    """The service in a process of its own; gives its URL."""
    port = free_port()
    with serving([sys.executable, "-m", "benchmarks.large_bodies", "--serve", str(port)], port):
        yield f"http://127.0.0.1:{port}"


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def measure(url: str, size: int, requests: int, kind: str, engine: str) -> Figures:
    """So many requests of one kind (`upload` or `download`), one a second."""
    what = {"method": "PUT", "body_size": size} if kind == "upload" else {}
    path = "/upload" if kind == "upload" else f"/download?bytes={size}"
    plan = Plan.model_validate(
        {
            "target": url,
            "stages": [{"name": "hold", "hold": 1, "for": float(requests)}],
            "requests": [{"name": kind, "path": path} | what],
            "timeout": "5m",
            "engine": engine,
        }
    )
    publisher = MemoryPublisher()
    before_bytes, began = _peak_bytes(), time.perf_counter()
    totals = await run_load(
        plan, publisher=publisher, run_id="large", start_at_us=0, window_us=1_000_000, stop=asyncio.Event()
    )
    seconds = time.perf_counter() - began
    rows = [row for batch in publisher.batches for row in batch.rows.to_pylist()]
    sent, received = (sum(row[name] for row in rows) for name in ("bytes_sent", "bytes_received"))
    return Figures(totals, sent, received, seconds, _peak_bytes() - before_bytes, _peak_bytes())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_bytes, default=parse_bytes("1GiB"))
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with service() as url:
        for kind, engine in (("upload", "aiohttp"), ("download", "aiohttp"), ("download", "wire")):
            one = uvloop.run(measure(url, options.size, options.requests, kind, engine))
            rate = (one.sent_bytes + one.received_bytes) / one.seconds / 1e6
            what = f"{one.totals.completed} x {format_bytes(options.size)}, failed {one.totals.failed}"
            memory = f"peak memory {one.peak_bytes >> 20} MiB (+{one.grown_bytes >> 20})"
            print(f"{kind:8} {engine:7} {what}: {rate:,.0f} MB/s, {memory}")
    print(f"(aim: peak memory under {AIM_MIB} MiB)")


if __name__ == "__main__":
    main()
