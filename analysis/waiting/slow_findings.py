"""Why the tail is slow, in sentences: what the process was doing while slow requests waited (see `contrast`).

"While these waited", never "inside": a thread serves many requests, and what runs is mostly for others. Waiting is
named first when the idle share rises. A tail that is a queue for the CPU, with the process busier than else at the same
things, is no finding: it is what any service shows under load. Where threads stood is one of a process that is mostly
idle, for no core would shorten that: it is a lock, a pool, or a service behind it. Of a process that others keep busy
the place tells it long before the idle share does.
"""

from collections.abc import Sequence

import numpy as np

from analysis import wording
from analysis.finding import Evidence, Finding, is_plumbing
from analysis.statistics.regression import holm
from analysis.waiting.contrast import LEAST_RISE, MOSTLY_IDLE, Contrast, Difference
from analysis.waiting.ticks import is_standard

LEVEL = 0.05
"""Of all tests of a report together, by Holm's procedure."""
LEAST_RATIO = 1.5
"""Slow over ordinary: less is no explanation of a tail."""
TAIL_RATIO, TAIL_US = 2.5, 20_000
"""A tail worth words is so many times the median, and longer than what ticks can resolve."""
LEAST_THREADS, LEAST_READY = 0.2, 0.5
LEAST_STOOD = 0.5
"""Threads more at a time in one place that are an explanation by themselves, where the process is mostly idle: more
than for ordinary requests, and more than so many requests under way let expect."""
_DEEP_ENOUGH = 0.8
_QUEUED_IDLE = 0.15
_MEASURES = {"idle": "share of time idle", "runs": "share of running time", "waits": "threads that stood there"}


def slow_findings(service: str, contrasts: Sequence[Contrast], *, lacks: str = "") -> tuple[Finding, ...]:
    """One finding an endpoint at most, the one that costs the most waiting first; or one that says there is none.

    `lacks` says why nobody could look at it at all.
    """
    if lacks:
        return (Finding("none", f"Why the tail is slow was not looked at: {lacks}."),)
    compared = [one for one in contrasts if one.idle is not None and has_tail(one)]
    rejected = iter(holm(np.array([test.p for one in compared for test in _tests(one)]), LEVEL).tolist())
    found: dict[str, tuple[float, Finding]] = {}
    for one in compared:
        tested = [(test, next(rejected)) for test in _tests(one)]
        stands = {test for test, is_rejected in tested if is_rejected and test.low > 0 and test.rise >= LEAST_RISE}
        finding = _finding(service, one, stands)
        cost_us = (one.slow_us - one.median_us) * one.slow_requests
        if finding is not None and cost_us > found.get(one.endpoint, (0.0, finding))[0]:
            found[one.endpoint] = cost_us, finding
    if found:
        return tuple(finding for _, finding in sorted(found.values(), key=lambda pair: -pair[0]))
    return (_none(service, contrasts, compared),)


def placed(findings: Sequence[Finding], slow: Sequence[Finding]) -> tuple[Finding, ...]:
    """All findings of a report: after what grows comes why the tail is slow; that nothing is found of it comes last."""
    grows = [one for one in findings if one.kind in {"superlinear", "indicative"}]
    told = [one for one in slow if one.kind != "none"]
    rest = [one for one in findings if one not in grows]
    return (*grows, *told, *rest, *(one for one in slow if one.kind == "none"))


def has_tail(one: Contrast) -> bool:
    """Whether its slow requests are slow enough to be spoken of."""
    return one.slow_us >= max(TAIL_US, TAIL_RATIO * one.median_us)


def _tests(one: Contrast) -> tuple[Difference, ...]:
    """Only what could be told is tested: no machinery, and of functions that were always seen together the deepest.

    What is tested hangs on what it is, never on how much it rose: tests picked by what they say hold no level.
    """
    distinct: dict[tuple[float, ...], Difference] = {}
    for test in one.runs:
        figures = (test.slow, test.middle, test.overall)
        if not is_plumbing(_split(test.name)[1]) and test.depth >= distinct.get(figures, test).depth:
            distinct[figures] = test
    return (*([one.idle] if one.idle else []), *distinct.values(), *_stood(one))


def _stood(one: Contrast) -> tuple[Difference, ...]:
    """Places of the service's own code in which threads stood for something that is no core; the most telling first.

    A place of code that else runs is none: there they lacked their turn.
    """
    return tuple(place for place in one.waits if not place.turnless and _own_of(place) is not None)


def _own_of(place: Difference) -> str | None:
    """The function of the service that threads stood in or under."""
    return next((label for label in (place.name, place.under) if label and not is_standard(label)), None)


def _finding(service: str, one: Contrast, stands: set[Difference]) -> Finding | None:
    if one.idle in stands:
        return _waited(service, one, one.idle)
    functions = [
        test for test in stands if test.what == "runs" and test.slow >= LEAST_RATIO * max(test.middle, test.overall)
    ]
    if functions:
        return _ran(service, one, functions)
    idle = one.idle is not None and one.idle.slow >= MOSTLY_IDLE
    place = next((place for place in _stood(one) if place in stands and _explains(place)), None)
    return _waited_there(service, one, place) if idle and place else None


def _explains(place: Difference) -> bool:
    """Whether more threads stood there by far, and more than the requests that were under way account for."""
    beyond = place.slow - max(place.middle, place.overall)
    return place.slow >= LEAST_RATIO * place.middle and beyond >= LEAST_STOOD


