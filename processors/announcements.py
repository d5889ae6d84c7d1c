"""What the worker sends besides ticks: joined windows as events, and dead letters as received."""

from processors.records import Letter
from schemas.batches import Headers
from schemas.events import EndpointOutcome, HotFunction, WindowJoined
from schemas.joined import JoinedWindow
from schemas.sketch import Sketch

HOT_FUNCTIONS = 20
STAGES = 50
ENDPOINTS = 50
LETTER_BYTES = 960 << 10
"""Of a dead letter's value at most this much is sent: with its headers it must fit the topic's largest message."""
_TEXT = 1024
_NAME = 200
HEADERS, HEADER_BYTES = 32, 256
"""Of a dead letter's own headers so many are kept, and of each name and value so many bytes."""


def window_event(window: JoinedWindow) -> WindowJoined:
    """The event of a joined window; its functions are the hottest by their own CPU, its endpoints the busiest."""
    seconds = window.window_us / 1e6
    hot = sorted(window.functions, key=lambda function: -function.self_cpu_us)[:HOT_FUNCTIONS]
    return WindowJoined(
        run_id=window.run_id,
        window=window.window,
        starts_at_us=window.window * window.window_us,
        window_us=window.window_us,
        batches_covered=window.batches_covered,
        closed_by=window.closed_by,
        stages=sorted({endpoint.stage[:_TEXT] for endpoint in window.endpoints})[:STAGES],
        offered_tps=window.scheduled / seconds,
        tps=(window.completed + window.failed) / seconds,
        completed=window.completed,
        failed=window.failed,
        dropped=window.dropped,
        in_flight=window.in_flight,
        unanswered=window.unanswered,
        sent_bytes=sum(endpoint.bytes_sent for endpoint in window.endpoints),
        received_bytes=sum(endpoint.bytes_received for endpoint in window.endpoints),
        **_latencies(window.latency),
        cpu_us=window.cpu_us if window.instances else None,
        profile_coverage=window.covered_us / window.window_us if window.instances else None,
        functions=[
            HotFunction(
                service=function.service,
                function=function.function[:_TEXT],
                file=function.file[:_TEXT],
                self_cpu_us=function.self_cpu_us,
                total_cpu_us=function.total_cpu_us,
                samples=function.total_samples,
            )
            for function in hot
        ],
        endpoints=[
            EndpointOutcome(
                stage=endpoint.stage[:_NAME],
                endpoint=endpoint.endpoint[:_NAME],
                completed=endpoint.completed,
                failed=endpoint.failed,
                unanswered=endpoint.unanswered,
                sent_bytes=endpoint.bytes_sent,
                received_bytes=endpoint.bytes_received,
                **_latencies(endpoint.latency),
            )
            for endpoint in sorted(window.endpoints, key=lambda one: -(one.completed + one.failed))[:ENDPOINTS]
        ],
    )


def letter_value(letter: Letter) -> bytes:
    """The bytes as received, or their beginning when they are too many (the offset says where all of them are)."""
    return letter.record.value[:LETTER_BYTES]


def letter_headers(letter: Letter) -> Headers:
    """Where a dead letter came from and why; its own headers are kept behind `original-`."""
    record = letter.record
    own = [(f"original-{name}"[:HEADER_BYTES], value[:HEADER_BYTES]) for name, value in record.headers[:HEADERS]]
    return [
        ("id", f"{record.place.topic}/{record.place.partition}/{record.offset}".encode()),
        ("topic", record.place.topic.encode()),
        ("partition", b"%d" % record.place.partition),
        ("offset", b"%d" % record.offset),
        ("timestamp", b"%d" % record.timestamp_us),
        ("error", letter.error.encode(errors="replace")[:_TEXT]),
        ("size", b"%d" % len(record.value)),
        *own,
    ]


def _latencies(latency: Sketch) -> dict[str, float | None]:
    quantiles = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    found = dict(zip(quantiles, map(_ms, latency.quantiles_us(*quantiles.values())), strict=True))
    return found | {"mean_ms": _ms(latency.mean_us)}


def _ms(us: float | None) -> float | None:
    return None if us is None else us / 1e3
