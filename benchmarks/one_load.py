"""One load, as the benchmark of generators runs it: every outcome recorded and streamed to Kafka.

    python -m benchmarks.one_load '{"url": URL, "engine": "wire", "broker": "HOST:PORT", "seconds": 6, "tps": 1000}'

With `users` instead of `tps` it is a closed loop without pauses. `rich` sends requests that all differ and checks
every answer. Prints figures as JSON; rate and lag are those of the last two thirds of the time, and `rate_error` is
the largest difference in any of these seconds between the arrivals and the plan, as a share.
"""

import asyncio
import json
import sys
import time
from typing import Any

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
PLAIN = {"name": "only", "path": "/"}
RICH = {
    "name": "only",
    "method": "POST",
    "path": "/items/{{counter}}?session={{uuid}}",
    "headers": {"X-Shop": "{{choice(north, south, east)}}"},
    "json": {"item": "{{int(1, 1000)}}", "colour": "{{choice(red, green, blue)}}"},
    "checks": [
        {"status": 200},
        {"header": {"name": "Content-Type", "has": "json"}},
        {"json": {"path": "$.total", "at_least": 1}},
    ],
}


class Watched(KafkaPublisher):
    """Keeps what the benchmark wants to know of each window that it sends."""

    windows: list[tuple[int, int, np.ndarray]]

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
        assert isinstance(facts, RequestFacts)
        self.windows.append((window, facts.scheduled, rows.column("dispatch_lag_us").to_numpy()))
        super().publish(topic, window, rows, facts, final=final, goodbye=goodbye)


async def measure(spec: dict[str, Any]) -> dict[str, float]:
    """Run it and give the figures."""
    topics, seconds = Topics(f"bench-{time.time_ns()}", 4), spec["seconds"]
    await ensure_topics(spec["broker"], topics)
    rate = {"users": spec["users"]} if "users" in spec else {"hold": spec["tps"]}
    plan = Plan.model_validate(
        {
            "target": spec["url"].rstrip("/"),
            "stages": [{"name": "only", "for": f"{seconds}s", **rate}],
            "requests": [RICH if spec.get("rich") else PLAIN],
            "engine": spec["engine"],
            "trace_context": False,
            "max_in_flight": 4000,
        }
    )
    publisher = Watched(spec["broker"], topics, "bench", source="loadflame/benchmarks")
    publisher.windows = []
    await publisher.start()
    cpu_s = time.process_time()
    totals = await run_load(
        plan, publisher=publisher, run_id="bench", start_at_us=0, window_us=WINDOW_US, stop=asyncio.Event()
    )
    cpu_s = time.process_time() - cpu_s
    published = await publisher.close(20)
    first = publisher.windows[0][0]
    settled = [one for one in publisher.windows if seconds / 3 <= one[0] - first < seconds]
    lags = np.concatenate([lags for _, _, lags in settled])
    p50_us, p99_us = np.percentile(lags, [50, 99]) if len(lags) else (np.inf, np.inf)
    planned = spec.get("tps", 0)
    return {
        "tps": len(lags) / len(settled),
        "lag_p50_ms": float(p50_us) / 1e3,
        "lag_p99_ms": float(p99_us) / 1e3,
        "rate_error": max(abs(scheduled / planned - 1) for _, scheduled, _ in settled) if planned else 0.0,
        "failed": totals.failed,
        "dropped": totals.dropped,
        "cpu_s": cpu_s,
        "lost": published.rows_lost,
    }


def main() -> None:
    """Measure and print."""
    print(json.dumps(uvloop.run(measure(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