def _waited(service: str, one: Contrast, idle: Difference) -> Finding:
    text = (
        f"{_who(one)} waited for something: while they did, {service} was idle {idle.slow:.0%} of the time against "
        f"{idle.middle:.0%} for ordinary ones"
    )
    stood = next((place for place in one.waits if place.low > 0 and place.rise >= LEAST_THREADS), None)
    if stood is None or not stood.under:
        text += "; no thread stood anywhere in its code, as with coroutines: what was waited for is on no stack."
    else:
        under = f" under {_named(stood.under)}" if stood.under != stood.name else ""
        threads = f"{stood.slow:.1f} at a time against {stood.middle:.1f}"
        text += f"; the threads stood in {_named(stood.name)}{under}, {threads}."
    evidence = _evidence(one, idle)
    if stood is not None:
        evidence |= {"stood_in": stood.name, "stood_under": stood.under or None}
        evidence |= {"threads_slow": stood.slow, "threads_ordinary": stood.middle}
    return Finding("slow", text, _own_of(stood) if stood else None, {"cause": "waiting", **evidence})


def _waited_there(service: str, one: Contrast, place: Difference) -> Finding:
    assert one.idle is not None
    under = f" under {_named(place.under)}" if place.under not in {"", place.name} else ""
    text = (
        f"{_who(one)} waited for something that is no core: while they did, {place.slow:.1f} threads at a time stood "
        f"in {_named(place.name)}{under} against {place.middle:.1f} for ordinary ones, and {service} was idle "
        f"{one.idle.slow:.0%} of the time, as for a lock, a pool or a service behind it."
    )
    evidence = _evidence(one, place)
    evidence |= {"stood_in": place.name, "stood_under": place.under or None, "expected": place.overall}
    return Finding("slow", text, _own_of(place), {"cause": "waiting", **evidence})


def _ran(service: str, one: Contrast, functions: Sequence[Difference]) -> Finding:
    most = max(test.rise for test in functions)
    telling = max((test for test in functions if test.rise >= _DEEP_ENOUGH * most), key=lambda test: test.depth)
    text = (
        f"{_who(one)}: while they waited, {service} was running {_named(telling.name)} {telling.slow_share:.0%} of the "
        f"time against {telling.middle_share:.0%} for ordinary ones{_without_turn(one)}"
    )
    evidence = _evidence(one, telling)
    evidence |= {
        "overall": telling.overall,
        "share_of_time_slow": telling.slow_share,
        "share_of_time_ordinary": telling.middle_share,
    }
    return Finding("slow", f"{text}.", telling.name, {"cause": "running", **evidence})


def _without_turn(one: Contrast) -> str:
    """Words on threads that had code to run and no turn, if there were more of them than ordinary requests see."""
    if not one.ready_slow >= max(LEAST_READY, LEAST_RATIO * one.ready_middle):  # NaN: nobody asked
        return ""
    return (
        f", and {one.ready_slow:.1f} threads at a time stood in code without running it (against "
        f"{one.ready_middle:.1f}), as they do for the interpreter lock"
    )


def _split(label: str) -> tuple[str, str]:
    function, blank, file = label.removesuffix(")").rpartition(" (")
    return (function, file) if blank else (label, "")


def _named(label: str) -> str:
    function, file = _split(label)
    return f"`{function}` ({file})" if file else f"`{function}`"


def _who(one: Contrast) -> str:
    return f"Requests to `{one.endpoint}` above {wording.milliseconds(one.slow_us)}"


def _evidence(one: Contrast, test: Difference) -> dict[str, float | int | str | bool | None]:
    idle = one.idle or test
    return {
        "endpoint": one.endpoint,
        "level": one.level,
        "slow_above_ms": one.slow_us / 1000,
        "median_ms": one.median_us / 1000,
        "requests": one.requests,
        "slow_requests": one.slow_requests,
        "measure": _MEASURES[test.what],
        "slow": test.slow,
        "ordinary": test.middle,
        "difference": test.rise,
        "difference_low": test.low,
        "difference_high": test.high,
        "idle_slow": idle.slow,
        "idle_ordinary": idle.middle,
        "threads_ready_slow": one.ready_slow,
        "threads_ready_ordinary": one.ready_middle,
        "ticks": one.ticks,
        "separate_stretches": one.blocks,
        "relation": "what overlaps in time",
    }


def _none(service: str, contrasts: Sequence[Contrast], compared: Sequence[Contrast]) -> Finding:
    head = "No finding about slow requests"
    evidence: Evidence = {"compared": len(compared)}
    if compared:
        one = max(compared, key=lambda one: (one.slow_us - one.median_us) * one.slow_requests)
        idle = one.idle
        if idle is not None and idle.high < 0 and idle.rise <= -LEAST_RISE and idle.slow <= _QUEUED_IDLE:
            text = (
                f"{head}: those to `{one.endpoint}` above {wording.milliseconds(one.slow_us)} stood in line. {service} "
                f"was idle {idle.slow:.0%} of the time while they waited against {idle.middle:.0%} for ordinary ones, "
                f"and at the same work{_without_turn(one)}."
            )
            return Finding("none", text, evidence=evidence)
        what = "nothing that the process did while they waited stands out from what it did while ordinary ones did"
        return Finding("none", f"{head}: {what}.", evidence=evidence)
    short = [one for one in contrasts if not one.lacks]
    if short:
        return Finding("none", f"{head}: no endpoint has a tail far beyond its median.", evidence=evidence)
    most = max(contrasts, key=lambda one: one.slow_requests, default=None)
    why = most.lacks if most else "no stage of constant rate has requests that can be judged"
    return Finding("none", f"{head}, too little to tell: {why}.", evidence=evidence)
