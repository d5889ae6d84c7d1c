"""What the worker tells the world: joined windows as events, and dead letters as received."""

from processors.records import Letter
from schemas.batches import Headers
from schemas.events import HotFunction, WindowJoined
from schemas.joined import JoinedWindow

HOT_FUNCTIONS = 20


def window_event(window: JoinedWindow) -> WindowJoined:
    """The event of a joined window; its functions are the hottest by their own CPU."""
    seconds = window.window_us / 1e6
    latency = window.latency
    hot = sorted(window.functions, key=lambda function: -function.self_cpu_us)[:HOT_FUNCTIONS]
    return WindowJoined(
        run_id=window.run_id,
        window=window.window,
        starts_at_us=window.window * window.window_us,
        window_us=window.window_us,
        batches_covered=window.batches_covered,
        closed_by=window.closed_by,
        stages=sorted({endpoint.stage for endpoint in window.endpoints}),
        offered_tps=window.scheduled / seconds,
        tps=(window.completed + window.failed) / seconds,
        completed=window.completed,
        failed=window.failed,
        dropped=window.dropped,
        in_flight=window.in_flight,
        p50_ms=_ms(latency.quantile_us(0.5)),
        p95_ms=_ms(latency.quantile_us(0.95)),
        p99_ms=_ms(latency.quantile_us(0.99)),
        cpu_us=window.cpu_us if window.instances else None,
        profile_coverage=window.covered_us / window.window_us if window.instances else None,
        functions=[
            HotFunction(
                service=function.service,
                function=function.function,
                file=function.file,
                self_cpu_us=function.self_cpu_us,
                total_cpu_us=function.total_cpu_us,
                samples=function.total_samples,
            )
            for function in hot
        ],
    )


def letter_headers(letter: Letter) -> Headers:
    """Where a dead letter came from and why; its own headers are kept behind `original-`."""
    place = letter.record.place
    own = [(f"original-{name}"[:64], value[:256]) for name, value in letter.record.headers[:32]]
    return [
        ("id", f"{place.topic}/{place.partition}/{letter.record.offset}".encode()),
        ("topic", place.topic.encode()),
        ("partition", b"%d" % place.partition),
        ("offset", b"%d" % letter.record.offset),
        ("error", letter.error.encode()[:1024]),
        *own,
    ]


def _ms(us: float | None) -> float | None:
    return None if us is None else us / 1e3
