"""Dead letters as the store knows them: which batches they stand for, what became of them, what was sent again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from sinks.errors import store_errors
from sinks.store import DeadLetter, LetterCount
from sinks.truth_tables import text_column, time_column, whole_column

_VISIBLE = (
    "producer != '' AND (kind, window, producer, seq) IN "
    "(SELECT topic, window, producer, seq FROM batches WHERE run = {run:String})"
)
_OF_RUN = (
    "SELECT countIf(NOT visible), sumIf(rows, NOT visible), countIf(visible) FROM ("
    f"SELECT {_VISIBLE} AS visible, max(rows) AS rows FROM dead_letters WHERE run = {{run:String}} "
    # One whose batch nobody knows stands for itself.
    "GROUP BY kind, window, producer, seq, if(producer = '', toString((topic, partition, offset, received_at)), ''))"
)
_OF_NOBODY = (
    "SELECT count() FROM dead_letters WHERE run = '' AND received_at >= fromUnixTimestamp64Micro({since:Int64})"
)
_LIST = (
    "SELECT topic, partition, offset, error, toUnixTimestamp64Micro(received_at) AS received_us, bytes, run, rows, "
    "window, producer, seq, "
    "producer != '' AND (kind, run, window, producer, seq) IN (SELECT topic, run, window, producer, seq FROM batches "
    "WHERE run IN (SELECT run FROM dead_letters)) AS visible, toUnixTimestamp64Micro(replayed_at) AS replayed_us "
    "FROM dead_letters AS letter LEFT JOIN replays AS replay USING (topic, partition, offset, received_at) "
)


@dataclass(frozen=True, slots=True)
class KnownLetter:
    """A dead letter and what became of it: whether its batch is visible by now, and when it was sent again, if it was
    (microseconds since the Unix epoch).
    """

    letter: DeadLetter
    is_visible: bool
    replayed_at_us: int | None


def count_dead_letters(client: Client, run_id: str, since_us: int) -> LetterCount:
    """See `Store.count_dead_letters`."""
    with store_errors("count dead letters"):
        batches, rows, recovered = client.query(_OF_RUN, {"run": run_id}).result_rows[0]
        ((unknown,),) = client.query(_OF_NOBODY, {"since": since_us}).result_rows
    return LetterCount(int(batches), int(rows), int(unknown), int(recovered))


def read_dead_letters(client: Client, *, run_id: str | None = None, most: int | None = None) -> list[KnownLetter]:
    """The newest dead letters first, at most so many, of one run or of all."""
    query = _LIST + ("WHERE run = {run:String} " if run_id is not None else "")
    query += "ORDER BY received_us DESC, topic, partition, offset DESC" + (" LIMIT {most:UInt64}" if most else "")
    with store_errors("read dead letters"):
        rows = client.query(query, {"run": run_id, "most": most}).result_rows
    return [_known(row) for row in rows]


def _known(row: Sequence[Any]) -> KnownLetter:
    *letter, visible, replayed_us = row
    return KnownLetter(DeadLetter(*letter), bool(visible), int(replayed_us) or None)


def replays_table(letters: Sequence[tuple[DeadLetter, int]], now_us: int) -> pa.Table:
    """Rows for `replays_stored`: letters and the offsets that they were sent to."""
    return pa.table(
        {
            "topic": text_column(letter.topic for letter, _ in letters),
            "partition": whole_column(letter.partition for letter, _ in letters),
            "offset": whole_column(letter.offset for letter, _ in letters),
            "received_at": time_column(letter.received_at_us for letter, _ in letters),
            "replayed_at": time_column([now_us] * len(letters)),
            "to_offset": whole_column(offset for _, offset in letters),
        }
    )
