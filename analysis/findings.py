"""Findings in plain sentences, the dearest first. That there is none is said as well.

CPU and requests meet in time windows. Where the rates were visited in random order a growth is an effect of the rate;
everything else is called what it is: seen together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis import wording
from analysis.bounds.capacity import Prediction, WhatIf
from analysis.costs.growth import SUPERLINEAR_ABOVE, Experiment, Fit
from analysis.evidence.blocks import Design
from analysis.finding import HOT_SHARE, RELATION, Evidence, Figures, Finding

STOPS_SHARE = 0.25
EXTRAPOLATED = 1.5
OBSERVED = (
    "Hour, mix and caches moved with the traffic, so the rate need not be why: `loadflame run` with a `levels` stage, "
    "against a copy of the service, tells them apart."
)


@dataclass(frozen=True, slots=True)
class Case:
    """All that findings are made from. `culprits` are labels of functions that grow of their own (see folding).

    `overloaded` is the lowest rate (offered, achieved) that the service could not keep up with.
    """

    service: str
    design: Design
    experiment: Experiment
    functions: Mapping[str, Figures]
    culprits: Sequence[str] = ()
    process: Fit | None = None
    prediction: Prediction | None = None
    limited_by: str = ""
    measured_tps: float | None = None
    overloaded: tuple[float, float] | None = None
    has_thresholds: bool = True
    left_out: str = ""
    tested: int = 0
    observed: bool = False
    """Whether the requests came by themselves: then time, rate and mix moved as they would."""


def find(case: Case) -> tuple[Finding, ...]:
    """Every finding of a run, ranked by what it costs: one is there always, which says so when nothing was found.

    What grows comes first, by the CPU that it takes where the service ends; then the process as a whole, which includes
    it, the capacity, which follows from both, and the hottest function, which costs the same at every rate.
    """
    growing = _growing(case)
    first = growing or (_none(case),)
    others = (_process(case), _capacity(case), _hottest(case))
    return (*first, *(finding for finding in others if finding is not None))


def _growing(case: Case) -> tuple[Finding, ...]:
    def cost(label: str) -> tuple[bool, float]:
        figures = case.functions[label]
        at_limit = case.prediction.shares.get(label, 0.0) if case.prediction else 0.0
        return not figures.plumbing, at_limit or (figures.us_highest or figures.us)

    labels = sorted((label for label in case.culprits if label in case.functions), key=cost, reverse=True)
    make = _superlinear if case.design == "levels" else _indicative
    return tuple(make(case, label, leads=place == 0) for place, label in enumerate(labels))


def _superlinear(case: Case, label: str, *, leads: bool) -> Finding:
    figures, prediction = case.functions[label], case.prediction
    what_if = _what_if(case, label)
    costs = _costs(case, figures)
    if leads and prediction and prediction.shares.get(label, 0) >= STOPS_SHARE and not figures.plumbing:
        text = (
            f"{figures.named} stops {case.service} at about {wording.tps(prediction.limit.tps)} TPS: it costs {costs}"
        )
        text += f"; made linear, expect {_interval(what_if)} TPS." if what_if else "."
    else:
        text = f"{figures.named} gets dearer as the rate rises: it costs {costs}"
        if what_if and prediction:
            text += f"; made linear, expect {_interval(what_if)} instead of {wording.tps(prediction.limit.tps)} TPS"
        text += "."
    return Finding("superlinear", text, label, _evidence(case, figures))


def _indicative(case: Case, label: str, *, leads: bool) -> Finding:
    del leads
    figures = case.functions[label]
    if case.observed:
        text = (
            f"Seen together: {figures.named} took more CPU per request while more requests came, "
            f"{_costs(case, figures)}. {OBSERVED}"
        )
        return Finding("indicative", text, label, _evidence(case, figures))
    text = (
        f"Indicative only: {figures.named} seems to get dearer as the rate rises: {_costs(case, figures)}. Time and "
        "rate moved together in this run; add a `levels` stage to tell them apart."
    )
    return Finding("indicative", text, label, _evidence(case, figures))


def _costs(case: Case, figures: Figures) -> str:
    text = f"{wording.us(figures.us)} per request"
    if figures.us_lowest is not None and figures.us_highest is not None:
        low_tps, high_tps = (wording.tps(tps) for tps in _span(case.experiment))
        lowest, highest = wording.us(figures.us_lowest), wording.us(figures.us_highest)
        text = f"{lowest} per request at {low_tps} TPS and {highest} at {high_tps} TPS"
    fit = figures.fit
    return f"{text} (growth {wording.growth(fit.growth, fit.low, fit.high)})" if fit else text


def _span(experiment: Experiment) -> tuple[float, float]:
    return float(experiment.level_tps.min()), float(experiment.level_tps.max())


def _what_if(case: Case, label: str) -> WhatIf | None:
    changes = case.prediction.what_ifs if case.prediction else ()
    return next((change for change in changes if change.function == label), None)


def _interval(change: WhatIf) -> str:
    limit = change.limit
    ends = (None if end is None else wording.tps(end) for end in (limit.low, limit.high))
    return wording.between(wording.tps(limit.tps), *ends)


def _evidence(case: Case, figures: Figures) -> Evidence:
    lowest_tps, highest_tps = _span(case.experiment)
    fit, prediction = figures.fit, case.prediction
    change = _what_if(case, figures.label)
    return {
        "lowest_tps": lowest_tps,
        "highest_tps": highest_tps,
        "us_per_request_lowest": figures.us_lowest,
        "us_per_request_highest": figures.us_highest,
        "growth": fit.growth if fit else None,
        "growth_low": fit.low if fit else None,
        "growth_high": fit.high if fit else None,
        "growth_relative_to_rest": fit.relative if fit else None,
        "growth_of_cpu_time": fit.absolute if fit else None,
        "samples": figures.samples,
        "visits": len(case.experiment.tps),
        "randomised": case.experiment.randomised,
        "limit_tps": prediction.limit.tps if prediction else None,
        "limit_low": prediction.limit.low if prediction else None,
        "limit_high": prediction.limit.high if prediction else None,
        "limit_tps_if_linear": change.limit.tps if change else None,
        "limit_low_if_linear": change.limit.low if change else None,
        "limit_high_if_linear": change.limit.high if change else None,
        "share_at_limit": prediction.shares.get(figures.label) if prediction else None,
        "relation": RELATION,
    }


def _none(case: Case) -> Finding:
    visits = len(case.experiment.tps)
    evidence: Evidence = {"visits": visits, "functions": case.tested, "design": case.design}
    left_out = f" Left out: {case.left_out}." if case.left_out else ""
    remedy = "add a `levels` stage with four rates over an eightfold range"
    if case.observed:
        remedy = "`loadflame run` with a `levels` stage, against a copy of the service, tells"
    if case.design == "unfit":
        return Finding(
            "none", f"No finding about growth: no part of the run is fit to tell it.{left_out}", None, evidence
        )
    if case.design == "steady" or (case.experiment.lacks and case.design != "levels"):
        text = f"No finding about growth: the rate hardly changed; {remedy}.{left_out}"
        return Finding("none", text, evidence=evidence)
    if case.experiment.lacks:
        return Finding("none", f"No finding about growth: {case.experiment.lacks}.{left_out}", None, evidence)
    low_tps, high_tps = (wording.tps(tps) for tps in _span(case.experiment))
    if not case.tested:
        return Finding(
            "none",
            f"No finding about growth: between {low_tps} and {high_tps} TPS no function of {case.service} had samples "
            f"enough to tell; let the visits last longer, or try higher rates.{left_out}",
            evidence=evidence,
        )
    if case.observed:
        tested = f"{wording.count(case.tested, 'function')} with samples enough to tell"
        text = (
            f"No finding: no function of {case.service} took more CPU per request while more requests came, between "
            f"{low_tps} and {high_tps} TPS ({tested}).{left_out}"
        )
        return Finding("none", text, evidence=evidence)
    text = (
        f"No finding: no function of {case.service} got dearer per request between {low_tps} and {high_tps} TPS "
        f"({wording.count(visits, 'visit')}, {wording.count(case.tested, 'function')} with samples enough to tell)."
        f"{left_out}"
    )
    return Finding("none", text, evidence=evidence)


def _process(case: Case) -> Finding | None:
    fit, experiment = case.process, case.experiment
    if fit is None or fit.low <= SUPERLINEAR_ABOVE:
        return None
    lowest, highest = _span(experiment)
    costs = []
    for level in (lowest, highest):
        there = experiment.level_tps == level
        costs.append(float(experiment.cpu_us[there].sum() / experiment.completed[there].sum()))
    at_lowest, at_highest = (
        f"{wording.us(us)}{words} at {wording.tps(rate)} TPS"
        for us, words, rate in zip(costs, (" of CPU per request", ""), (lowest, highest), strict=True)
    )
    grown = wording.growth(fit.growth, fit.low, fit.high)
    text = f"{case.service} as a whole gets dearer: {at_lowest}, {at_highest} (growth {grown})."
    if case.design != "levels":
        text = f"Seen together: {text} {OBSERVED}" if case.observed else "Indicative only: " + text
    evidence: Evidence = {
        "lowest_tps": lowest,
        "highest_tps": highest,
        "us_per_request_lowest": costs[0],
        "us_per_request_highest": costs[1],
        "growth": fit.growth,
        "growth_low": fit.low,
        "growth_high": fit.high,
        "visits": len(experiment.tps),
    }
    return Finding("process-growth", text, evidence=evidence)


def _capacity(case: Case) -> Finding | None:
    prediction = case.prediction
    held = "its thresholds" if case.has_thresholds else "up"
    seen = f"{case.service} held {held} at {wording.tps(case.measured_tps)} TPS" if case.measured_tps else ""
    if case.overloaded:
        offered, achieved = (wording.tps(rate) for rate in case.overloaded)
        seen = f"{seen}, and" if seen else case.service
        seen += f" got through {achieved} when offered {offered}"
    offered_tps, achieved_tps = case.overloaded or (None, None)
    evidence: dict[str, float | int | str | bool | None] = {
        "held_tps": case.measured_tps,
        "overloaded_offered_tps": offered_tps,
        "overloaded_achieved_tps": achieved_tps,
    }
    if prediction is None:
        highest = "" if case.overloaded else ", the highest rate that did"
        return Finding("capacity", f"{seen}{highest}.", evidence=evidence) if seen else None
    limit = prediction.limit
    ends = (None if end is None else wording.tps(end) for end in (limit.low, limit.high))
    bound = f"CPU time runs out at about {wording.between(wording.tps(limit.tps), *ends)} TPS ({case.limited_by})"
    far = ""
    if prediction.beyond > EXTRAPOLATED:
        far = f" That is {prediction.beyond:.1f} times the highest rate tried: try a higher one before you rely on it."
    evidence |= {"limit_tps": limit.tps, "limit_low": limit.low, "limit_high": limit.high, "beyond": prediction.beyond}
    evidence["limited_by"] = case.limited_by
    return Finding(
        "capacity", f"{seen}; its {bound}.{far}" if seen else f"{case.service}'s {bound}.{far}", evidence=evidence
    )


def _hottest(case: Case) -> Finding | None:
    known = [
        figures
        for label, figures in case.functions.items()
        if not figures.plumbing and label not in case.culprits and figures.self_share >= HOT_SHARE
    ]
    if not known:
        return None
    hottest = max(known, key=lambda figures: figures.self_share)
    steady = ", the same at every rate" if hottest.shape == "linear" else ""
    cost = wording.us_between(hottest.self_us, hottest.self_low, hottest.self_high)
    text = (
        f"{'Besides, ' if case.culprits else 'Hottest: '}{hottest.named} takes {hottest.self_share:.0%} of "
        f"{case.service}'s CPU in its own code, {cost} per request{steady}."
    )
    evidence: Evidence = {
        "self_share": hottest.self_share,
        "self_us_per_request": hottest.self_us,
        "self_us_low": hottest.self_low,
        "self_us_high": hottest.self_high,
        "samples": hottest.samples,
        "relation": RELATION,
    }
    return Finding("hot", text, hottest.label, evidence)
