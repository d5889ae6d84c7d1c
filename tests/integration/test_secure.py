"""A run on a Kafka that lets nobody in unasked, and no secret of it in anything that is said, logged or kept."""

import asyncio
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import uvloop
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from loadflame.broker import BrokerError
from loadflame.demo import sample_shop
from loadflame.kafka_access import security_of
from loadflame.settings import Settings
from loadflame.topics import check_broker, ensure_topics
from processors.letters import LettersInKafka
from processors.published import published_by
from schemas.kafka_security import KafkaSecurity
from schemas.topics import Topics
from sinks.connect import open_client
from tests.support.brokers import _missing as skip_or_fail
from tests.support.certificates import Authority
from tests.support.clickhouse_http import FakeServer, fake_clickhouse
from tests.support.commands import checks_of, environment_of, loadflame
from tests.support.kafka_server import KafkaMissingError
from tests.support.roles import RoleProcess
from tests.support.secure_kafka import ADMIN, GUEST, USER, SecureKafka

pytestmark = [pytest.mark.broker, pytest.mark.slow]
PASSWORD, KEY_PASSWORD, TOKEN = "kafka-s3cret", "key-s3cret", "token-s3cret"
SECRETS = ("s3cret", "se/cret", "se%2Fcret")
"""In every password there is, those that are wrong too; the latter two are the store's."""
PREFIX, TPS, SECONDS = "secure", 40, 2


@dataclass(slots=True)
class Secured:
    """A Kafka, whom it trusts, and how a client is told to come in; all by environment."""

    server: SecureKafka
    authority: Authority
    folder: Path

    def by_password(self, **changes: str) -> dict[str, str]:
        """SASL_SSL, with SCRAM."""
        return self._environment(
            self.server.bootstrap,
            {
                "security_protocol": "SASL_SSL",
                "ssl_cafile": str(self.authority.cafile),
                "sasl_mechanism": "SCRAM-SHA-256",
                "sasl_username": USER,
                "sasl_password": PASSWORD,
            }
            | changes,
        )

    def by_certificate(self, **changes: str) -> dict[str, str]:
        """Mutual TLS, with a key that is encrypted."""
        return self._environment(
            self.server.mutual,
            {
                "security_protocol": "SSL",
                "ssl_cafile": str(self.authority.cafile),
                "ssl_certfile": f"{self.folder}/{USER}.crt",
                "ssl_keyfile": f"{self.folder}/{USER}.key",
                "ssl_password": KEY_PASSWORD,
            }
            | changes,
        )

    def _environment(self, broker: str, kafka: Mapping[str, str]) -> dict[str, str]:
        """A value of "" takes a setting away."""
        named = {f"LOADFLAME_KAFKA_{name.upper()}": value for name, value in kafka.items() if value}
        return {
            "LOADFLAME_BROKER": broker,
            "LOADFLAME_TOPIC_PREFIX": PREFIX,
            "LOADFLAME_GROUP": PREFIX,
            "LOADFLAME_PARTITIONS": "2",
        } | named


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secure-kafka")
    authority = Authority(folder / "certificates")
    authority.issue(name=USER, password=KEY_PASSWORD)
    (folder / "data").mkdir()
    try:
        with SecureKafka(folder / "data", authority, PASSWORD) as server:
            found = Secured(server, authority, folder / "certificates")
            asyncio.run(give_rights(found))
            yield found
    except KafkaMissingError as error:
        skip_or_fail(str(error))


TOPIC, GROUP, PREFIXED, ALLOW = 2, 3, 4, 3
READ, WRITE, CREATE, DESCRIBE = 3, 4, 5, 8
RIGHTS = [(TOPIC, READ), (TOPIC, WRITE), (TOPIC, CREATE), (TOPIC, DESCRIBE), (GROUP, READ)]
"""All that a user of ours needs, on what begins with the prefix. Codes: AclOperation and ResourceType of Kafka."""


async def give_rights(secured: Secured) -> None:
    """What an administrator does once."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=secured.server.bootstrap,
        **security_from(secured.by_password(sasl_username=ADMIN)).client_options(),
    )
    await admin.start()
    try:
        for resource, operation in RIGHTS:
            asked = CreateAclsRequest(resource, PREFIX, PREFIXED, f"User:{USER}", "*", operation, ALLOW)
            for code, message in (await admin._send_request(asked)).creation_responses:
                assert code == 0, message
    finally:
        await admin.close()


def security_from(environment: Mapping[str, str]) -> KafkaSecurity:
    """As a command with this environment would have it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return security_of(Settings())


def plan_file(folder: Path, url: str) -> str:
    """A short plan for the sample shop, with a header that comes from the environment."""
    path = folder / "plan.yaml"
    plan = {
        "target": url,
        "service": "shop",
        "target_count_path": "/counts",
        "stages": [{"name": "hold", "hold": TPS, "for": f"{SECONDS}s"}],
        "requests": [{"name": "search", "path": "/search?q=tea", "headers": {"X-Token": "${SHOP_TOKEN}"}}],
    }
    path.write_text(yaml.safe_dump(plan))
    return str(path)


