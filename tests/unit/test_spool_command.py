"""`loadflame spool`: what a user sees of it, and what is said when it cannot be done."""

import json

import pytest
from aiokafka.errors import KafkaConnectionError
from typer.testing import CliRunner

from loadflame.cli import app
from loadflame.settings import SettingsError
from producers.publisher import client as clients
from producers.publisher.spool import Spool, SpoolPlace
from schemas.errors import UserError
from tests.support.spools import AClient, batch, event

HERE, ELSEWHERE = "kafka:9092", "elsewhere:9092"


@pytest.fixture
def spool(monkeypatch, tmp_path):
    """Calls the command in a data folder of its own."""
    for name in ("BROKER", "SPOOL_DIR", "SPOOL_BYTES"):
        monkeypatch.delenv(f"LOADFLAME_{name}", raising=False)

    def call(*arguments):
        done = CliRunner().invoke(app, ["spool", *arguments], env={"LOADFLAME_DATA_DIR": str(tmp_path)})
        if done.exception:
            raise done.exception
        return done

    return call


@pytest.fixture
def kafka(monkeypatch):
    client = AClient()
    monkeypatch.setattr(clients, "Client", lambda *_: client)
    return client


def left_in(tmp_path, name, *messages, broker=HERE):
    spool = Spool(SpoolPlace(tmp_path / "spool", 1 << 30), name, broker=broker)
    for message in messages:
        spool.append(message)
    return spool


def test_where_nothing_waits_that_is_said(spool):
    assert spool().stdout.startswith("Nothing waits")
    assert json.loads(spool("--json").stdout) == []
    assert spool("send", "--broker", HERE).stdout == f"Nothing waits for {HERE}.\n"


def test_it_lists_what_waits_of_which_run_for_which_kafka_and_how_much(spool, tmp_path):
    left_in(tmp_path, "p1", batch(1, rows=1200, run="peak-1"), event("ended", run="peak-1")).close()
    held = left_in(tmp_path, "p2", batch(1, run="peak-2"), broker=ELSEWHERE)
    first, second = json.loads(spool("--json").stdout)
    assert {name: first[name] for name in ("name", "runs", "broker", "batches", "rows", "in_use")} == {
        "name": "p1", "runs": ["peak-1"], "broker": HERE, "batches": 1, "rows": 1200, "in_use": False,
    }  # fmt: skip
    assert (second["broker"], second["in_use"]) == (ELSEWHERE, True)
    table = spool().stdout
    assert "peak-1" in table
    assert "1,200" in table
    assert "in use" in table
    held.close()


def test_it_sends_what_is_meant_for_this_kafka(spool, kafka, tmp_path):
    left_in(tmp_path, "p1", batch(1), batch(2)).close()
    left_in(tmp_path, "p2", batch(3), broker=ELSEWHERE).close()
    assert spool("send", "--broker", HERE).stdout == "p1: 2 batches (20 rows) delivered\n"
    assert kafka.taken == [batch(1), batch(2)]
    assert spool("send", "--broker", HERE).stdout == f"Nothing waits for {HERE}; for others: {ELSEWHERE}.\n"


def test_it_sends_what_is_named_wherever_that_was_meant_for(spool, kafka, tmp_path):
    left_in(tmp_path, "p1", batch(1)).close()
    left_in(tmp_path, "p2", batch(3), broker=ELSEWHERE).close()
    spool("send", "p2", "--broker", HERE)
    assert kafka.taken == [batch(3)]


def test_one_in_use_is_left_to_its_process(spool, kafka, tmp_path):
    held = left_in(tmp_path, "p1", batch(1))
    assert spool("send", "--broker", HERE).stdout.startswith("p1 is in use")
    assert kafka.taken == []
    held.close()


def test_what_is_no_spool_is_passed_over_and_told(spool, tmp_path):
    left_in(tmp_path, "p1", batch(1)).close()
    (tmp_path / "spool" / "p1" / "about.json").write_text('{"format": 99}')
    done = spool()
    assert "is not a spool of this version" in done.stderr
    assert done.stdout.startswith("Nothing waits")


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        pytest.param(("send",), SettingsError, "spool send needs a broker", id="no broker"),
        pytest.param(("send", "p9", "--broker", HERE), UserError, "nothing named p9 waits in", id="no such spool"),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(spool, arguments, kind, sentence):
    with pytest.raises(kind, match=sentence):
        spool(*arguments)


def test_a_kafka_that_goes_away_meanwhile_is_said_and_what_waits_stays(spool, kafka, tmp_path, monkeypatch):
    async def away():
        raise KafkaConnectionError("no broker")

    left_in(tmp_path, "p1", batch(1)).close()
    monkeypatch.setattr(kafka, "partitions", away)
    with pytest.raises(UserError, match=f"Kafka at {HERE} went away meanwhile .*no broker.*send it again"):
        spool("send", "--broker", HERE)
    assert [one["batches"] for one in json.loads(spool("--json").stdout)] == [1]
