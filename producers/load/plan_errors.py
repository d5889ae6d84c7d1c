"""One plain sentence for whatever is wrong with a plan."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from producers.load.stages import MODELS
from schemas.errors import UserError


class PlanError(UserError):
    """The plan cannot be read or does not fit; one sentence with the file, the key and what would fit."""


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first mistake: where it is, what it is, what would fit. `model` is what was validated."""
    first = error.errors()[0]
    place = [step for index, step in enumerate(first["loc"]) if not _is_form_tag(first["loc"], index)]
    kind, value = first["type"], first["input"]
    if kind == "missing":
        return f"{_at(place[:-1])}the key {str(place[-1])!r} is missing"
    if kind == "extra_forbidden":
        known = _keys(model, first["loc"][:-1])
        close = get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
        return f"{_at(place[:-1])}unknown key {str(place[-1])!r}; {hint}"
    if kind == "value_error":
        return f"{_at(place)}{first['ctx']['error']}"
    said = first["msg"][0].lower() + first["msg"][1:]
    return f"{_at(place)}{said}, not {value!r:.80}"


def _is_form_tag(loc: Sequence[str | int], index: int) -> bool:
    """Pydantic puts the stage's form into the place: `stages, 0, hold, for`."""
    return index == 2 and loc[0] == "stages" and loc[2] in MODELS and isinstance(loc[1], int)


def _at(place: Sequence[str | int]) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"{text.lstrip('.')}: " if text else ""


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that the model at `loc` knows, as the YAML writes them."""
    for index, step in enumerate(loc):
        if _is_form_tag(loc, index):
            model = MODELS[str(step)]
        elif isinstance(step, str):
            model = _model_in(model.model_fields[_field_of(model, step)].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _field_of(model: type[BaseModel], key: str) -> str:
    return next(name for name, field in model.model_fields.items() if key in (name, field.alias))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model within `Profile | None`, `tuple[Request, ...]` and their kin."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
