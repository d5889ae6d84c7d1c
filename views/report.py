"""The report of a run, from the store."""

from collections import Counter

from clickhouse_connect.driver.client import Client

from analysis import wording
from analysis.bounds.capacity import measured
from analysis.costs.growth import fit_process
from analysis.endpoints.attribution import Cost
from analysis.endpoints.endpoint_findings import endpoint_findings
from analysis.evidence.limits import LIMITED_SHARE, generator_limited, host_limited
from analysis.finding import Finding
from analysis.findings import Case, find
from analysis.judging.verdict import Course, judge
from analysis.waiting.slow_findings import placed
from schemas.events import counted_by_target
from views import model, queries
from views.attribution import Paid, read_paid
from views.facts import RunFacts, read_run
from views.load import KEPT_UP, load_rows
from views.model import Report
from views.more import more_of
from views.natural import endpoints_note, has_schedule, is_observed
from views.outcome import whole_outcome
from views.profile import ProfileFacts
from views.slow import findings_of
from views.thresholds import judged
from views.warnings import left_out, warnings_of

__all__ = ["Report", "build_report", "report_of"]

MOST_FUNCTIONS = 80
MOST_ERRORS = 100
LEAST_SELF_SHARE, LEAST_TOTAL_SHARE = 0.003, 0.02


def build_report(client: Client, run_id: str, *, at_tps: float | None = None) -> Report:
    """Build the report of a run. Blocks: seconds for an hour at 1,000 requests a second.

    `at_tps` is the rate to size the service for, by default the highest that was measured. Raises UnknownRunError,
    which names the newest runs, and StoreError when the store does not answer.
    """
    run = read_run(client, run_id)
    return report_of(client, run, ProfileFacts(client, run), at_tps=at_tps)


def report_of(client: Client, run: RunFacts, profile: ProfileFacts, *, at_tps: float | None = None) -> Report:
    """The same from what was read before."""
    rows = load_rows(run)
    outcome = whole_outcome(run, rows)
    thresholds = judged(client, run, outcome)
    load = run.windows.at(run.load)
    by_generator, by_host = generator_limited(load), host_limited(load)
    accounting = _accounting(run)
    checks = tuple(model.Check(**row) for row in queries.fetch(client, queries.CHECKS, run=run.id).to_pylist())
    verdict, why = judge(
        Course(
            reason=run.reason,
            is_broken_off=run.is_broken_off,
            windows=len(load),
            generator_limited=int(by_generator.sum()),
            host_limited=int(by_host.sum()),
            ended_requests=accounting.completed + accounting.failed,
            lost_rows=accounting.lost,
            thresholds=[threshold.held for threshold in thresholds],
            load_processes=sum(one["role"] == "load" for one in run.producers),
            died=sum(bool(one["died"]) for one in run.producers if one["role"] == "load"),
            observed=is_observed(run),
            broken=[f"{check.name}: {check.sentence}" for check in checks if check.ok is False],
        )
    )
    paid = read_paid(client, run, profile.figures)
    by_endpoint = endpoint_findings(profile.figures, paid.costs, paid.alone)
    seen = measured([(row.achieved_tps, bool(row.held)) for row in rows if row.role == "measure"])
    more = more_of(client, run, profile, rows, at_tps)
    found = (*find(_case(run, profile, rows, seen)), *by_endpoint)
    return Report(
        run=model.Run(
            id=run.id,
            service=run.service,
            started_at=run.started_at,
            ended_at=run.ended_at,
            verdict=verdict,
            why=why,
            target=run.target,
            observed=is_observed(run),
        ),
        accounting=accounting,
        load=rows,
        generator=_generator(run, limited=int(by_generator.sum()) > LIMITED_SHARE * len(load)),
        profile=_profile(run),
        functions=_functions(profile, paid),
        findings=tuple(map(_row, more.among(placed(found, findings_of(client, run))))),
        capacity=_capacity(profile, seen),
        thresholds=thresholds,
        errors=_errors(run),
        growth=_growth(profile),
        endpoints_note=endpoints_note(run, paid.note, seen=paid.seen) if profile.figures else "",
        warnings=warnings_of(run, profile, accounting, rows, by_generator=by_generator, by_host=by_host),
        checks=checks,
        over_time=more.over_time,
        sizing=more.sizing,
    )


def _accounting(run: RunFacts) -> model.Accounting:
    load = run.windows.at(run.load)
    stored = int(run.batches["stored"] or 0)
    acknowledged = sum(one["rows_acknowledged"] for one in run.producers if one["role"] == "load")
    given_up = sum(one["rows_lost"] for one in run.producers if one["role"] == "load")
    ended_by_windows = run.windows.completed.sum(), run.windows.failed.sum()
    told = any(one["completed"] is not None for one in run.producers)
    completed, failed = (run.total("completed"), run.total("failed")) if told else map(int, ended_by_windows)
    return model.Accounting(
        scheduled=run.total("scheduled"),
        sent=run.total("sent"),
        completed=completed,
        failed=failed,
        dropped=run.total("dropped"),
        stored=stored,
        late=run.late_windows,
        dead_letters=run.dead_letters,
        windows=len(load),
        windows_without_profile=int((load.instances == 0).sum()),
        in_flight_at_end=run.in_flight_at_end,
        lost=max(0, completed + failed - stored) if told else given_up + max(0, acknowledged - stored),
        target_counted=counted_by_target(one["target_counted"] for one in run.producers if one["role"] == "load"),
    )