@pytest.fixture
def store(tmp_path: Path, secured: Secured) -> Iterator[FakeServer]:
    """A ClickHouse over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secured.authority.issue("127.0.0.1", name="store").both)
    with fake_clickhouse(f"{tmp_path}/server", tls=context) as server:
        yield server


def test_a_load_a_worker_and_verify_over_sasl_ssl_with_the_store_over_tls(
    secured: Secured, store: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "store-password").write_text("se/cret\n")
    url = f"https://writer@127.0.0.1:{store.port}/flames?ca_cert={secured.authority.cafile}"
    environment = secured.by_password() | {
        "LOADFLAME_STORE": f"{url}&password_file={tmp_path}/store-password",
        "SHOP_TOKEN": TOKEN,
    }
    data = tmp_path / "data"
    data.mkdir()
    with ExitStack() as stack:
        target, _ = stack.enter_context(sample_shop())
        plan = plan_file(tmp_path, target)
        clean = environment_of(data, **environment)
        worker = stack.enter_context(RoleProcess(["process", "--drain", "one"], clean, data / "process.log"))
        load = stack.enter_context(RoleProcess(["load", plan, "--open-run", "one"], clean, data / "load.log"))
        load.end()
        worker.end()
    assert checks_of(data, "one", **environment) == dict.fromkeys(("I0", "I1", "I2", "I3", "I4"), True)
    told = asyncio.run(read_back(secured))
    assert sum(rows for rows in told.values()) == TPS * SECONDS
    assert_no_secret(data, stored(store, secured), asyncio.run(in_topics(secured)))


async def read_back(secured: Secured) -> dict[str, int]:
    """Rows by producer, as those are counted that died."""
    security = security_from(secured.by_password())
    topics = Topics(PREFIX, 2)
    consumer = AIOKafkaConsumer(bootstrap_servers=secured.server.bootstrap, **security.client_options())
    producers: set[str] = set()
    await consumer.start()
    try:
        places = [TopicPartition(topics.name("requests"), number) for number in range(2)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while waiting := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*waiting, timeout_ms=200)).values():
                producers |= {dict(record.headers)["producer"].decode() for record in records}
    finally:
        await consumer.stop()
    async with LettersInKafka(secured.server.bootstrap, topics, since_us=0, security=security):
        pass  # whoever looks for dead letters is let in
    told = await published_by(secured.server.bootstrap, topics, "one", producers, since_us=0, security=security)
    return {producer: one.rows for producer, one in told.items()}


def test_a_whole_run_over_mutual_tls_shows_no_secret_in_a_command_line_meanwhile(
    secured: Secured, store: FakeServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    environment = secured.by_certificate() | {
        "LOADFLAME_STORE": f"{store.url()}?ca_cert={secured.authority.cafile}",
        "SHOP_TOKEN": TOKEN,
    }
    seen: set[str] = set()
    with sample_shop() as (target, pid):
        command = [sys.executable, "-m", "loadflame", "run", plan_file(tmp_path, target), "--pid", str(pid), "--json"]
        with (
            (tmp_path / "out").open("w") as into,
            (tmp_path / "err").open("w") as errors,
            subprocess.Popen(command, env=environment_of(data, **environment), stdout=into, stderr=errors) as run,
        ):
            deadline = time.monotonic() + 240
            while run.poll() is None:
                seen |= command_lines(psutil.Process(run.pid))
                assert time.monotonic() < deadline
                time.sleep(0.1)
    out, err = (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
    assert out, err
    report = json.loads(out)
    assert report["accounting"]["stored"] == TPS * SECONDS, err
    for role in ("process", "profile", "load"):
        assert any(f"loadflame {role}" in line for line in seen), seen
    assert_no_secret(data, out, err, *seen, stored(store, secured), asyncio.run(in_topics(secured)))


def command_lines(process: psutil.Process) -> set[str]:
    """Of a process and all below it."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        try:
            found.add(" ".join(one.cmdline()))
        except psutil.Error:
            continue
    return found


def stored(store: FakeServer, secured: Secured) -> str:
    """Everything in every table, as text."""
    with closing(open_client(f"{store.url()}?ca_cert={secured.authority.cafile}")) as client:
        tables = [row[0] for row in client.query("SHOW TABLES").result_rows if row[0].endswith("_stored")]
        text = "".join(client.raw_query(f"SELECT * FROM {table} FORMAT TSV").decode() for table in tables)
    assert "RunStarted" in text or "loadflame.run.started" in text
    return text


async def in_topics(secured: Secured) -> str:
    """Everything in every topic, as text."""
    topics = Topics(PREFIX, 2)
    security = security_from(secured.by_password())
    consumer = AIOKafkaConsumer(bootstrap_servers=secured.server.bootstrap, **security.client_options())
    found: list[str] = []
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, number) for topic in topics.all() for number in range(topic.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while waiting := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*waiting, timeout_ms=200)).values():
                found += [f"{record.key} {record.headers} {record.value}" for record in records]
    finally:
        await consumer.stop()
    assert any("loadflame.run.started" in text for text in found)
    return "\n".join(found)


