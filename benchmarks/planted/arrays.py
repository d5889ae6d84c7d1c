"""What a run's growth is fitted from, kept as a small file: its visits, and how often each stack was seen in each.

    python -m benchmarks.planted.arrays DATA_DIR RUN FILE

A process of its own: the embedded store of a data folder serves one process, and a process one folder.
"""

import contextlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from analysis.costs.growth import Experiment
from analysis.evidence.stacks import StackCounts
from sinks.connect import open_client
from views.facts import read_run
from views.profile import ProfileFacts


def write(path: Path, stacks: StackCounts, experiment: Experiment) -> None:
    """Keep them as JSON."""
    on = stacks.member.tocsc()
    labels = [on.indices[on.indptr[at] : on.indptr[at + 1]].tolist() for at in range(on.shape[1])]
    columns = {one.name: getattr(experiment, one.name) for one in fields(experiment)}
    text = {
        "experiment": {name: one.tolist() if isinstance(one, np.ndarray) else one for name, one in columns.items()},
        "functions": stacks.functions,
        "stacks": labels,
        "counts": stacks.counts.astype(int).tolist(),
        "unattributed": stacks.unattributed.astype(int).tolist(),
    }
    path.write_text(json.dumps(text, separators=(",", ":")))


def read(path: Path) -> tuple[StackCounts, Experiment]:
    """What `write` has kept; of each stack it is known which functions are on it, no more in which order."""
    text = json.loads(path.read_text())
    columns: dict[str, Any] = {
        name: np.array(one) if isinstance(one, list) else one for name, one in text["experiment"].items()
    }
    stacks = [[text["functions"][place] for place in places] for places in text["stacks"]]
    counts = np.array([*text["counts"], text["unattributed"]], np.float64)
    return StackCounts.of([*stacks, []], counts), Experiment(**columns)


def main() -> None:
    """Read the store, write the file."""
    data_dir, run_id, path = sys.argv[1:]
    with contextlib.closing(open_client(f"chdb://{data_dir}/store")) as client:
        profile = ProfileFacts(client, read_run(client, run_id))
    write(Path(path), profile.stacks, profile.experiment)


if __name__ == "__main__":
    main()
