"""A real Apache Kafka for tests: one KRaft node on loopback, from Maven Central, its data in a temporary folder."""

import fcntl
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.polling import answers

HERE = Path(__file__).parent
LIBS = HERE.parents[1] / ".cache" / "kafka-4.1.0"
DOWNLOAD_S, START_S = 240.0, 60.0
_JAVA = ("java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*")
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class KafkaMissingError(Exception):
    """There is no Kafka to be had here; says what is missing."""


def fetch_kafka() -> None:
    """Fill `.cache/` with Kafka's jars (43 MB) unless they are there. Raises KafkaMissingError."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise KafkaMissingError(f"a real Kafka needs `{program}`, which is not on the path")
    LIBS.parent.mkdir(exist_ok=True)
    with LIBS.with_suffix(".lock").open("w") as lock, tempfile.TemporaryDirectory(dir=LIBS.parent) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if LIBS.exists():
            return
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars")
        command = ("mvn", "-q", "-B", "-f", str(HERE / "kafka" / "pom.xml"), *goal)
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise KafkaMissingError(f"Maven could not fetch Kafka: {said[0][:300]}")
        Path(folder, "jars").rename(LIBS)  # at once, so that nobody meets half of it


class KafkaServer:
    """A context manager: formatted, started, and answering. `folder` must be empty; its data stays there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port, self._controller_port = _free_ports(2)

    @property
    def bootstrap(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process id, once started."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        fetch_kafka()
        properties = self._folder / "server.properties"
        properties.write_text(_properties(self._port, self._controller_port, self._folder / "data"))
        log = self._folder / "server.log"
        format_storage = ("kafka.tools.StorageTool", "format", "-t", "bG9hZGZsYW1lLXRlc3RzMA", "-c", str(properties))
        with log.open("wb") as out:
            subprocess.run([*_JAVA, _LOG_LEVEL, *format_storage], stdout=out, stderr=out, timeout=START_S, check=True)
            command = [*_JAVA, _LOG_LEVEL, "kafka.Kafka", str(properties)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"Kafka did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()  # nothing of it is wanted any more, and an orderly end takes seconds
            self._process.wait()


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _properties(port: int, controller_port: int, data: Path) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
