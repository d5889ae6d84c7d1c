"""A small open-loop client: `python -m benchmarks.truth_services.client URL TPS SECONDS` prints the answers' count."""

import asyncio
import sys
import time

import aiohttp
import uvloop


async def load(url: str, rate_tps: float, seconds: float) -> int:
    """Open-loop arrivals; gives how many were answered. A new connection each, so that every process gets its share."""
    answered = 0

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        async with session.get(url) as answer:
            await answer.read()
            answered += 1

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        started, tasks = time.perf_counter(), set()
        for number in range(round(rate_tps * seconds)):
            wait_s = started + number / rate_tps - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(one(session))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    return answered


if __name__ == "__main__":
    print(uvloop.run(load(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))))
