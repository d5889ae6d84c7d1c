"""What a report says of time and of size: drift, leaks and changes, what limits, and how many workers are too many."""

from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from analysis.bounds.bound_findings import how_it_scales, what_limits
from analysis.bounds.scalability import Scalability
from analysis.bounds.sizing import Sizing
from analysis.bounds.sizing_findings import right_size
from analysis.finding import Finding
from analysis.over_time.drift import Drifts, drifts
from analysis.over_time.drift_findings import over_time, ranked
from views import model
from views.bounds import bottleneck_of, scalability_of
from views.facts import RunFacts
from views.natural import is_observed
from views.profile import ProfileFacts
from views.soak import read_soak

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class More:
    """Findings over time and of size, and the figures behind them."""

    timed: tuple[Finding, ...]
    sized: tuple[Finding, ...]
    over_time: model.OverTime | None
    sizing: model.Sizing | None

    def among(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """All findings in the order in which they are told."""
        return (*ranked(findings, self.timed), *self.sized)


def more_of(
    client: Client, run: RunFacts, profile: ProfileFacts, rows: Sequence[model.LoadRow], at_tps: float | None
) -> More:
    """Read and judge. Blocks; raises StoreError."""
    soak = read_soak(client, run)
    found = None if soak is None else drifts(soak)
    size = profile.sizing(at_tps)
    limit = None if is_observed(run) else bottleneck_of(run, rows, profile.ceiling)  # nobody tried a rate
    scales = scalability_of(run)
    return More(
        timed=(*(over_time(run.service, found) if found else ()), *profile.growing_with_time),
        sized=(
            *((what_limits(run.service, limit),) if limit else ()),
            *((how_it_scales(run.service, scales),) if isinstance(scales, Scalability) else ()),
            *((right_size(run.service, size),) if size else ()),
        ),
        over_time=_over_time(found) if found else None,
        sizing=_sizing(size) if size else None,
    )


def _sizing(size: Sizing) -> model.Sizing:
    return model.Sizing(
        tps=size.tps,
        cores=size.cores,
        cores_low=size.low,
        cores_high=size.high,
        workers=size.workers,
        workers_needed=size.needed,
        busy_target=size.busy_target,
    )


def _over_time(found: Drifts) -> model.OverTime:
    rows = []
    for rise in found.rises:
        first, last = rise.trend.ends()
        per_hour, low, high = (None if share == float("inf") else share for share in rise.trend.share_per_hour)
        rows.append(
            model.Drift(
                measure=rise.measure,
                of=rise.function,
                first=first,
                last=last,
                per_hour=per_hour,
                per_hour_low=low,
                per_hour_high=high,
                claimed=rise.claimed,
            )
        )
    for leak in found.leaks:
        rates = (rate / _MIB for rate in (leak.bytes_per_hour, leak.low, leak.high))
        per_hour, low, high = rates
        rows.append(
            model.Drift(
                measure="rss",
                of=leak.process,
                first=leak.first_bytes / _MIB,
                last=leak.last_bytes / _MIB,
                per_hour=per_hour,
                per_hour_low=low,
                per_hour_high=high,
                claimed=leak.claimed,
            )
        )
    return model.OverTime(
        tps=found.tps, hours=found.hours, units=found.units, unit_s=found.unit_us / 1e6, drifts=tuple(rows)
    )
