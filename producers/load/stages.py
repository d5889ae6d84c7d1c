"""The stages of a plan, one model per form.

| form   | rate                                                                                |
|--------|-------------------------------------------------------------------------------------|
| hold   | constant                                                                            |
| ramp   | from one to another, linearly                                                       |
| levels | a few, each visited several times in random order: what growth is measured from     |
| step   | a staircase from one to another                                                     |
| spike  | a base, then up to a peak, held there, and down again                               |
| sine   | between a low and a high, as days go                                                |
| soak   | constant for hours                                                                  |
| users  | closed model: so many users, each of whom waits for its answer and thinks           |

A rate is requests per second, or bytes per second of what they move, as in `hold: 50MB/s`.
"""

from datetime import tzinfo
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
    model_validator,
)

from producers.load.modulation import SWING
from producers.load.rates import Level, Rate, plain_number
from producers.load.until import Until, end_s
from schemas.durations import DurationS

Number = Annotated[float, PlainSerializer(plain_number, return_type=Any, when_used="json")]
"""A float that is written without a fraction where it has none."""


class PlanPart(BaseModel):
    """Base of everything in a plan: frozen, strict about its keys, dumped under the keys that the YAML has."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


def _pair(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{value!r} is no pair of rates; give two rates, as in [20, 200]")
    return value


def _zero(value: Any) -> Any:
    return 0 if value == "0s" else value  # as it is written


def _swing(value: Any) -> Any:
    return SWING * value if isinstance(value, bool) else value


Swing = Annotated[
    Number,
    BeforeValidator(_swing),
    Field(ge=0, le=SWING),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": SWING}]}),
]
Role = Literal["measure", "warm-up", "cool-down"]
Rates = Annotated[tuple[Rate, Rate], BeforeValidator(_pair)]


class _Stage(PlanPart):
    form: ClassVar[str]
    name: str = Field(pattern=r"^[^\[\]\s][^\[\]]{0,63}$", description="Labels the stage's requests; no brackets.")
    role: Role = Field(
        "measure", description="Whether findings rest on it; warm-up and cool-down are left out of them."
    )


class Timed(_Stage):
    """A stage that lasts for a time, or until one; `settled` makes the first of the second when a run begins."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["for"]}, {"required": ["until"]}]})

    for_s: DurationS | None = Field(None, alias="for", description="How long.")
    until: Until | None = Field(
        None, description="Instead of `for`: a time of day, like 18:30, of whoever starts the run; or a moment."
    )

    @property
    def duration_s(self) -> float:
        """Seconds."""
        assert self.for_s is not None, "a plan is settled before it is cut"
        return self.for_s

    def until_s(self, after_s: float, tz: tzinfo | None = None) -> float:
        """When it ends, if it says so, in Unix seconds; see `until.end_s`."""
        assert self.until is not None
        return end_s(self.until, after_s, tz)

    @model_validator(mode="after")
    def _for_or_until(self) -> Self:
        if self.for_s is None and self.until is None:
            raise ValueError("the key 'for' is missing; say for how long, as in for: 30s, or until: 18:30")
        if self.for_s is not None and self.until is not None:
            raise ValueError("has for and until at once; a stage has one of them")
        return self


class Hold(Timed):
    """A constant arrival rate."""

    form: ClassVar[str] = "hold"
    hold: Rate


class Ramp(Timed):
    """A rate that changes linearly."""

    form: ClassVar[str] = "ramp"
    ramp: Rates = Field(description="The rates at the beginning and at the end.")


class Levels(_Stage):
    """A few rates, each visited several times in a seeded random order: what growth is measured from."""

    form: ClassVar[str] = "levels"
    levels: tuple[Level, ...] = Field(min_length=1, max_length=64, description="The rates, each once.")
    visits: int = Field(4, ge=1, le=1000, description="Visits of each level.")
    each_s: DurationS = Field(alias="each", description="How long one visit lasts.")
    seed: int = Field(1, ge=0, description="Seed of the order of the visits.")
    modulate: Swing = Field(
        0.0,
        description="Swing the requests' weights by so much of them from visit to visit, to tell endpoints' costs "
        "apart; true: by 0.9. Growth and capacity rest on stages without it, where there are any.",
    )
    settle: Annotated[DurationS | Literal[0] | None, BeforeValidator(_zero)] = Field(
        None, description="How much of a visit's beginning is left out; default: 1s, at most a quarter of the visit."
    )

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.each_s * self.visits * len(self.levels)

    @property
    def settle_s(self) -> float:
        """Seconds at the beginning of a visit that the analysis leaves out."""
        return min(1.0, self.each_s / 4) if self.settle is None else self.settle

    @model_validator(mode="after")
    def _fits(self) -> "Levels":
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("levels names a rate twice; give each once, `visits` repeats them")
        if self.settle_s >= self.each_s:
            raise ValueError("settle leaves nothing of a visit; make it shorter than each")
        return self


