"""The file format of speedscope (https://www.speedscope.app), version 0.0.1: a sampled profile in microseconds."""

import json
from typing import Any

from schemas.stacks import split_frame
from views.stacks import RangeStacks

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(found: RangeStacks, *, name: str) -> str:
    """As JSON; `name` stands above the profile. Weights are CPU, the samples are in no order of time."""
    places: dict[str, int] = {}
    samples, weights = [], []
    for one in found.merged():
        samples.append([places.setdefault(frame, len(places)) for frame in one.frames])
        weights.append(one.cpu_us)
    profile: dict[str, Any] = {
        "type": "sampled",
        "name": name,
        "unit": "microseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    return json.dumps(
        {
            "$schema": SCHEMA,
            "exporter": "loadflame",
            "name": name,
            "activeProfileIndex": 0,
            "shared": {"frames": [_frame(label) for label in places]},
            "profiles": [profile],
        }
    )


def _frame(label: str) -> dict[str, str]:
    function, file = split_frame(label)
    return {"name": function, "file": file} if file else {"name": function}
