"""The small print of a report in words: where every request went, and how far the figures can be trusted."""

from collections.abc import Iterable

from analysis.wording import count
from views.model import Function, Report
from views.natural import accounted

Line = tuple[str, str]


def accounting_lines(report: Report) -> tuple[Line, ...]:
    """Where every arrival went, and whether the sums close."""
    told = report.accounting
    ended = told.completed + told.failed
    sums = told.scheduled == ended + told.dropped + told.in_flight_at_end
    parts = [f"{told.completed:,} answered", f"{told.failed:,} failed", f"{told.dropped:,} dropped"]
    if told.in_flight_at_end:
        parts.append(f"{told.in_flight_at_end:,} under way at the end")
    requests = f"{told.scheduled:,} scheduled {'=' if sums else '≠'} {' + '.join(parts)}"
    if report.run.observed:
        requests = accounted(told)
    if told.target_counted is not None:
        same = "the same" if told.target_counted == told.sent else f"it counted {told.target_counted:,}"
        requests += f"; {told.sent:,} sent, and the service says {same}"
    kept = "all of them" if told.stored == ended else f"of {ended:,}"
    stored = f"{told.stored:,} outcomes, {kept}; {count(told.dead_letters, 'dead letter')}"
    if told.lost:
        stored += f"; {told.lost:,} lost"
    late = f", {told.late} joined again after a late batch" if told.late else ""
    without = f"{told.windows_without_profile} without a profile{late}"
    return ("requests", requests), ("stored", stored), ("windows", f"{told.windows} joined, {without}")


def trust_lines(report: Report) -> tuple[Line, ...]:
    """What measuring cost, and how much of the service it saw."""
    generator, profile = report.generator, report.profile
    lag = "" if generator.send_lag_p99_ms is None else f"sends p99 {generator.send_lag_p99_ms:.2f} ms late, "
    limited = "; it limited the run" if generator.limited else ""
    load = f"{generator.engine}: {lag}{generator.cpu_share:.0%} of a core{limited}"
    backends = ", ".join(sorted({one.backend for one in profile.instances})) or "none"
    watched = (
        f"{backends} on {count(len(profile.instances), 'process', 'processes')}: "
        f"{profile.coverage:.1%} of the time, {count(profile.samples, 'sample')}, "
        f"{profile.agent_cpu_share:.1%} of a core; {profile.unattributed_share:.1%} of the service's CPU unattributed"
    )
    why = (("engine", f"{generator.engine}: {generator.reason}"),) if generator.reason else ()
    return *why, ("load", load), ("profile", watched), ("service", f"{profile.service_cpu_cores:.2f} cores on average")


def footnotes(report: Report, shown: Iterable[Function]) -> tuple[str, ...]:
    """How the figures were made; `shown` are the functions that the reader sees."""
    notes = []
    growth = report.growth
    if growth.left_out:
        notes.append(f"Left out of growth and cost: {'; '.join(growth.left_out)}.")
    if growth.design == "levels":
        notes.append(
            f"Growth and its 95% interval: {growth.blocks} visits in random order, seconds to settle left out."
        )
    elif growth.design == "ramp" and report.run.observed:
        notes.append("Rate, mix and hour moved as they would (plain traffic), so no shape is claimed.")
    elif growth.design == "ramp":
        notes.append("Time and rate moved together (a ramp), so no shape is claimed: run levels.")
    if any(one.inherits_from for one in shown):
        notes.append("↳ judged without the growing function that it calls.")
    notes.append("CPU and requests are joined by time window: correlated, not traced.")
    return tuple(notes)
