"""The embedded engine from below: questions in any format, each on a handle of its own, beside the one that writes.

The driver's client answers in records and has one handle. Who hands on bytes in the format that was asked for talks to
the engine itself. A handle costs 0.4 ms, so that each question may have one: what it sets binds nobody else, and
`readonly` cannot be taken back on it. All of this blocks, and any number of threads may ask at the same time.

`classify_query` is no part of chDB's wrapper yet, only of its extension; a contract test holds it to what is said here.
"""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from clickhouse_connect.driver.binding import quote_identifier

from schemas.loading import load_told

LOWEST_PRIORITY = 19
NOT_KEPT = {
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    "compile_sort_description": 0,
    "use_query_condition_cache": 0,
}
"""What the engine would keep of questions for later ones. It compiles what it meets for the fourth time, which takes up
to half a second of a question of 50 ms, and the questions differ by their times. It keeps which rows of a part met a
condition, up to 100 MB of it, and the parts are gone in seconds.
"""
_ENGINE = "chdb._chdb"
"""No module of chDB's own names, for what is asked here is below these."""
_ALLOCATOR, _FRUGAL = "JE_MALLOC_CONF", "dirty_decay_ms:500,tcache_max:4096,tcache_nslots_small_max:32"
"""What the engine's own jemalloc is told by. Source: jemalloc(3), TUNING; chDB has it with a prefix of its own."""
_REMEMBERED, _REMEMBERED_CHARACTERS = 512, 20_000
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})


class EngineError(Exception):
    """What the engine answered instead: its whole text, which begins with `Code: N. DB::Exception: `."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the engine says of a text without running it.

    `kind` is READ_ONLY, MUTATING, MUTATING_GLOBAL, CONTROL or UNKNOWN. `canonical` is the first statement as the engine
    would write it itself, on one line: without comments and escapes, each name in its plain form; "" when it cannot be
    read, and then `trouble` says why.
    """

    kind: str
    statements: int
    canonical: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer; `data` is its own memory, not copied. Rows and bytes are what was read for it."""

    data: memoryview
    read_rows: int
    read_bytes: int
    elapsed_ns: int


class EmbeddedReader:
    """Questions to the embedded store in `folder`, which it holds open until it is closed."""

    def __init__(self, folder: Path, database: str) -> None:
        # The engine tells folders apart by their text.
        self._folder = os.path.realpath(folder)
        self._database = database
        self._judged: OrderedDict[str, Judgement] = OrderedDict()
        self._lock = Lock()
        self._niceness = os.getpriority(os.PRIO_PROCESS, os.getpid())
        self._anchor = _connect(self._folder)
        self.version = self._text("SELECT version()")
        self.timezone = self._text("SELECT timezone()")
        self.formats = frozenset(self._text("SELECT name FROM system.formats WHERE is_output").split())
        self.table_functions = frozenset(self._text("SELECT lower(name) FROM system.table_functions").split())

    def judge(self, sql: str) -> Judgement:
        """What the engine makes of `sql`; runs nothing of it."""
        with self._lock:
            if known := self._judged.get(sql):
                self._judged.move_to_end(sql)
                return known
        with closing(_connect(self._folder)) as handle:
            report = handle.classify_query(sql, self._database)
            canonical = trouble = ""
            try:
                # A parameter's value is read as a field of a TabSeparated row is.
                asked = {"sql": sql.translate(_ESCAPED)}
                canonical = _ask(handle, "SELECT formatQuerySingleLine({sql:String})", "TSVRaw", asked).decode().strip()
            except EngineError as error:
                trouble = str(error).partition(": In scope SELECT formatQuerySingleLine(")[0]
        judged = Judgement(report["query_class"].name, int(report["statement_count"]), canonical, trouble)
        if len(sql) <= _REMEMBERED_CHARACTERS:
            with self._lock:
                self._judged[sql] = judged
                while len(self._judged) > _REMEMBERED:
                    self._judged.popitem(last=False)
        return judged

    def ask(
        self,
        sql: str,
        fmt: str,
        *,
        tag: str,
        settings: Mapping[str, str | float],
        parameters: Mapping[str, str] | None = None,
        database: str | None = None,
    ) -> Answer:
        """Ask one question under these settings and `readonly = 1`. Raises EngineError.

        `parameters` are values of `{name:Type}` as ClickHouse's HTTP interface takes them. `tag` names the question for
        `cancel`. The settings bind the memory of the answer as well: it counts for `max_memory_usage`.
        """
        with closing(_connect(self._folder)) as handle:
            _ask(handle, f"USE {quote_identifier(database or self._database)}", "Null")
            said = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
            _ask(handle, f"SET {said}{', ' if said else ''}log_comment = {_quoted(tag)}, readonly = 1", "Null")
            with _engine_errors():
                result = handle.query(sql, fmt, params=dict(parameters or {}))
            return Answer(
                result.get_memview().view() if result.size() else memoryview(b""),
                result.storage_rows_read(),
                result.storage_bytes_read(),
                int(result.elapsed() * 1e9),
            )

    def cancel(self, tag: str) -> None:
        """End the question of that tag, if it is being answered; it fails with QUERY_WAS_CANCELLED soon."""
        with closing(_connect(self._folder)) as handle:
            _ask(handle, f"KILL QUERY WHERE Settings['log_comment'] = {_quoted(tag)} ASYNC", "Null")

    def restore_priorities(self) -> None:
        """Give threads back the priority of this process. To be called while no question is being answered.

        The engine does so itself for the threads that it has lowered, but those that it starts from one of them keep
        what they have inherited, and may write next.
        """
        with contextlib.suppress(OSError):
            for thread in (int(task.name) for task in Path("/proc/self/task").iterdir()):
                with contextlib.suppress(OSError):  # it has just ended, or may not be raised
                    if os.getpriority(os.PRIO_PROCESS, thread) == LOWEST_PRIORITY != self._niceness:
                        os.setpriority(os.PRIO_PROCESS, thread, self._niceness)

    def close(self) -> None:
        """Let go of the store; nobody may be asking any more."""
        self._anchor.close()

    def _text(self, sql: str) -> str:
        return _ask(self._anchor, sql, "TSVRaw").decode().strip()


def load_engine() -> Any:
    """The engine, loaded by whoever asks first: it is large, and most who read the store need none.

    Loaded so that it keeps little that it does not use. By itself it gives memory back to the system after five
    seconds, in which a worker merges once more: of the memory of a worker 50 MiB were such pages, and the larger the
    merges of a run became, the more. And each of its forty threads keeps up to 200 pieces of every size for itself,
    which were another 20 MiB. Its jemalloc reads this once, as it is loaded; who has said otherwise is not overruled.
    Raises ImportError.
    """
    return load_told(_ENGINE, _ALLOCATOR, _FRUGAL)


def _connect(folder: str) -> Any:
    return load_engine().connect(folder)


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        raise EngineError(text[max(0, text.find("Code: ")) :].strip()) from None


def _ask(handle: Any, sql: str, fmt: str, parameters: Mapping[str, str] | None = None) -> bytes:
    with _engine_errors():
        return bytes(handle.query(sql, fmt, params=dict(parameters or {})).bytes() or b"")


def _quoted(value: str | float) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