def assert_no_secret(folder: Path, *texts: str) -> None:
    """Neither in what was said nor in any file below a folder."""
    files = {str(path): path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()}
    for where, text in [*files.items(), *((f"text {number}", text) for number, text in enumerate(texts))]:
        assert not [secret for secret in SECRETS if secret in text], where


WRONG = {"sasl_password": "wrong-s3cret"}
NO_KEY = {"ssl_keyfile": "", "ssl_password": ""}
REFUSED: list[tuple[str, str, dict[str, str], str]] = [
    ("a wrong password", "password", WRONG, rf"refuses the user '{USER}' .SCRAM-SHA-256.; check"),
    ("a wrong password of PLAIN", "password", WRONG | {"sasl_mechanism": "PLAIN"}, "refuses the user"),
    ("an unknown user", "password", {"sasl_username": "nobody"}, "refuses the user 'nobody'"),
    ("an authority that did not sign", "password", {"ssl_cafile": "{other}"}, "is not trusted .*CAFILE"),
    ("the system's authorities", "certificate", {"ssl_cafile": ""}, "is not trusted .*CAFILE"),
    ("another name", "password", {"broker": "localhost"}, "is for another name .*localhost"),
    ("a client without TLS", "plain", {}, "speaks TLS, and .* is PLAINTEXT; set it to SSL"),
    ("a user where none is asked for", "password", {"broker": "{mutual}"}, "CERTFILE"),
    (
        "no user where one is asked for",
        "certificate",
        {"broker": "{password}"},
        "ends the connection once TLS is up",
    ),
    ("no certificate", "certificate", NO_KEY | {"ssl_certfile": ""}, "CERTFILE"),
    ("a certificate that is not trusted", "certificate", NO_KEY | {"ssl_certfile": "{stranger}"}, "CERTFILE"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[row[0] for row in REFUSED])
def test_who_is_not_let_in_is_told_why_in_one_sentence_and_bounded_time(
    secured: Secured, tmp_path: Path, case: tuple[str, str, dict[str, str], str]
) -> None:
    _, way, changes, said = case
    other = Authority(tmp_path, "other")
    port = secured.server.bootstrap.rpartition(":")[2]
    values = {
        "other": other.cafile,
        "stranger": other.issue(name=USER).both,
        "mutual": secured.server.mutual,
        "password": secured.server.bootstrap,
    }
    changes = {name: value.format(**values) for name, value in changes.items()}
    broker = changes.pop("broker", "").replace("localhost", f"localhost:{port}")
    environment = secured.by_certificate(**changes) if way == "certificate" else secured.by_password(**changes)
    if way == "plain":
        environment = {name: value for name, value in environment.items() if "_KAFKA_" not in name}
    security = security_from(environment)
    began = time.monotonic()
    with pytest.raises(BrokerError, match=said) as caught:
        # On the loop of the commands. Python's own may not get to close a socket whose handshake failed.
        uvloop.run(check_broker(broker or environment["LOADFLAME_BROKER"], Topics(PREFIX, 2), security=security))
    assert time.monotonic() - began < 120
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_who_has_no_right_to_make_topics_is_told_so(secured: Secured) -> None:
    security = security_from(secured.by_password(sasl_username=GUEST))
    with pytest.raises(
        BrokerError, match=r"would not create topic .*AuthorizationFailed.*; give the user the right to"
    ):
        await ensure_topics(secured.server.bootstrap, Topics(PREFIX, 2), security=security)


def test_a_command_that_is_refused_says_so_in_one_line_and_keeps_its_secrets(secured: Secured, tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = "https://writer:se%2Fcret@127.0.0.1:1/flames"
    wrong_password = secured.by_password(sasl_password="wrong-s3cret") | {"LOADFLAME_STORE": store}
    wrong_key = secured.by_certificate(ssl_password="wrong-s3cret") | {"LOADFLAME_STORE": store}
    good = secured.by_password() | {"LOADFLAME_STORE": store}
    with sample_shop() as (target, pid):
        plan = plan_file(tmp_path, target)
        cases = [
            (["load", plan], wrong_password, "refuses the user"),
            (["run", plan, "--pid", str(pid)], wrong_key, "LOADFLAME_KAFKA_SSL_PASSWORD"),
            (["process"], good, "no ClickHouse answers at https://127.0.0.1:1"),
        ]
        for arguments, environment, said in cases:
            done = loadflame(*arguments, data_dir=data, SHOP_TOKEN=TOKEN, **environment)
            assert done.returncode == 2, done
            assert re.fullmatch(rf"loadflame: .*{re.escape(said)}.*\n", done.stderr), done.stderr
            assert_no_secret(data, done.stdout, done.stderr)
    done = loadflame("doctor", data_dir=data, **wrong_password)
    assert done.returncode == 1
    assert "refuses the user" in " ".join(done.stdout.split())
    assert_no_secret(data, done.stdout, done.stderr)
