"""Who has the embedded store lets others read: a worker beside its work, and `serve`, which gives it to the worker."""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sinks.clickhouse import check_store, open_for_reading, open_store
from sinks.errors import StoreBusyError
from sinks.sharing import share_of
from tests.support.brokers import Broker
from tests.support.commands import environment_of, loadflame
from tests.support.polling import wait_until
from tests.support.roles import RoleProcess
from tests.support.served import Served, record, serving

pytestmark = pytest.mark.broker


@contextmanager
def working(broker: Broker, data_dir: Path) -> Iterator[RoleProcess]:
    """A worker with the embedded store of a data folder."""
    prefix = f"t{secrets.token_hex(4)}"
    environment = environment_of(
        data_dir,
        LOADFLAME_BROKER=broker.bootstrap,
        LOADFLAME_TOPIC_PREFIX=prefix,
        LOADFLAME_PARTITIONS="1",
        LOADFLAME_GROUP=prefix,
    )
    with RoleProcess(["process", "--lone"], environment, data_dir / "worker.log") as worker:
        yield worker


async def count(gateway: Served) -> str:
    return (await gateway.ask("SELECT count() FROM windows")).text


def counted_by_a_reader(url: str) -> int:
    with closing(open_for_reading(url)) as client:
        found: int = client.query("SELECT count() FROM windows").result_rows[0][0]
    return found


async def test_the_store_goes_from_serve_to_a_worker_and_back_and_can_be_read_all_the_while(
    tansu_broker: Broker, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    url = record(data_dir)
    with serving(data_dir, data_dir / "serve.log") as gateway:
        assert await count(gateway) == "8\n"
        share = share_of(url, gateway.pid)
        assert share is not None
        assert share.yields
        check_store(url)  # a run may begin
        with working(tansu_broker, data_dir) as worker:
            share = share_of(url, worker.pid)
            assert share is not None
            assert not share.yields
            assert (data_dir / "store.gateway").stat().st_mode & 0o777 == 0o600
            # Through serve, through the worker, and by a command:
            assert await count(gateway) == "8\n"
            assert (await gateway.ask("SELECT * FROM nowhere")).status == 404
            assert (await gateway.ask("SELECT number FROM numbers(500000)")).text.splitlines()[-1] == "499999"
            assert (
                await Served(int(share.url.rpartition(":")[2]), worker.pid, share.token).ask("SELECT 1")
            ).text == "1\n"
            assert (await Served(int(share.url.rpartition(":")[2]), worker.pid).ask("SELECT 1")).status == 401
            assert counted_by_a_reader(url) == 8
            done = loadflame("runs", "--json", data_dir=data_dir)
            assert [run["id"] for run in json.loads(done.stdout)] == ["run-1"]
            for write in (open_store, check_store):
                with pytest.raises(StoreBusyError, match=f"in use by process {worker.pid}, .* wait until"):
                    write(url)
            worker.interrupt()
        assert share_of(url, None) is None
        assert await count(gateway) == "8\n"
        with working(tansu_broker, data_dir) as worker:
            assert await count(gateway) == "8\n"
            worker.kill()
        # What it left behind is nobody's.
        assert (data_dir / "store.gateway").exists()
        assert await count(gateway) == "8\n"
        share = share_of(url, None)
        assert share is not None
        assert share.pid == gateway.pid
    assert not (data_dir / "store.gateway").exists()
    assert counted_by_a_reader(url) == 8


def test_whoever_writes_once_has_the_store_from_serve_at_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    url = record(data_dir)
    with serving(data_dir, data_dir / "serve.log") as gateway:
        assert counted_by_a_reader(url) == 8  # nobody had it yet
        assert loadflame("runs", data_dir=data_dir).returncode == 0
        with closing(open_store(url)) as store:
            assert store.count_batches("run-1")
        wait_until(lambda: share_of(url, None) is None, 60, "the file's end")
        assert gateway.pid


# What is refused before anything is served


def refused(data_dir: Path, *arguments: str, **environment: str) -> str:
    done = loadflame("serve", *arguments, data_dir=data_dir, **environment)
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("loadflame: ")
    return sentence


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    assert "there is no store in" in refused(tmp_path)
    (tmp_path / "store").mkdir()
    with serving(tmp_path, tmp_path / "serve.log") as gateway:
        port = str(gateway.port)
        assert f"127.0.0.1:{port} is taken; name another port with --clickhouse-port" in refused(
            tmp_path, "--clickhouse-port", port
        )
    assert "there is no token; set LOADFLAME_SERVE_TOKEN" in refused(tmp_path, "--host", "0.0.0.0")
    assert "a ClickHouse server answers its clients by itself" in refused(
        tmp_path, "--clickhouse-port", "0", LOADFLAME_STORE="http://a@127.0.0.1:1/b"
    )
    assert "no ClickHouse answers at http://127.0.0.1:1" in refused(tmp_path, LOADFLAME_STORE="http://a@127.0.0.1:1/b")
