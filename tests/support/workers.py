"""The stream processor of a test: `loadflame process` until its run is stored."""

from dataclasses import dataclass, field
from pathlib import Path

from schemas.topics import Topics
from tests.support.brokers import Broker
from tests.support.commands import environment_of
from tests.support.roles import RoleProcess


@dataclass(slots=True)
class WorkerSettings:
    """What the workers of one test share."""

    broker: Broker
    topics: Topics
    store: str
    folder: Path
    drain: str
    window_us: int
    findings: bool = False
    """Whether they tell what they find, for which they import what a report needs."""
    logs: list[Path] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Of one test only: a member that an earlier test killed would hold up the next one's first assignment."""
        return self.topics.prefix


class WorkerProcess(RoleProcess):
    """A worker with a log of its own, one more with each that is made."""

    def __init__(self, settings: WorkerSettings) -> None:
        log = settings.folder / f"worker-{len(settings.logs)}.log"
        settings.logs.append(log)
        environment = environment_of(
            settings.folder,
            LOADFLAME_BROKER=settings.broker.bootstrap,
            LOADFLAME_STORE=settings.store,
            LOADFLAME_TOPIC_PREFIX=settings.topics.prefix,
            LOADFLAME_PARTITIONS=str(settings.topics.partitions),
            LOADFLAME_WINDOW_MS=str(settings.window_us // 1000),
            LOADFLAME_GROUP=settings.group,
            LOADFLAME_FINDINGS=str(int(settings.findings)),
        )
        lone = ["--lone"] if settings.broker.kind == "tansu" else []  # as in a run on the embedded broker
        super().__init__(["process", "--drain", settings.drain, *lone], environment, log)
