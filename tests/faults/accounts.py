"""The harness's own account: what was sent against what can be seen, batch by batch and window by window."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

from schemas.batches import BatchKey
from schemas.events import WindowJoined
from schemas.joined import JoinedWindow
from sinks.clickhouse import ClickHouseStore


@dataclass(slots=True)
class Seen:
    """What readers see of a run."""

    batches: list[BatchKey]
    rows: Counter[tuple[str, int]]
    """Rows by topic and window."""
    joined: dict[int, JoinedWindow]
    announced: dict[int, WindowJoined] = field(default_factory=dict)
    """The event of each window that covers most."""


def see(store: ClickHouseStore, run_id: str) -> Seen:
    """Read it through the views, as everybody does. Blocks."""
    run = {"run": run_id}
    keys = store.client.query("SELECT topic, run, window, producer, seq FROM batches WHERE run = {run:String}", run)
    batches = [BatchKey(*row) for row in keys.result_rows]
    windows = sorted({key.window for key in batches})
    joined = store.read_joined_windows(run_id, windows[0], windows[-1]) if windows else {}
    return Seen(batches, _rows(store.client, run), joined)


def _rows(client: Client, run: Mapping[str, str]) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for topic, view in (("requests", "requests"), ("stacks", "samples")):
        sql = f"SELECT window, count() FROM {view} WHERE run = {{run:String}} GROUP BY window"
        for window, rows in client.query(sql, dict(run)).result_rows:
            found[topic, window] = rows
    return found


@dataclass(frozen=True, slots=True)
class Account:
    """What does not close; see `tests.faults.fault.Outcome`."""

    lost: int
    repeated: int
    broken: list[str]


def account(sent: Mapping[BatchKey, int], seen: Seen) -> Account:
    """Compare: `sent` are the rows of each batch that was acknowledged and can be read."""
    visible = Counter(seen.batches)
    lost = {key for key in sent if not visible[key]}
    repeated = {key for key, count in visible.items() if count > 1 or key not in sent}
    batches_of: dict[tuple[str, int], set[BatchKey]] = defaultdict(set)
    for key in sent:
        batches_of[key.topic, key.window].add(key)
    for place, keys in batches_of.items():
        more = seen.rows[place] - sum(sent[key] for key in keys)
        if more < 0 and not keys & lost:
            lost.add(min(keys))
        if more > 0 and not keys & repeated:
            repeated.add(min(keys))
    return Account(len(lost), len(repeated), list(_broken(sent, seen)))


def _broken(sent: Mapping[BatchKey, int], seen: Seen) -> Iterable[str]:
    batches, requests = Counter[int](), Counter[int]()
    for key, rows in sent.items():
        batches[key.window] += 1
        requests[key.window] += rows if key.topic == "requests" else 0
    for window in sorted(batches | Counter(seen.joined.keys())):
        should = (batches[window], requests[window])
        for what, one in (("joined", seen.joined.get(window)), ("announced", seen.announced.get(window))):
            found = one and (one.batches_covered, one.completed + one.failed)
            if found != should:
                yield f"window {window} was sent {should} (batches, requests) and is {what} as {found}"
