"""Every setting in one frozen object, parsed once: `LOADFLAME_*` in the environment, overridden by flags."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from producers.load.rates import AWAY_TPS, HIGHEST_TPS
from schemas.errors import UserError
from schemas.kafka_security import SaslMechanism, SecurityProtocol
from schemas.topics import Topics
from schemas.windows import WINDOW_US

if TYPE_CHECKING:
    from producers.publisher.spool import SpoolPlace


class SettingsError(UserError):
    """A setting has a value that does not fit."""


PAGE_PORT = 8790
"""Where the page is looked for; a free port is taken where somebody has it."""
_PASSWORD = re.compile(r"://[^:/@]*:.*@")
"""In a URL; also one that is written so that it tears the URL apart."""
_FILES = (
    "kafka_sasl_password_file",
    "kafka_ssl_cafile",
    "kafka_ssl_certfile",
    "kafka_ssl_keyfile",
    "kafka_ssl_password_file",
)


class Settings(BaseSettings):
    """Where things are and how they are cut. Everything has a default that works on one machine.

    Secrets have no flag: they come from the environment or from files, and are shown nowhere.
    """

    model_config = SettingsConfigDict(env_prefix="LOADFLAME_", frozen=True, extra="ignore")

    broker: str | None = Field(None, description="Kafka as host:port; none starts the embedded broker (Tansu).")
    store: str | None = Field(
        None, repr=False, description="Store URL (chdb:///dir or http(s)://...); none is embedded chDB."
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("loadflame"), description="Where the embedded store and logs live."
    )
    spool_dir: Path | None = Field(
        None, description="Where messages wait while Kafka is away; default: `spool` in the data folder."
    )
    spool_bytes: int = Field(
        1 << 30, ge=0, description="What may wait there, of all processes of this host together; 0 is no spool."
    )
    topic_prefix: str = Field("loadflame", pattern=r"^[a-zA-Z0-9._-]{1,64}$", description="First part of topic names.")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of the two bulk topics.")
    replication: int = Field(1, ge=1, le=15, description="Brokers that keep a copy of each topic; 3 for a cluster.")
    window_ms: int = Field(1000, ge=100, le=60_000, description="Length of a window in milliseconds.")
    group: str = Field("loadflame", description="Kafka consumer group of the workers.")
    findings: bool = Field(True, description="Whether `process` tells what was found, while runs are on and after.")
    looks_hz: int | None = Field(
        None,
        ge=0,
        le=200,
        description="Looks a second at all threads of a process, which tell why the tail is slow; 0 is none, default: "
        "what 0.4% of a core affords, 17 at most.",
    )
    allow_hosts: tuple[str, ...] = Field((), description="Hosts besides loopback that may be loaded.")

    watch_port: int | None = Field(
        None, ge=0, le=65535, description="Port of /metrics and /healthz; 0 takes a free one, none serves nothing."
    )
    watch_host: str = Field(
        "127.0.0.1",
        description="Address of /metrics and /healthz; whoever reaches another than loopback may read them.",
    )
    max_tps: float = Field(
        AWAY_TPS, gt=0, le=HIGHEST_TPS, description="Requests per second for other machines; this one has no bound."
    )

    web: bool = Field(True, description="Whether `run`, `demo`, `observe` and `find-limit` serve the page meanwhile.")
    serve_host: str = Field(
        "127.0.0.1", description="Address of `loadflame serve`; another than loopback needs a token."
    )
    serve_token: SecretStr | None = Field(None, description="What `loadflame serve` asks for as a password.")
    serve_token_file: Path | None = Field(None, description="A file that holds it, instead.")

    kafka_security_protocol: SecurityProtocol = Field("PLAINTEXT", description="PLAINTEXT, SSL or SASL_SSL.")
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none is SCRAM-SHA-512."
    )
    kafka_sasl_username: str | None = Field(None, description="User of SASL_SSL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="That user's password.")
    kafka_sasl_password_file: Path | None = Field(None, description="A file that holds it, instead.")
    kafka_ssl_cafile: Path | None = Field(
        None, description="Authorities to trust, in PEM form; none is those of the system."
    )
    kafka_ssl_certfile: Path | None = Field(None, description="Our certificate for mutual TLS, in PEM form.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Its key, when that is not in the same file.")
    kafka_ssl_password: SecretStr | None = Field(None, description="Password of the key, if it has one.")
    kafka_ssl_password_file: Path | None = Field(None, description="A file that holds it, instead.")

    @field_validator("data_dir", "spool_dir", "serve_token_file", *_FILES)
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().resolve()

    @property
    def topics(self) -> Topics:
        """The topic table."""
        return Topics(self.topic_prefix, self.partitions, self.replication)

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return self.window_ms * WINDOW_US // 1000

    @property
    def store_url(self) -> str:
        """The store's URL, the embedded one if none is set."""
        return self.store or f"chdb://{quote(str(self.data_dir / 'store'))}"

    @property
    def spool_folder(self) -> Path:
        """Where messages wait while Kafka is away."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def spool(self) -> "SpoolPlace | None":
        """The same with its limit, as publishers take it; None when it is turned off."""
        from producers.publisher.spool import SpoolPlace  # noqa: PLC0415  it brings the Kafka client along

        return SpoolPlace(self.spool_folder, self.spool_bytes) if self.spool_bytes else None

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for the processes that a run starts.

        Without the passwords: those stand in our own environment, which our processes inherit, or in files. Only this
        user and root can read a process's environment (proc(5), `environ`), but everybody its command line. The store's
        URL may hold a password, and is handed on.
        """
        secrets = {name for name, value in self if isinstance(value, SecretStr)}
        values = self.model_dump(mode="json", exclude_none=True, exclude=secrets)
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        return {f"LOADFLAME_{name.upper()}": text for name, text in texts.items()}


def read_settings(**flags: Any) -> Settings:
    """Settings from the environment and from flags (None: not given). Raises SettingsError, one sentence."""
    if _PASSWORD.search(flags.get("store") or ""):
        raise SettingsError(
            "--store holds a password, which everybody on this machine can read in the list of processes; put the URL "
            "into LOADFLAME_STORE, or the password into a file: http://user@host:8123/db?password_file=/path"
        )
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"]))
        raise SettingsError(f"setting LOADFLAME_{name.upper()} (or its flag): {first['msg']}") from error
