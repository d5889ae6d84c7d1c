"""Write `schemas/fixtures`, the events of a real run for other teams' tests: `python -m tests.support.record_events`.

The run is the one of the sample shop that `tests/fixtures/recorded` holds. Its windows are announced again, and its
findings looked for again as a worker does: twice while it is on, in a store that holds no more than there was by then,
and when it is over. So the files can be written anywhere, by whatever loadflame the events have changed in.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import typer
from clickhouse_connect.driver.client import Client

from loadflame.heard import Heard, Watchable, heard
from loadflame.looked import stored_of
from loadflame.looks import last_look, look_at
from processors.announcements import letter_headers, letter_value, window_event
from processors.desk import SOURCE
from processors.pipeline import Pipeline
from processors.records import Place, Record
from schemas.events import EVENT_OF_TYPE, EventData, RunEnded, StageEntered, WindowJoined, to_message
from schemas.topics import Topics
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.support.recorded import TABLES, load_recorded

FOLDER = Path(__file__).parents[2] / "schemas" / "fixtures"
LOOKS = (0.7, 0.85)
"""How much of the run there is at the looks before its end."""
JOINED_US = 400_000
"""From a window's end to its event, about."""
ANYWHERE = "http://127.0.0.1:8080/"


def line(event: EventData, time_us: int) -> str:
    """An event as `loadflame watch --json` prints it."""
    source = "loadflame/run" if event.topic == "runs" else SOURCE
    message = to_message(_anywhere(event), source=source, time_us=time_us)
    return _text(heard(_kind(event), message.headers, message.value))


def dead_letter() -> str:
    """What becomes of a message that is no batch."""
    topics = Topics()
    headers = [("run", b"somebody-elses"), ("kind", b"data")]
    pipeline = Pipeline(topics, 1_000_000)
    pipeline.on_record(Record(Place(topics.name("requests"), 0), 0, 1_790_000_000_000_000, headers, b"not Arrow"), 0.0)
    (letter,) = pipeline.take().letters
    return _text(heard("dead-letters", letter_headers(letter), letter_value(letter)))


def findings(
    url: str, store: ClickHouseStore, run: str, windows: Sequence[WindowJoined]
) -> Iterator[tuple[EventData, int]]:
    """What a worker tells of the run, and when."""
    names: tuple[str, ...] = ()
    told: list[tuple[EventData, int]] = []
    for share in LOOKS:
        reached = windows[round(share * len(windows)) - 1]
        with closing(_so_far(url, store.client, run, reached.window)) as client:
            part = ClickHouseStore(client)
            part.write_events([event for event, _ in told], [at_us for _, at_us in told])
            look = look_at(part, run, stored_of(part, run), is_over=False, before=names)
        names = look.names
        told += [(event, reached.starts_at_us + reached.window_us + JOINED_US) for event in look.events]
    store.write_events([event for event, _ in told], [at_us for _, at_us in told])
    end_us = windows[-1].starts_at_us + windows[-1].window_us + 3 * JOINED_US
    yield from told
    last = last_look(store, run, stored_of(store, run), is_checked_anew=False)
    yield from ((event, end_us) for event in last if event.topic == "findings")  # the session judges it


def _so_far(url: str, client: Client, run: str, last_window: int) -> Client:
    """A store with what there was of the run as one of its windows was joined."""
    part = open_client(f"{url}?database=until_{last_window}")
    migrate(part)
    for table in TABLES:
        if " TTL " in str(part.command(f"SHOW CREATE TABLE {table}")):
            part.command(f"ALTER TABLE {table} REMOVE TTL")
        columns = [row[0] for row in client.query(f"DESCRIBE TABLE {table}").result_rows]
        where = f"run = '{run}'" + (f" AND window <= {last_window}" if "window" in columns else "")
        if table == "events_stored":
            begun_us = (last_window + 1) * 1_000_000
            begun = f"type = '{StageEntered.type}' AND JSONExtractInt(data, 'starts_at_us') < {begun_us}"
            where += f" AND (type = 'loadflame.run.started.v1' OR {begun})"
        if table != "dead_letters_stored":
            part.command(f"INSERT INTO {table} SELECT * FROM {client.database}.{table} WHERE {where}")
    return part


def _kind(event: EventData) -> Watchable:
    kind = event.topic
    assert kind in ("findings", "runs", "windows")
    return kind


def _text(message: Heard) -> str:
    return json.dumps(message.as_json(), ensure_ascii=False)


def _anywhere(event: EventData) -> EventData:
    """Nothing of the machine that it was recorded on."""
    data = event.model_dump(mode="json")
    if "target" in data:
        data["target"] = data["plan"]["target"] = ANYWHERE
        data["plan"]["profile"]["pid"] = 4711
    if isinstance(event, RunEnded):
        data["judged"] = True  # by its session, which was recorded before it said so
    return type(event).model_validate(data)


def main() -> None:
    url = f"chdb://{tempfile.mkdtemp(prefix='loadflame-events-')}/store"
    with closing(open_client(url)) as client:
        migrate(client)
        run = load_recorded(client)[0]
        store = ClickHouseStore(client)
        numbers = sorted(store.read_coverage(run))
        joined = store.read_joined_windows(run, numbers[0], numbers[-1])
        windows = [window_event(joined[number]) for number in numbers]
        rows = client.query(
            "SELECT type, data, toUnixTimestamp64Micro(time) FROM events_stored FINAL WHERE run = {run:String} "
            "ORDER BY time, id",
            {"run": run},
        ).result_rows
        files = {
            "runs": [line(EVENT_OF_TYPE[kind].model_validate_json(data), at_us) for kind, data, at_us in rows],
            "windows": [line(one, one.starts_at_us + one.window_us + JOINED_US) for one in windows],
            "findings": [line(event, at_us) for event, at_us in findings(url, store, run, windows)],
            "dead-letters": [dead_letter()],
        }
    FOLDER.mkdir(exist_ok=True)
    for kind, lines in files.items():
        (FOLDER / f"{kind}.jsonl").write_text("".join(f"{text}\n" for text in lines))
        typer.echo(f"{kind}: {len(lines)} lines")


if __name__ == "__main__":
    main()
