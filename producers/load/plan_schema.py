"""The plan's JSON Schema, for editors and other programs. `python -m producers.load.plan_schema` writes the file."""

import json
from pathlib import Path
from typing import Any

from producers.load.plan import Plan

PATH = Path(__file__).with_name("plan.schema.json")


def plan_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) that every plan keeps; rules across keys are checked by `load_plan` only."""
    schema = Plan.model_json_schema(by_alias=True)
    schema["required"] = ["target", "stages", "requests"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "loadflame plan"}


def text() -> str:
    """The schema as JSON text."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
