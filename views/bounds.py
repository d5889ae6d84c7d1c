"""What bounds a service, as a run shows it: at a rate that it did not hold, and as its users become more."""

from collections.abc import Sequence

import numpy as np

from analysis.bounds.bottleneck import Bottleneck, bottleneck
from analysis.bounds.ceiling import Ceiling
from analysis.bounds.scalability import Scalability, scalability
from analysis.evidence.blocks import ERROR_SHARE, overrun_of, settled
from analysis.evidence.overrun import mostly_fit
from views import model
from views.facts import RunFacts
from views.load import KEPT_UP, groups_of


def bottleneck_of(run: RunFacts, rows: Sequence[model.LoadRow], ceiling: Ceiling | None) -> Bottleneck | None:
    """At the lowest rate that did not get through, or that the load or the host limited; None if there is none."""
    groups = {
        stage if rate is None else f"{stage}@{rate:g}": found
        for (stage, rate), found in groups_of(run.segments).items()
    }
    behind = [
        row
        for row in rows
        if row.role == "measure"
        and (row.limited or (row.held is False and row.achieved_tps < KEPT_UP * row.offered_tps))
    ]
    if not behind:
        return None
    lowest = min(behind, key=lambda row: row.offered_tps)
    windows = run.windows.at(np.concatenate([run.rows_of(segment) for segment in groups[lowest.stage]]))
    if lowest.limited and mostly_fit(windows) and (overrun := overrun_of(run.windows, run.segments)):
        windows = run.windows.at(np.array(overrun.rows))  # it is not judged because of what came before
    return bottleneck(windows, ceiling, run.host_cores)


def scalability_of(run: RunFacts) -> Scalability | str | None:
    """From stages of users who do not think; None when the plan has fewer than two of them."""
    users = {
        str(stage["name"]): int(stage["users"])
        for stage in run.plan.get("stages") or ()
        if stage.get("users") and not stage.get("think")
    }
    points = []
    for segment in run.segments:
        part = run.windows.at(settled(run.windows, segment))
        seconds = float(part.window_us.sum()) / 1e6
        ended = float((part.completed + part.failed).sum())
        fit = seconds > 0 and mostly_fit(part) and float(part.failed.sum()) <= ERROR_SHARE * ended
        if segment.role == "measure" and segment.stage in users and fit and part.completed.sum():
            points.append((users[segment.stage], float(part.completed.sum()) / seconds))
    return scalability(points) if len(users) > 1 else None
