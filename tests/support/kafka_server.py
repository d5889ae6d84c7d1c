"""A real Apache Kafka for tests: one KRaft node on loopback, from Maven Central, its data in a temporary folder."""

import fcntl
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from loadflame.broker import free_ports
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


class Door(NamedTuple):
    """A listener of its own, for a proxy: Kafka listens on `inside` and tells clients to come to `outside`."""

    inside: int
    outside: int


class KafkaServer:
    """A context manager: formatted, started, and answering. `folder` must be empty; its data stays there.

    It may be killed or stopped and started again meanwhile, on the same data and ports. `doors`: so many more
    listeners, behind which somebody is to stand between Kafka and its clients.
    """

    def __init__(self, folder: Path, doors: int = 0) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port, self._controller_port, *more = free_ports(2 + 2 * doors)
        self.doors = [Door(*pair) for pair in zip(more[::2], more[1::2], strict=True)]

    def further_properties(self) -> Mapping[str, object]:
        """Settings of a broker that is to be another, beside the usual ones or in their place."""
        return {}

    def format_options(self) -> Sequence[str]:
        """Further arguments of `StorageTool format`: users, say."""
        return ()

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
        text = _properties(self._port, self._controller_port, self._folder / "data", self.doors)
        properties.write_text(text + _as_text(self.further_properties()))  # of two settings of one name the last counts
        format_storage = ("kafka.tools.StorageTool", "format", "-t", "bG9hZGZsYW1lLXRlc3RzMA", "-c", str(properties))
        format_storage = (*format_storage, *self.format_options())
        with self._log.open("wb") as out:
            subprocess.run([*_JAVA, _LOG_LEVEL, *format_storage], stdout=out, stderr=out, timeout=START_S, check=True)
        self.start()
        return self

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def start(self) -> None:
        """Start it, on the data that is there, and wait until it answers."""
        with self._log.open("ab") as out:
            command = [*_JAVA, _LOG_LEVEL, "kafka.Kafka", str(self._folder / "server.properties")]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order, as an operator would; takes seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_S)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()  # nothing of it is wanted any more, and an orderly end takes seconds


def _properties(port: int, controller_port: int, data: Path, doors: Sequence[Door]) -> str:
    names = [f"DOOR{number}" for number in range(len(doors))]
    inside = "".join(f",{name}://127.0.0.1:{door.inside}" for name, door in zip(names, doors, strict=True))
    outside = "".join(f",{name}://127.0.0.1:{door.outside}" for name, door in zip(names, doors, strict=True))
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{inside}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}{outside}",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names)),
        "num.network.threads": 1,  # of each listener
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 0,
    }
    return _as_text(settings)


def _as_text(settings: Mapping[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())
