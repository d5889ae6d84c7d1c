"""How much one question, and all of them together, may take; and which settings a question may bring along."""

from collections.abc import Mapping
from dataclasses import dataclass

from sinks.embedded import LOWEST_PRIORITY, NOT_KEPT
from views.gateway.refusals import refusal

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one gateway. A question may ask for less of what has a name in ClickHouse, never for more.

    `running` questions are worked on at a time, each by one thread; whoever comes meanwhile waits for `wait_s` at most.
    `clients` counts those whose answers are still on their way as well.
    """

    running: int = 2
    clients: int = 64
    wait_s: float = 10.0
    execution_s: float = 30.0
    result_rows: int = 2_000_000
    result_bytes: int = 128 * MIB
    memory_bytes: int = 1024 * MIB
    """Of one question; the answer as it is written counts as well."""
    read_rows: int = 2_000_000_000
    read_bytes: int = 64 << 30
    question_bytes: int = MIB
    held_bytes: int = MIB
    """An answer up to this size waits for its reader in memory, a larger one on disk."""
    spool_bytes: int = 1024 * MIB
    """All answers together, on disk."""
    write_s: float = 15.0
    """A reader that takes nothing for so long is left."""
    deliver_s: float = 120.0
    """And so is one who takes longer over an answer."""


# Bounded: the smaller of what is asked for and what is allowed; 0 means no bound to ClickHouse.
_BOUNDED = {
    "max_execution_time": "execution_s",
    "max_result_rows": "result_rows",
    "max_result_bytes": "result_bytes",
    "max_memory_usage": "memory_bytes",
    "max_rows_to_read": "read_rows",
    "max_bytes_to_read": "read_bytes",
}
# Taken as it is: the answer's form, and what changes no more than which rows are seen.
_TAKEN = frozenset(
    (
        "date_time_output_format", "enable_named_columns_in_function_tuple", "extremes", "final", "group_by_use_nulls",
        "join_use_nulls", "limit", "max_block_size", "offset", "prefer_column_name_to_alias", "result_overflow_mode",
        "session_timezone", "union_default_mode",
    )
)  # fmt: skip
_TAKEN_PREFIX = "output_format_"
# Of the transport, or without a meaning where only reading is possible and everything has an end.
_PASSED_OVER = frozenset(
    (
        "add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close", "decompress",
        "enable_http_compression", "http_headers_progress_interval_ms", "http_zlib_compression_level",
        "log_comment", "log_queries", "max_threads", "network_compression_method", "network_zstd_compression_level",
        "priority", "quota_key", "readonly", "role", "send_progress_in_http_headers", "session_check", "session_id",
        "session_timeout", "stacktrace", "timeout_overflow_mode", "wait_end_of_query", "http_wait_end_of_query",
    )
)  # fmt: skip


def engine_settings(limits: Limits, asked: Mapping[str, str]) -> dict[str, str | float]:
    """The settings under which the engine answers. Raises Refusal for one that a reader may not set.

    One thread a question and the lowest priority (where the process may give it: CAP_SYS_NICE), so that what is
    written beside it does not wait: without them an insert of 10 ms takes 110 ms beside a heavy question on two cores.
    """
    bounds: dict[str, float] = {name: getattr(limits, attribute) for name, attribute in _BOUNDED.items()}
    settings: dict[str, str | float] = {
        **bounds,
        **NOT_KEPT,
        "max_threads": 1,
        "os_thread_priority": LOWEST_PRIORITY,
        "result_overflow_mode": "throw",
        "read_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
    }
    for name, value in asked.items():
        if name in bounds:
            settings[name] = _smaller(name, value, bounds[name])
        elif name in _TAKEN or name.startswith(_TAKEN_PREFIX):
            settings[name] = value
        elif name not in _PASSED_OVER:
            raise refusal(
                164,
                f"Cannot modify '{name[:100]}' setting in readonly mode: the gateway takes those of the answer's form",
            )
    return settings


def _smaller(name: str, asked: str, allowed: float) -> int | float:
    try:
        value = float(asked)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise refusal(36, f"'{asked[:100]}' is no value of the setting {name}")
    if value == 0:
        return allowed
    return min(value if name == "max_execution_time" else max(1, int(value)), allowed)
