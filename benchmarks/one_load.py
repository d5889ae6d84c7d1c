"""One load at a constant rate, as the benchmark of generators runs it: every outcome recorded and streamed to Kafka.

    python -m benchmarks.one_load URL TPS SECONDS ENGINE BROKER

Prints {"tps", "lag_p50_ms", "lag_p99_ms", "failed", "dropped", "cpu_s", "lost"}; the rate is what was answered in the
last two thirds of the time.
"""

import asyncio
import json
import sys
import time

import numpy as np
import pyarrow as pa
import uvloop

from loadflame.topics import ensure_topics
from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.publisher import KafkaPublisher
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import Bulk, Topics

WINDOW_US = 1_000_000


class Watched(KafkaPublisher):
    """Keeps what the benchmark wants to know of each window that it sends."""

    windows: list[tuple[int, np.ndarray]]

    def publish(  # noqa: D102  see Publisher
        self,
        topic: Bulk,
        window: int,
        rows: pa.RecordBatch,
        facts: RequestFacts | StackFacts,
        *,
        final: bool,
        goodbye: bool = False,
    ) -> None:
        self.windows.append((window, rows.column("dispatch_lag_us").to_numpy()))
        super().publish(topic, window, rows, facts, final=final, goodbye=goodbye)


async def measure(url: str, tps: float, seconds: float, engine: str, broker: str) -> dict[str, float]:
    """Run it and give the figures."""
    topics = Topics(f"bench-{time.time_ns()}", 4)
    await ensure_topics(broker, topics)
    plan = Plan.model_validate(
        {
            "target": url.rstrip("/"),
            "stages": [{"name": "hold", "hold": tps, "for": f"{seconds}s"}],
            "requests": [{"name": "only", "path": "/"}],
            "engine": engine,
            "trace_context": False,
            "max_in_flight": 4000,
        }
    )
    publisher = Watched(broker, topics, "bench", source="loadflame/benchmarks")
    publisher.windows = []
    await publisher.start()
    cpu_s = time.process_time()
    totals = await run_load(
        plan, publisher=publisher, run_id="bench", start_at_us=0, window_us=WINDOW_US, stop=asyncio.Event()
    )
    cpu_s = time.process_time() - cpu_s
    published = await publisher.close(20)
    first = publisher.windows[0][0]
    settled = [lags for window, lags in publisher.windows if seconds / 3 <= window - first < seconds]
    lags = np.concatenate(settled)
    return {
        "tps": len(lags) / len(settled),
        "lag_p50_ms": float(np.percentile(lags, 50)) / 1e3,
        "lag_p99_ms": float(np.percentile(lags, 99)) / 1e3,
        "failed": totals.failed,
        "dropped": totals.dropped,
        "cpu_s": cpu_s,
        "lost": published.rows_lost,
    }


def main() -> None:
    """Measure and print."""
    url, tps, seconds, engine, broker = sys.argv[1:]
    print(json.dumps(uvloop.run(measure(url, float(tps), float(seconds), engine, broker))))


if __name__ == "__main__":
    main()
