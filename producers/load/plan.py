"""The plan: what to send, where, how fast and for how long, and what counts as good."""

import json
import re
from os import environ
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, Field, JsonValue, ValidationError, field_validator, model_validator

from producers.load.checks import Check
from producers.load.plan_errors import PlanError, sentence
from producers.load.plan_yaml import PlanLoader
from producers.load.scenarios import split_scenario
from producers.load.sizes import SizeBytes
from producers.load.stages import Number, PlanPart, Stage, Users
from schemas.durations import DurationS
from schemas.thresholds import Threshold, parse_threshold

_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")


def _path(value: str) -> str:
    if not value.startswith("/") or re.search(r"[\s#]", value):
        raise ValueError(f"{value!r} is no path; it begins with / and holds no blanks and no #, as in /search?q=tea")
    return value


UrlPath = Annotated[str, AfterValidator(_path)]


class Profile(PlanPart):
    """Which process to profile: exactly one of the first three."""

    pid: int | None = Field(None, gt=0, description="Process id of the service.")
    name: str | None = Field(None, min_length=1, description="Part of the service's command line.")
    command: list[str] | None = Field(None, min_length=1, description="A command that the agent starts and profiles.")
    socket: str | None = Field(
        None, min_length=1, description="Unix socket at which the service's middleware tells (`loadflame middleware`)."
    )

    @model_validator(mode="after")
    def _one(self) -> "Profile":
        if sum(value is not None for value in (self.pid, self.name, self.command)) != 1:
            raise ValueError("needs exactly one of pid, name and command")
        return self


class Feed(PlanPart):
    """Rows for templates, one for each arrival: {{users.name}} is the column `name` of the feed `users`."""

    file: Path = Field(description="A CSV file with a line of names, or JSON lines (.jsonl); relative to the plan.")
    again: bool = Field(True, description="Begin anew behind the last row; else requests fail as 'feed is over'.")


class Request(PlanPart):
    """One kind of request, an endpoint in the report."""

    name: str = Field(min_length=1, max_length=64, description="What the endpoint is called in the report.")
    weight: Number = Field(1.0, gt=0, le=1e6, description="Its share of the requests, beside the others' weights.")
    method: str = Field("GET", pattern="^[A-Z]{3,10}$")
    path: UrlPath | None = Field(None, description="Path and query, put behind the target.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers; ${NAME} stands for the environment variable, so secrets stay out."
    )
    json_: JsonValue = Field(None, alias="json", description="Body as JSON.")
    body: str | None = Field(None, description="Body as text.")
    body_file: Path | None = Field(None, description="Body from a file, streamed; relative to the plan.")
    body_size: SizeBytes | None = Field(None, description="Body of so many made-up bytes, streamed, like 1GiB.")
    answer_size: SizeBytes | None = Field(
        None, description="How long the answer is, as a rate in bytes counts it beside the body."
    )
    checks: tuple[Check, ...] = Field((), description="What an answer must be to count as answered as asked.")
    scenario: str | None = Field(
        None, description="Instead of a path: an async function, as in flow.py:checkout; relative to the plan."
    )

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.match(name) or re.search(r"[\r\n\0]", value):
                raise ValueError(f"{name!r} is no header; a name is one word, a value one line")
        return headers

    @model_validator(mode="after")
    def _one_body(self) -> "Request":
        bodies = {"json": self.json_, "body": self.body, "body_file": self.body_file, "body_size": self.body_size}
        given = [name for name, body in bodies.items() if body is not None]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)} at once; a request has one of them")
        return self

    @field_validator("scenario")
    @classmethod
    def _scenario(cls, scenario: str | None) -> str | None:
        if scenario is not None:
            split_scenario(scenario)
        return scenario

    @model_validator(mode="after")
    def _path_or_scenario(self) -> "Request":
        if self.scenario is None:
            if self.path is None:
                raise ValueError("the key 'path' is missing; give a path, or a scenario")
            return self
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        own = ("path", "method", "json_", "body", "body_file", "body_size", "checks")
        given = [name.rstrip("_") for name in own if getattr(self, name) != defaults[name]]
        if given:
            raise ValueError(f"has scenario and {given[0]} at once; a scenario makes its requests and checks itself")
        return self

    def beside(self, folder: Path) -> "Request":
        """The request with its files' paths absolute, as they are meant in a plan in `folder`."""
        found: dict[str, Any] = {}
        if self.body_file is not None:
            found["body_file"] = folder / self.body_file
        if self.scenario is not None:
            found["scenario"] = str(folder / self.scenario)
        return self.model_copy(update=found)

    def expanded(self, header: str, text: str) -> str:
        """A header's text with environment variables filled in. Raises PlanError when one is not set."""
        for name in _VARIABLE.findall(text):
            if name not in environ:
                raise PlanError(f"request {self.name}: header {header} needs the environment variable {name}; set it")
        return _VARIABLE.sub(lambda match: environ[match[1]], text)