class Step(_Stage):
    """A staircase of constant rates."""

    form: ClassVar[str] = "step"
    step: Rates = Field(description="The rates on the first and on the last step.")
    steps: int = Field(5, ge=2, le=1000, description="How many steps.")
    each_s: DurationS = Field(alias="each", description="How long one step lasts.")

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.each_s * self.steps


class Spike(Timed):
    """A base rate, a steep rise to a peak in the middle, the peak held, a steep fall, and the base again."""

    form: ClassVar[str] = "spike"
    spike: Rates = Field(description="The rates at the base and at the peak.")
    peak_s: DurationS = Field(10.0, alias="peak", description="How long the peak is held.")
    rise_s: DurationS = Field(1.0, alias="rise", description="How long the rise takes, and the fall.")

    @model_validator(mode="after")
    def _fits(self) -> "Spike":
        if self.for_s is not None and self.peak_s + 2 * self.rise_s >= self.for_s:
            raise ValueError("peak and twice rise leave no time for the base; make `for` longer")
        return self


class Sine(Timed):
    """A rate that swings between two, beginning at the lower one: the shape of a day."""

    form: ClassVar[str] = "sine"
    sine: Rates = Field(description="The lowest and the highest rate.")
    period_s: DurationS = Field(alias="period", description="From one low to the next.")

    @model_validator(mode="after")
    def _fits(self) -> "Sine":
        if self.for_s is not None and self.for_s / self.period_s > 1000:
            raise ValueError("has over 1000 periods; make period longer")
        return self


class Soak(Timed):
    """A constant rate for long."""

    form: ClassVar[str] = "soak"
    soak: Rate


class Users(Timed):
    """The closed model: users who wait for their answers, think, and send again; the service sets the pace."""

    form: ClassVar[str] = "users"
    users: int = Field(ge=1, le=100_000, description="How many users there are at once.")
    think_s: DurationS | Literal[0] = Field(
        0, alias="think", description="How long a user thinks between an answer and the next request; 0: not at all."
    )


MODELS: dict[str, type[_Stage]] = {model.form: model for model in (Hold, Ramp, Levels, Step, Spike, Sine, Soak, Users)}
_FORMS = ", ".join(MODELS)


def _form_of(value: Any) -> str:
    return str(value.form) if isinstance(value, _Stage) else next(form for form in MODELS if form in value)


def _check_form(value: Any) -> Any:
    """Say plainly what is wrong with a stage whose form cannot be told."""
    if isinstance(value, _Stage):
        return value
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004  pydantic reports a ValueError with its place and lets a TypeError through
            f"{value!r} is no stage; write one like {{name: steady, hold: 100, for: 30s}}"
        )
    known = {field.alias or name for model in MODELS.values() for name, field in model.model_fields.items()}
    forms = [form for form in MODELS if form in value]
    strange = [key for key in value if key not in known]
    if len(forms) > 1:
        raise ValueError(f"has {' and '.join(forms)} at once; a stage has one of {_FORMS}")
    if not forms and strange:
        raise ValueError(f"unknown form {strange[0]!r}; a stage has one of {_FORMS}")
    if not forms:
        raise ValueError(f"has no form; a stage has one of {_FORMS}")
    return value


Stage = Annotated[
    Annotated[Hold, Tag("hold")]
    | Annotated[Ramp, Tag("ramp")]
    | Annotated[Levels, Tag("levels")]
    | Annotated[Step, Tag("step")]
    | Annotated[Spike, Tag("spike")]
    | Annotated[Sine, Tag("sine")]
    | Annotated[Soak, Tag("soak")]
    | Annotated[Users, Tag("users")],
    Discriminator(_form_of),
    BeforeValidator(_check_form),
]
