"""Prints what loadflame found of each run, once the run is stored: python subscribe.py [HOST:PORT [PREFIX]]."""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer


async def main(broker: str = "127.0.0.1:9092", prefix: str = "loadflame") -> None:
    consumer = AIOKafkaConsumer(f"{prefix}.findings", bootstrap_servers=broker, auto_offset_reset="earliest")
    stand: dict[tuple[str, str], dict] = {}
    async with consumer:
        async for message in consumer:
            kind, data = dict(message.headers)["ce_type"].decode(), json.loads(message.value)
            if kind == "loadflame.finding.made.v1":  # again under the same name: what was told before is revised
                stand[data["run_id"], data["finding"]] = data
            elif kind == "loadflame.finding.withdrawn.v1":
                stand.pop((data["run_id"], data["finding"]), None)
            elif kind == "loadflame.findings.settled.v1":
                found = [stand[key]["summary"] for name in data["findings"] if (key := (data["run_id"], name)) in stand]
                print(f"run {data['run_id']}:", *found, sep="\n  ", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
