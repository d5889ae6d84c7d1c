"""What a process shows of itself, as Prometheus and a supervisor read it."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.polling import wait_until

Health = tuple[int, str, str]
"""HTTP status, state, sentence."""


def address_in(log: Path) -> str:
    """Where a process serves that was told to take a free port: its log says so."""

    def found() -> list[str]:
        lines = [json.loads(line) for line in log.read_text().split("\n")[:-1] if line.startswith("{")]
        return [line["url"] for line in lines if "url" in line]

    wait_until(lambda: bool(found()), 60, f"an address in {log}")
    return found()[0].removesuffix("/metrics")


def metrics_at(address: str) -> dict[str, float]:
    """Each metric of ours by its name, summed over its labels; buckets left out."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("loadflame_") and not sample.name.endswith("_bucket"):
                name = sample.name.removeprefix("loadflame_")
                found[name] = found.get(name, 0.0) + sample.value
    return found


def health_at(address: str) -> Health:
    """What /healthz says."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    said = json.loads(body)
    return status, said["status"], said["sentence"]
