"""Quix Streams with a plain tumbling count of one second, in the virtual environment that `make bench-tools` makes.

    .cache/bench-tools/quix/bin/python benchmarks/quix_count.py '{"broker": ..., "topic": ..., "of": "events", ...}'

`of` is `events` (a JSON message each, counted) or `batches` (Arrow, whose rows are counted). Everything else is as
Quix Streams has it by default: state in RocksDB with a changelog topic, at least once. Prints figures as JSON.
"""

import json
import sys
import tempfile
import time

import pyarrow as pa
from quixstreams import Application

WINDOW_MS = 1000


def count(spec: dict) -> dict:
    """Count everything in the topic and give the Unix times of the first record and of the last commit."""
    messages, first_record_at_s = 0, 0.0
    counted: list[int] = []

    def seen(*_: object) -> None:
        nonlocal messages, first_record_at_s
        first_record_at_s = first_record_at_s or time.time()
        messages += 1
        if messages == spec["messages"]:
            app.stop()

    with tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=spec["broker"],
            consumer_group=spec["group"],
            auto_offset_reset="earliest",
            state_dir=state,
            on_message_processed=seen,
            loglevel="WARNING",
        )
        if spec["of"] == "events":
            windows = app.dataframe(app.topic(spec["topic"])).tumbling_window(WINDOW_MS).count()
        else:
            batches = app.dataframe(app.topic(spec["topic"], value_deserializer="bytes"))
            rows = batches.apply(lambda value: pa.ipc.open_stream(value).read_next_batch().num_rows)
            windows = rows.tumbling_window(WINDOW_MS).sum()
        windows.final().update(lambda window: counted.append(window["value"]))
        app.run()  # its own `count` is of results, not of messages
        done_at_s = time.time()
    return {"first_record_at_s": first_record_at_s, "last_commit_at_s": done_at_s, "counted": sum(counted)}


if __name__ == "__main__":
    print(json.dumps(count(json.loads(sys.argv[1]))))
