"""`loadflame serve` on a recorded store, in a process of its own."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import ClientSession

from sinks.clickhouse import open_store
from tests.support.commands import environment_of
from tests.support.roles import RoleProcess
from tests.support.synthetic import Synthetic, levels

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def record(data_dir: Path) -> str:
    """Write a short run into the embedded store of a data folder; its URL."""
    data_dir.mkdir(parents=True, exist_ok=True)
    url = f"chdb://{data_dir}/store"
    with closing(open_store(url)) as store:
        Synthetic(stages=levels(visits=1, seconds=2)).write(store)
        store.write_minutes(store.unmade_minutes())
    return url


class Answered(NamedTuple):
    """An answer: its status, its body, and the headers."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that runs. `token` is what it asks for, if it does."""

    port: int
    pid: int
    token: str = ""

    async def ask(self, sql: str, **fields: str) -> Answered:
        """Ask as curl would."""
        headers = {"X-ClickHouse-Key": self.token} if self.token else {}
        url = f"http://127.0.0.1:{self.port}/?{urlencode(fields)}"
        async with ClientSession() as session, session.post(url, data=sql.encode(), headers=headers) as answer:
            return Answered(answer.status, (await answer.read()).decode(errors="replace"), dict(answer.headers))


@contextmanager
def serving(data_dir: Path, log: Path, *, token: str = "") -> Iterator[Served]:
    """Started, ready, and ended by Ctrl-C, which it has to survive in order."""
    more = {"LOADFLAME_SERVE_TOKEN": token} if token else {}
    with RoleProcess(["serve", "--clickhouse-port", "0"], environment_of(data_dir, **more), log) as process:
        found = _ADDRESS.search(process.log())
        assert found, process.log()
        yield Served(int(found[1]), process.pid, token)
        process.interrupt()
