"""compose.yaml holds together: no container engine is at hand here, so it is checked as text, strictly.

The models below are our own, of the part of the Compose specification that the file uses, and forbid every other
key; no package on the index ships the official schema. Nothing was started.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from typer.testing import CliRunner

from loadflame.cli import app
from loadflame.gateways import token_of
from loadflame.settings import Settings
from producers.load.plan import load_plan
from sinks.users import USERS
from views.grafana.choices import PAGE_URL

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^[a-z0-9./-]+:(?!latest)[a-z0-9.-]+$")


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Build(Part):
    context: str
    dockerfile: str


class HealthCheck(Part):
    test: Annotated[list[str], Field(min_length=2)]
    interval: str = Field(pattern=r"^\d+s$")
    timeout: str = Field(pattern=r"^\d+s$")
    retries: int


class Dependency(Part):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Service(Part):
    image: str = Field(pattern=PINNED.pattern.replace("(?!latest)", ""))
    build: Build | None = None
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    environment: dict[str, str] = {}
    volumes: list[str] = []
    ports: list[str] = []
    depends_on: dict[str, Dependency] = {}
    healthcheck: HealthCheck | None = None
    restart: Literal["on-failure"] | None = None
    user: str | None = None
    pid: str | None = None
    cap_add: list[str] = []
    security_opt: list[str] = []
    ulimits: dict[str, dict[str, int]] = {}


class Compose(Part):
    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


@pytest.fixture(scope="module")
def compose() -> Compose:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return Compose.model_validate({key: value for key, value in document.items() if not key.startswith("x-")})


def test_every_part_of_the_house_is_there(compose: Compose) -> None:
    assert set(compose.services) == {
        "kafka", "clickhouse", "users", "migrate", "worker", "page", "shop", "agent", "load", "grafana"
    }  # fmt: skip


def test_images_are_pinned_and_ports_are_loopbacks(compose: Compose) -> None:
    for service in compose.services.values():
        assert PINNED.match(service.image), service.image
        assert all(port.startswith("127.0.0.1:") for port in service.ports)


def test_who_waits_for_health_waits_for_a_service_that_has_a_check(compose: Compose) -> None:
    for service in compose.services.values():
        for name, dependency in service.depends_on.items():
            other = compose.services[name]
            assert dependency.condition != "service_healthy" or other.healthcheck is not None


def test_every_file_that_is_mounted_or_built_from_is_there(compose: Compose) -> None:
    for service in compose.services.values():
        for volume in service.volumes:
            source = volume.split(":")[0]
            assert source in compose.volumes or (ROOT / source).exists(), source
        assert service.build is None or (ROOT / service.build.dockerfile).exists()


def test_no_password_stands_in_a_file_and_each_user_has_its_own(compose: Compose) -> None:
    text = (ROOT / "compose.yaml").read_text() + (ROOT / "views/grafana/datasources/loadflame.yaml").read_text()
    for value in re.findall(r"^ *(?:\w*PASSWORD|\w*TOKEN|password): *(.+)$", text, re.MULTILINE):
        assert value.startswith(("$", "{")), value
    for user in USERS:
        assert user.name in text
        assert user.variable in compose.services["users"].environment
    lines = (ROOT / "deploy/env.example").read_text().splitlines()
    chosen = {line for line in lines if re.search("^[A-Z_]*(PASSWORD|TOKEN)", line)}
    assert all(line.endswith("=") for line in chosen), "everybody chooses their own"
    asked = {f"{name}=" for name in re.findall(r"\$\{(\w+):\?", text)}
    assert chosen == asked, "nothing starts without"


def test_commands_are_of_this_command_line(compose: Compose) -> None:
    runner = CliRunner()
    for name in ("worker", "page", "agent", "load"):
        command = compose.services[name].command
        assert command is not None
        known = runner.invoke(app, [command[0], "--help"], env={"COLUMNS": "200"}).output
        for word in command[1:]:
            assert not word.startswith("--") or word in known, f"{name}: {word}"


def test_the_page_answers_where_the_dashboards_links_lead_and_only_to_its_token(compose: Compose) -> None:
    page = compose.services["page"]
    assert page.command is not None
    port = page.command[page.command.index("--port") + 1]
    assert page.ports == [f"127.0.0.1:{port}:{port}"]
    assert f"http://127.0.0.1:{port}" == PAGE_URL
    settings = {name: value for name, value in page.environment.items() if name.startswith("LOADFLAME_SERVE_")}
    read = Settings.model_validate({name.removeprefix("LOADFLAME_").lower(): text for name, text in settings.items()})
    assert token_of(read), "it is reached from outside its container"
    assert "loadflame_reader:" in page.environment["LOADFLAME_STORE"], "it only reads"


@pytest.mark.parametrize("name", ["worker", "page"])
def test_health_is_asked_where_it_is_served(compose: Compose, name: str) -> None:
    service = compose.services[name]
    assert service.healthcheck is not None
    assert f"http://127.0.0.1:{service.environment['LOADFLAME_WATCH_PORT']}/healthz" in service.healthcheck.test[-1]


def test_settings_are_of_this_version(compose: Compose) -> None:
    known = {f"LOADFLAME_{name.upper()}" for name in Settings.model_fields} | {user.variable for user in USERS}
    for service in compose.services.values():
        assert {name for name in service.environment if name.startswith("LOADFLAME_")} <= known


def test_the_plan_of_the_load_is_a_plan() -> None:
    assert load_plan(ROOT / "deploy/plan.yaml").service == "shop"


def test_only_the_agent_may_look_into_others(compose: Compose) -> None:
    for name, service in compose.services.items():
        assert service.cap_add == (["SYS_PTRACE", "SYS_NICE"] if name == "agent" else [])
    assert compose.services["agent"].pid == "service:shop"


def test_the_document_itself_uses_nothing_that_yaml_would_read_as_something_else() -> None:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for service in document["services"].values():
        assert all(isinstance(value, str) for value in service.get("environment", {}).values())
