"""Checks, as they stand in a plan: what an answer must be to count as answered as asked.

A check that fails makes its request fail under the name of the check, which is of the plan and holds nothing of the
answer, so that there are as many names as checks. JSON paths are those of RFC 9535.
"""

import re
from functools import cached_property
from typing import Annotated, Any

import jsonpath
from pydantic import AfterValidator, Field, JsonValue, model_validator

from producers.load.stages import Number, PlanPart

_NAME_CHARACTERS = 60


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


def _path(text: str) -> str:
    try:
        jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        raise ValueError(
            f"{text!r} is no JSON path ({str(error).splitlines()[0]}); write one like $.items[0].price"
        ) from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class HeaderCheck(PlanPart):
    """A header that must be there, and perhaps hold a text."""

    name: str = Field(min_length=1, description="The header's name, in any case of letters.")
    has: str | None = Field(None, description="Text that it holds.")


class JsonCheck(PlanPart):
    """A place in a JSON body; without a condition it must exist."""

    path: Annotated[str, AfterValidator(_path)] = Field(description="Where, as in $.items[0].price (RFC 9535).")
    equals: JsonValue = Field(None, description="What it is.")
    at_least: Number | None = Field(None, description="A number that it is not below.")
    at_most: Number | None = Field(None, description="A number that it is not above.")
    matches: Pattern | None = Field(None, description="A regular expression that its text holds.")

    @cached_property
    def _compiled(self) -> Any:
        return jsonpath.compile(self.path)

    def holds(self, document: Any) -> bool:
        """Whether the first value at the path is as wanted."""
        found = self._compiled.findall(document)
        if not found:
            return False
        value = found[0]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return (
            ("equals" not in self.model_fields_set or (value == self.equals and type(value) is type(self.equals)))
            and (self.at_least is None or (number and value >= self.at_least))
            and (self.at_most is None or (number and value <= self.at_most))
            and (self.matches is None or (isinstance(value, str) and bool(re.search(self.matches, value))))
        )


class BodyCheck(PlanPart):
    """Text that a body must hold."""

    has: str | None = Field(None, min_length=1, description="Text that it holds.")
    matches: Pattern | None = Field(None, description="A regular expression that it holds.")

    @model_validator(mode="after")
    def _one(self) -> "BodyCheck":
        if (self.has is None) == (self.matches is None):
            raise ValueError("needs one of has and matches")
        return self


class Check(PlanPart):
    """One thing that an answer must be."""

    status: int | tuple[int, ...] | None = Field(
        None, description="The status, or any of several; errors may be right."
    )
    header: HeaderCheck | None = None
    json_: JsonCheck | None = Field(None, alias="json")
    body: BodyCheck | None = None

    @model_validator(mode="after")
    def _one(self) -> "Check":
        if sum(part is not None for part in (self.status, self.header, self.json_, self.body)) != 1:
            raise ValueError("needs exactly one of status, header, json and body")
        return self

    @property
    def name(self) -> str:
        """What a request is called that fails it."""
        if self.status is not None:
            what = "status"
        elif self.header is not None:
            what = f"header {self.header.name}"
        elif self.json_ is not None:
            what = f"json {self.json_.path}"
        else:
            assert self.body is not None
            what = f"body {self.body.has or self.body.matches}"
        return f"check {what[:_NAME_CHARACTERS]}"