class Plan(PlanPart):
    """A load plan. Build it in Python, or read it with `load_plan`; `to_yaml` writes it."""

    target: str = Field(description="Base URL of the service.")
    service: str = Field("", max_length=256, description="What the service is called; default: the target's host.")
    profile: Profile | None = Field(None, description="Which process to profile.")
    stages: tuple[Stage, ...] = Field(min_length=1, description="What rates, one after the other.")
    requests: tuple[Request, ...] = Field(min_length=1, max_length=1000, description="What to send.")
    feeds: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,63}$")], Feed] = Field(
        default_factory=dict, description="Files whose rows fill templates."
    )
    thresholds: tuple[str, ...] = Field((), description="What must hold, like 'p99(search) < 250ms' or 'errors < 1%'.")
    arrivals: Literal["even", "poisson"] = Field(
        "even",
        description="Even: equal gaps at an equal rate; poisson: as of visitors who know nothing of each other.",
    )
    seed: int = Field(1, ge=0, description="Seed of poisson arrivals, so that a run can be repeated.")
    engine: Literal["auto", "aiohttp", "wire"] = Field(
        "auto", description="What sends the requests; auto: the fastest that can do what the plan asks for."
    )
    timeout_s: DurationS = Field(10.0, alias="timeout", description="When a request is given up.")
    trace_context: bool | None = Field(
        None,
        description="Send W3C traceparent and baggage headers, appended to the requests' own; default: yes, unless the "
        "engine is wire and the plan's highest rate is over 5000 requests per second.",
    )
    max_in_flight: int = Field(
        1000, ge=1, le=100_000, description="Requests under way at most; arrivals beyond it are dropped and counted."
    )
    redirects: int = Field(10, ge=0, le=50, description="How many redirects a request follows; 0: none.")
    target_count_path: UrlPath | None = Field(
        None, description='A path on the target that answers {"requests": N}; checked against what was sent.'
    )

    @field_validator("target")
    @classmethod
    def _url(cls, target: str) -> str:
        try:
            parts = urlsplit(target)
            fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            fits = False
        if not fits or parts.query or parts.fragment or re.search(r"\s", target):
            raise ValueError(f"{target!r} is no base URL; write one like http://127.0.0.1:8080")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a password; send it as a header of the requests, as in Authorization: ${TOKEN}")
        return target.rstrip("/")

    @field_validator("thresholds")
    @classmethod
    def _thresholds(cls, thresholds: tuple[str, ...]) -> tuple[str, ...]:
        for text in thresholds:
            parse_threshold(text)
        return thresholds

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("service") and isinstance(value.get("target"), str):
            return {**value, "service": urlsplit(value["target"]).netloc.rpartition("@")[2]}
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Plan":
        for what, names in (("stages", [s.name for s in self.stages]), ("requests", [r.name for r in self.requests])):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two {what} are called {twice!r}; give each a name of its own")
        crowd = max((stage.users for stage in self.stages if isinstance(stage, Users)), default=0)
        if crowd > self.max_in_flight:
            raise ValueError(f"{crowd} users are more than max_in_flight; set max_in_flight: {crowd}")
        self._judgeable()
        return self

    def _judgeable(self) -> None:
        endpoints, stages = [request.name for request in self.requests], [stage.name for stage in self.stages]
        for threshold in self.parsed_thresholds():
            for what, name, names in (("request", threshold.endpoint, endpoints), ("stage", threshold.stage, stages)):
                if name is not None and name not in names:
                    raise ValueError(
                        f"threshold {threshold.text!r} names no {what} of the plan; there are {', '.join(names)}"
                    )
            mine = [request for request in self.requests if threshold.endpoint in (None, request.name)]
            if threshold.metric == "checks" and not any(one.checks or one.scenario for one in mine):
                raise ValueError(f"threshold {threshold.text!r} has nothing to judge; give a request some checks")

    def parsed_thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds, read."""
        return tuple(parse_threshold(text) for text in self.thresholds)

    def beside(self, path: Path) -> "Plan":
        """The plan with its files' paths absolute, as they are meant in a plan at `path`."""
        folder = path.parent.absolute()
        feeds = {name: feed.model_copy(update={"file": folder / feed.file}) for name, feed in self.feeds.items()}
        requests = tuple(request.beside(folder) for request in self.requests)
        return self.model_copy(update={"feeds": feeds, "requests": requests})

    def to_yaml(self) -> str:
        """The plan as YAML that `load_plan` reads back as the same plan; what is at its default is left out."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        # PyYAML leaves these line breaks of Unicode as they are, and folds them when it reads them back.
        plain = not _LINE_BREAKS.search(json.dumps(data, ensure_ascii=False))
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=plain, default_flow_style=None, width=100)


def load_plan(path: Path) -> Plan:
    """Read a plan. Raises PlanError: one sentence with the file, the key and what would fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: is no text in UTF-8; a plan is a YAML file") from error
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); give the path of a plan, a YAML file") from error
    return parse_plan(text, str(path)).beside(path)


def parse_plan(text: str, source: str) -> Plan:
    """Read a plan from YAML text; `source` names it in errors. Raises PlanError."""
    try:
        data = yaml.load(text, PlanLoader)  # noqa: S506  PlanLoader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PlanError(f"{source}{line}: is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PlanError(f"{source}: is no YAML: {error}") from error
    if not isinstance(data, dict):
        raise PlanError(f"{source}: holds no plan; it needs the keys target, stages and requests")
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        raise PlanError(f"{source}: {sentence(error, Plan)}") from error
    return plan
