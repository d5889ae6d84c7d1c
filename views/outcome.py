"""What came of the arrivals of a stretch of a run, or of all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from analysis.evidence.blocks import Segment
from analysis.statistics.percentiles import Latencies
from views import model
from views.facts import EndpointFacts, RunFacts

_CHECK = "check "
"""How the names of failed checks begin, among those of errors."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of the arrivals of some segments: `unended` were dropped, or under way when the load ended."""

    endpoints: tuple[EndpointFacts, ...]
    scheduled: int
    dropped: int
    unended: int
    tps: float

    @property
    def completed(self) -> int:
        """Answered as asked."""
        return sum(one.completed for one in self.endpoints)

    @property
    def failed(self) -> int:
        """Ended otherwise."""
        return sum(one.failed for one in self.endpoints)

    def error_rate(self, endpoint: str | None = None) -> float | None:
        """Failed requests of those that ended; None when none did."""
        mine = self._of(endpoint)
        ended = sum(one.completed + one.failed for one in mine)
        return sum(one.failed for one in mine) / ended if ended else None

    def check_rate(self, endpoint: str | None = None) -> float | None:
        """Answers as asked, of those and the ones that failed a check; None when there are none."""
        mine = self._of(endpoint)
        passed = sum(one.completed for one in mine)
        checked = passed + sum(count for one in mine for name, count in one.errors.items() if name.startswith(_CHECK))
        return passed / checked if checked else None

    def tps_of(self, endpoint: str | None) -> float:
        """Throughput, of one endpoint by its part of what was answered as asked."""
        if endpoint is None:
            return self.tps
        return self.tps * sum(one.completed for one in self._of(endpoint)) / max(self.completed, 1)

    def latencies(self, endpoint: str | None = None) -> Latencies:
        """Latencies with the unended as censored; an endpoint bears those in proportion to what ended of it."""
        mine = self._of(endpoint)
        if endpoint is not None and not mine:
            return Latencies.of(())
        ended = self.completed + self.failed
        part = sum(one.completed + one.failed for one in mine) / ended if ended else 1.0
        lost = Latencies.of((), [(0.0, ceil(self.unended * part))])
        return Latencies.merged([*(one.latencies for one in mine), lost])

    def _of(self, endpoint: str | None) -> tuple[EndpointFacts, ...]:
        return tuple(one for one in self.endpoints if endpoint in (None, one.endpoint))


def whole_outcome(run: RunFacts, rows: Sequence[model.LoadRow]) -> Outcome:
    """Of the whole run; its throughput is that of the stage that got through most."""
    dropped = run.total("dropped")
    return Outcome(
        run.endpoints,
        run.total("scheduled"),
        dropped,
        dropped + run.in_flight_at_end,
        max((row.achieved_tps for row in rows), default=0.0),
    )


def outcome_of(run: RunFacts, segments: Sequence[Segment]) -> Outcome:
    """Of some segments. What was under way when the load ended counts as the last one's."""
    windows = run.windows.at(np.concatenate([run.rows_of(segment) for segment in segments]))
    seconds = float(windows.window_us.sum()) / 1e6
    last_label = max(run.segments, key=lambda segment: segment.ends_us).label
    labels = {segment.label for segment in segments}
    dropped = int(windows.dropped.sum())
    return Outcome(
        tuple(one for one in run.endpoints if one.label in labels),
        int(windows.scheduled.sum()),
        dropped,
        dropped + (run.in_flight_at_end if last_label in labels else 0),
        float(windows.completed.sum()) / seconds if seconds else 0.0,
    )