def _generator(run: RunFacts, *, limited: bool) -> model.Generator:
    load = run.windows.at(run.load)
    return model.Generator(
        engine=run.engine,
        send_lag_p99_ms=run.send_lag_p99_ms if has_schedule(run) else None,
        cpu_share=float(load.generator_cpu_us.sum() / max(load.window_us.sum(), 1)),
        limited=limited,
        reason=run.engine_reason,
    )


def _profile(run: RunFacts) -> model.Profile:
    load = run.windows.at(run.load)
    load_us = max(int(load.window_us.sum()), 1)
    service_us = max(int(load.cpu_us.sum()), 1)
    instances_us = max(sum(int(one["cpu_us"]) for one in run.instances), 1)
    return model.Profile(
        coverage=float((load.covered_us / load.window_us).clip(0, 1).mean()) if len(load) else 0.0,
        agent_cpu_share=float(load.agent_cpu_us.sum()) / load_us,
        service_cpu_cores=float(load.cpu_us.sum()) / load_us,
        unattributed_share=float(load.unattributed_us.sum()) / service_us,
        samples=int(load.samples.sum()),
        instances=tuple(
            model.Instance(
                instance=one["instance"],
                pid=one["pid"],
                backend=one["backend"],
                timing=one["timing"],
                threads=one["threads"],
                cpu_share=int(one["cpu_us"]) / instances_us,
                rss_bytes=one["rss_bytes"],
            )
            for one in run.instances
        ),
    )


def _functions(profile: ProfileFacts, paid: Paid) -> tuple[model.Function, ...]:
    """Those that weigh something, the hottest in itself first; growing ones are there however small."""
    rows = []
    for label, figures in profile.figures.items():
        growth = profile.growth_of(label)
        weighs = figures.self_share >= LEAST_SELF_SHARE or figures.total_share >= LEAST_TOTAL_SHARE
        if not weighs and label not in profile.growths.culprits:
            continue
        fit = figures.fit
        rows.append(
            model.Function(
                function=figures.function,
                file=figures.file,
                self_share=figures.self_share,
                total_share=figures.total_share,
                self_us_per_request=figures.self_us,
                total_us_per_request=figures.us,
                us_low=figures.us_low,
                us_high=figures.us_high,
                samples=figures.samples,
                growth=fit.growth if fit else None,
                growth_low=fit.low if fit else None,
                growth_high=fit.high if fit else None,
                shape=figures.shape,
                us_at_lowest=figures.us_lowest,
                us_at_highest=figures.us_highest,
                inherits_from=growth.inherits_from,
                part_of=growth.part_of,
                endpoints=tuple(map(_endpoint, paid.costs.get(label, ()))),
            )
        )
    return tuple(rows[:MOST_FUNCTIONS])


def _endpoint(cost: Cost) -> model.EndpointCost:
    return model.EndpointCost(
        endpoint=cost.endpoint,
        us_per_request=cost.us,
        us_low=cost.us_low,
        us_high=cost.us_high,
        share=cost.share,
        share_low=cost.share_low,
        share_high=cost.share_high,
        unknown_share=cost.unknown_share,
    )


def _case(run: RunFacts, profile: ProfileFacts, rows: tuple[model.LoadRow, ...], seen: float | None) -> Case:
    judged_rows = [row for row in rows if row.held is False and row.role == "measure"]
    behind = [row for row in judged_rows if row.achieved_tps < KEPT_UP * row.offered_tps]
    return Case(
        service=run.service,
        design=profile.selection.design,
        experiment=profile.experiment,
        functions=profile.figures,
        culprits=profile.growths.culprits,
        process=fit_process(profile.experiment),
        prediction=profile.prediction,
        limited_by=profile.ceiling.limited_by if profile.ceiling else "",
        measured_tps=seen,
        overloaded=min(((row.offered_tps, row.achieved_tps) for row in behind), default=None),
        has_thresholds=bool(run.thresholds),
        left_out="; ".join(left_out(profile.selection)),
        tested=profile.tested,
        observed=is_observed(run),
    )


def _row(finding: Finding) -> model.FindingRow:
    return model.FindingRow(
        kind=finding.kind, summary=finding.summary, function=finding.function, evidence=dict(finding.evidence)
    )


def _capacity(profile: ProfileFacts, seen: float | None) -> model.Capacity:
    prediction = profile.prediction
    if prediction is None:
        return model.Capacity(
            max_tps_within_thresholds=seen,
            predicted_tps=None,
            predicted_low=None,
            predicted_high=None,
            limited_by=None,
        )
    return model.Capacity(
        max_tps_within_thresholds=seen,
        predicted_tps=prediction.limit.tps,
        predicted_low=prediction.limit.low,
        predicted_high=prediction.limit.high,
        limited_by=profile.ceiling.limited_by if profile.ceiling else None,
        what_if=tuple(
            model.WhatIf(
                function=change.function,
                change=f"made linear: {wording.us(change.us)} per request at every rate",
                tps=change.limit.tps,
                tps_low=change.limit.low,
                tps_high=change.limit.high,
            )
            for change in prediction.what_ifs
        ),
    )


def _errors(run: RunFacts) -> tuple[model.ErrorRow, ...]:
    """By endpoint, all stages together; the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in run.endpoints:
        for error, requests in one.errors.items():
            counts[one.endpoint, error] += requests
    return tuple(
        model.ErrorRow(endpoint=endpoint, error=error, requests=requests)
        for (endpoint, error), requests in counts.most_common(MOST_ERRORS)
    )


def _growth(profile: ProfileFacts) -> model.Growth:
    rates = profile.selection.level_tps
    return model.Growth(
        design=profile.selection.design,
        lowest_tps=min(rates, default=None),
        highest_tps=max(rates, default=None),
        blocks=len(profile.selection.blocks),
        left_out=left_out(profile.selection),
    )
