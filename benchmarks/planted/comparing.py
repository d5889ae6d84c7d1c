"""Compare groups of runs of one store as `loadflame diff` does: a line of JSON in for each, a line out.

    python -m benchmarks.planted.comparing DATA_DIR < groups.jsonl

A process of its own: the embedded store of a data folder serves one process, and a process one folder.
"""

import contextlib
import json
import sys
from typing import Any

from sinks.connect import open_client
from views.difference.build import build_difference
from views.difference.model import Change, Difference


def summary(found: Difference) -> dict[str, Any]:
    """What of a comparison is told as a difference, and the least that would have been found."""
    of_functions = [
        (one.function, what, change)
        for one in found.functions
        for what, change in (("self", one.self_us), ("total", one.total_us))
    ]
    of_service = [] if found.cpu_us is None else [("", "service", found.cpu_us)]
    latencies = [(one.endpoint, one.percentile, one.ms) for one in found.latency]
    method = found.method
    return {
        "outcome": found.outcome,
        "told": [
            (name, what, change.verdict)
            for name, what, change in (*of_service, *of_functions, *latencies)
            if _is_told(change)
        ],
        "worse": [one.function for one in found.functions if one.is_regression],
        "shares": {one.function: one.base_share for one in found.functions},
        "runs": (len(found.base.runs), len(found.new.runs)),
        "spread": method.spread_between_runs if method else None,
        "detectable": found.minimum_detectable.function_of_10_percent,
    }


def _is_told(change: Change) -> bool:
    return change.verdict not in ("none", "unclear")


def main() -> None:
    """Read, compare, write."""
    with contextlib.closing(open_client(f"chdb://{sys.argv[1]}/store")) as client:
        for line in sys.stdin:
            groups = json.loads(line)
            found = summary(build_difference(client, groups["base"], groups["new"]))
            print(json.dumps(groups | found), flush=True)


if __name__ == "__main__":
    main()
