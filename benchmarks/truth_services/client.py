"""A small open-loop client, until it is ended: `python -m benchmarks.truth_services.client URL TPS`."""

import asyncio
import itertools
import sys
import time

import aiohttp
import uvloop


async def load(url: str, rate_tps: float) -> None:
    """Open-loop arrivals with even gaps. A new connection each, so that every process gets its share."""

    async def one(session: aiohttp.ClientSession) -> None:
        async with session.get(url) as answer:
            await answer.read()

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        started, tasks = time.perf_counter(), set()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, started + number / rate_tps - time.perf_counter()))
            task = asyncio.create_task(one(session))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    uvloop.run(load(sys.argv[1], float(sys.argv[2])))
