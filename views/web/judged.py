"""What is told of a run as a whole: its report, the fits behind it, and how far it can be relied upon."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from analysis.costs.growth import Fit
from schemas.stacks import split_frame
from views.facts import RunFacts, read_run
from views.model import Report
from views.profile import ProfileFacts
from views.queries import fetch
from views.ranges import Clock, Part
from views.report import report_of
from views.sentences import trust_lines
from views.web import queries
from views.web.answers import Curve, FunctionPoints, Health, Letter, Producer

MOST_LETTERS = 100
CURVE_POINTS = 40
MOST_POINTS = 1000
_SETTLING_US = 120_000_000
"""An unreadable message that names no run may be of one for so long after its end, or what there is of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A run read whole, once: seconds for an hour at 1,000 requests a second."""

    run: RunFacts
    profile: ProfileFacts
    report: Report

    @classmethod
    def of(cls, client: Client, run: str) -> "Judged":
        """Blocks; raises UnknownRunError or StoreError."""
        facts = read_run(client, run)
        profile = ProfileFacts(client, facts)
        return cls(facts, profile, report_of(client, facts, profile))

    @property
    def used_windows(self) -> frozenset[int]:
        """The windows that growth and cost rest on."""
        rows = [self.run.windows.window[block.rows] for block in self.profile.selection.blocks]
        return frozenset(np.concatenate(rows).tolist()) if rows else frozenset()


def function_points(client: Client, judged: Judged, part: Part, label: str) -> FunctionPoints:
    """A function's CPU per second beside the throughput, a point a profiled window (or bucket) of the range. Blocks."""
    function, file = split_frame(label)
    span = part.span(MOST_POINTS)
    asked = {"run": part.clock.run, **span.parameters, "function": function, "file": file}
    table = fetch(client, queries.FUNCTION.at(span.tier), **asked)
    table = table.filter(pc.greater(table["achieved_tps"], 0))
    buckets = table["bucket"].to_pylist()
    tps, cores = table["achieved_tps"].to_numpy(), table["total_cores"].to_numpy()
    window_us = part.clock.window_us
    used_buckets = {(window * window_us // span.unit_us - span.first) // span.step for window in judged.used_windows}
    used = np.array([bucket in used_buckets for bucket in buckets], dtype=bool)
    growth = judged.profile.growth_of(label)
    curve = None
    sentence = "no growth is told: too few samples, or too few rates"
    if growth.inherits_from:
        sentence = f"what grows in it is {growth.inherits_from}, which it calls"
    elif growth.fit is not None:
        curve = _curve(growth.fit, tps[used], cores[used])
        low, high = growth.fit.low, growth.fit.high
        sentence = f"growth {growth.fit.growth:.2f} [{low:.2f}, {high:.2f}]: {growth.shape}"
    return FunctionPoints(
        label=label,
        t_s=part.times_s(span, buckets),
        tps=tuple(tps),
        cores=tuple(cores),
        used=tuple(np.flatnonzero(used).tolist()),
        curve=curve,
        sentence=sentence,
    )


def _curve(fit: Fit, tps: np.ndarray, cores: np.ndarray) -> Curve | None:
    """Of cores = a * tps ** growth, with `a` such that the sum over the windows is right; the ends of the interval turn
    about their (geometric) middle, where the fit knows most.
    """
    known = tps > 0
    if known.sum() < 2 or not cores[known].sum():
        return None
    tps, cores = tps[known], cores[known]
    middle = float(np.exp(np.log(tps).mean()))
    at_middle = float(cores.sum() / ((tps / middle) ** fit.growth).sum())
    along = np.geomspace(tps.min(), tps.max(), CURVE_POINTS)
    lines = [at_middle * (along / middle) ** slope for slope in (fit.growth, fit.low, fit.high)]
    return Curve(
        tps=tuple(along),
        cores=tuple(lines[0]),
        low=tuple(np.minimum(lines[1], lines[2])),
        high=tuple(np.maximum(lines[1], lines[2])),
    )


def health(client: Client, clock: Clock, report: Report) -> Health:
    """How far a run can be relied upon. Blocks; raises StoreError."""
    ended_at = report.run.ended_at
    ended_us = (clock.last + 1) * clock.window_us if ended_at is None else round(ended_at.timestamp() * 1e6)
    letters = fetch(
        client,
        queries.LETTERS,
        run=clock.run,
        from_us=clock.started_us,
        to_us=ended_us + _SETTLING_US,
        most=MOST_LETTERS,
    ).to_pylist()
    return Health(
        accounting=report.accounting,
        checks=report.checks,
        producers=tuple(
            Producer(
                role=row["role"],
                batches=row["batches_acknowledged"],
                rows=row["rows_acknowledged"],
                lost=row["rows_lost"],
                spooled=row["rows_spooled"],
                died=bool(row["died"]),
                clock_correction_ms=row["clock_correction_us"] / 1e3,
                note=row["note"],
            )
            for row in fetch(client, queries.PRODUCERS, run=clock.run).to_pylist()
        ),
        letters=tuple(
            Letter(
                topic=row["topic"],
                partition=row["partition"],
                offset=row["offset"],
                received_s=(row["received_us"] - clock.started_us) / 1e6,
                bytes=row["bytes"],
                error=row["error"],
            )
            for row in letters
        ),
        warnings=report.warnings,
        trust_lines=trust_lines(report),
    )
