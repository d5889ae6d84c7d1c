"""A plan as it is once a run begins: every rate in requests per second, every stage with its length."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from pydantic import ValidationError

from producers.load.bodies import LargeBody
from producers.load.plan import Plan, Request
from producers.load.plan_errors import PlanError, sentence
from producers.load.prepared import PreparedRequest, prepared_requests
from producers.load.rates import HIGHEST_TPS, BytesPerS
from producers.load.stages import Stage, Timed


def settled(plan: Plan, start_us: int, tz: tzinfo | None = None) -> Plan:
    """The plan of a run that begins at `start_us`, `until` and rates in bytes worked out.

    `start_us` is in Unix microseconds by the clock of the run, which is the host's unless that is notably off from
    Kafka's: then `until` means Kafka's time, too, so that all hosts of a run end a stage together.

    What a request moves is its body, as the first arrival has it, and the `answer_size` that the plan declares; headers
    are left out. A plan's requests count by their weights, over all visits where these swing. A settled plan stays as
    it is. Times of day are those of `tz`, by default of this machine. Raises PlanError when a stage would end before
    it begins, or sizes are not known.
    """
    stages: list[Stage] = []
    at_s = start_us / 1e6
    in_bytes = any(isinstance(rate, BytesPerS) for stage in plan.stages for rate in _rates(stage))
    mean_bytes = _mean_bytes(plan) if in_bytes else 0.0
    for stage in plan.stages:
        done = _with_length(_in_tps(stage, mean_bytes), at_s, tz)
        at_s += done.duration_s
        stages.append(done)
    return plan.model_copy(update={"stages": tuple(stages)})


def _with_length(stage: Stage, at_s: float, tz: tzinfo | None) -> Stage:
    if not isinstance(stage, Timed) or stage.until is None:
        return stage
    left_s = stage.until_s(at_s, tz) - at_s
    if left_s <= 0:
        raise PlanError(
            f"stage {stage.name}: `until: {stage.until}` is over before the stage begins; choose a later end"
        )
    return _changed(stage, {"for_s": round(left_s, 6), "until": None})


def _rates(stage: Stage) -> tuple[Any, ...]:
    value = getattr(stage, stage.form)
    return value if isinstance(value, tuple) else (value,)


def _in_tps(stage: Stage, mean_bytes: float) -> Stage:
    rates = _rates(stage)
    if not any(isinstance(rate, BytesPerS) for rate in rates):
        return stage
    tps = tuple(rate.size / mean_bytes if isinstance(rate, BytesPerS) else rate for rate in rates)
    if max(tps) > HIGHEST_TPS:
        raise PlanError(
            f"stage {stage.name}: {rates[tps.index(max(tps))]} are {max(tps):.4g} requests of {mean_bytes:.4g} bytes "
            f"per second; {HIGHEST_TPS:.0f} is the most"
        )
    return _changed(stage, {stage.form: tps if isinstance(getattr(stage, stage.form), tuple) else tps[0]})


def _changed(stage: Stage, changes: Mapping[str, object]) -> Stage:
    """The stage with other values, checked as if it had been written so."""
    try:
        return type(stage).model_validate({**dict(stage), **changes})
    except ValidationError as error:
        raise PlanError(f"stage {stage.name}: {sentence(error, type(stage))}") from error


def _mean_bytes(plan: Plan) -> float:
    """What a request of the plan's mix moves."""
    sizes = [_moved_bytes(*both) for both in zip(plan.requests, prepared_requests(plan), strict=True)]
    weights = [request.weight for request in plan.requests]
    mean = sum(size * weight for size, weight in zip(sizes, weights, strict=True)) / sum(weights)
    if not mean:
        raise PlanError("a rate in bytes needs requests that move some; give one a body or an `answer_size`")
    return mean


def _moved_bytes(request: Request, prepared: PreparedRequest) -> int:
    body = prepared.body.size if isinstance(prepared.body, LargeBody) else prepared.body_for(0)
    if body is None and request.answer_size is None:
        raise PlanError(
            f"request {request.name}: a rate in bytes needs to know how much it moves; give it a body, or say how long "
            "its answer is, as in `answer_size: 10MiB`"
        )
    return (body if isinstance(body, int) else len(body or b"")) + (request.answer_size or 0)
