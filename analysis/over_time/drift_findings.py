"""What a stretch of equal rate shows over time, in sentences: what fills up, what leaks, what changed and when.

The kinds are `drift`, `leak`, `change` and, when nothing of it was found, `steady`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from analysis import wording
from analysis.finding import Evidence, Finding
from analysis.over_time.drift import LEAST_CHANGE, NEAR_UNITS, Change, Drifts, Measure, Rise
from analysis.over_time.leak import Leak

MOST_FUNCTIONS = 3
EXPLAINED = 0.5
_MIB = 1 << 20
_DAY_US = 86_400_000_000
_LATENCIES: dict[Measure, str] = {"p50": "the median latency", "p99": "the p99 latency"}


def over_time(service: str, found: Drifts) -> tuple[Finding, ...]:
    """The findings of a stretch, costs first; at least one, for that nothing changed is worth a sentence."""
    some = (*_dearer(service, found), *_slower(service, found), *_leaking(service, found))
    changed = tuple(_changed(service, found, together) for together in _together(found))
    return (*some, *changed) or (_steady(service, found),)


def ranked(findings: Sequence[Finding], more: Sequence[Finding]) -> tuple[Finding, ...]:
    """All of them, those over time behind what grows with the rate and before that nothing does."""
    lead = [one for one in findings if one.kind in ("superlinear", "indicative")]
    news = [one for one in more if one.kind != "steady"]
    rest = [one for one in findings if one not in lead]
    return (*lead, *news, *rest, *(one for one in more if one not in news))


def _dearer(service: str, found: Drifts) -> tuple[Finding, ...]:
    """Functions by what they add; the service where these do not add up to half of what it does."""
    functions = sorted(
        (one for one in found.rises if one.claimed and one.measure == "function"), key=_added_us, reverse=True
    )[:MOST_FUNCTIONS]
    text = "{name} gets dearer by {rate} an hour at a steady {tps} TPS: from {first} to {last} per request over {hours}"
    end = ": something fills up (a cache, a list, a table)"
    made = [_drift(one, found, f"{_named(one.function or '')}, in its own code,", text, end=end) for one in functions]
    whole = next((one for one in found.rises if one.claimed and one.measure == "cost"), None)
    if whole is not None and sum(map(_added_us, functions)) < EXPLAINED * _added_us(whole):
        end = ", and no function alone accounts for it (all code alike: look for a neighbour on the host)"
        made.append(_drift(whole, found, f"{service} as a whole", text, end=end))
    return tuple(made)


def _slower(service: str, found: Drifts) -> tuple[Finding, ...]:
    text = "{name} rises by {rate} an hour at a steady {tps} TPS: from {first} to {last} over {hours}"
    return tuple(
        _drift(one, found, f"{words[0].upper()}{words[1:]} of {service}", text)
        for measure, words in _LATENCIES.items()
        for one in found.rises
        if one.claimed and one.measure == measure
    )


def _drift(rise: Rise, found: Drifts, name: str, text: str, *, end: str = "") -> Finding:
    line = rise.trend
    first, last = line.ends()
    share, low, high = line.share_per_hour
    rate = wording.between(_percent(share), _percent(low, ""), _percent(high, ""))
    said = text.format(
        name=name,
        rate=rate,
        tps=wording.tps(found.tps),
        first=_time(rise.measure, first),
        last=_time(rise.measure, last),
        hours=wording.hours(line.hours),
    )
    if rise.levels_off:
        end = f"{end}; it levels off"
    evidence: Evidence = {
        "measure": rise.measure,
        "tps": found.tps,
        "hours": line.hours,
        "units": line.units,
        "unit_s": found.unit_us / 1e6,
        "first_us": first,
        "last_us": last,
        "share_per_hour": share,
        "share_per_hour_low": low,
        "share_per_hour_high": high,
        "p": line.p_rises,
        "levels_off": rise.levels_off,
    }
    return Finding("drift", f"{said}{end}.", rise.function, evidence)


def _leaking(service: str, found: Drifts) -> tuple[Finding, ...]:
    leaks = [one for one in found.leaks if one.claimed]
    return (_leak(service, found, leaks),) if leaks else ()


def _leak(service: str, found: Drifts, leaks: Sequence[Leak]) -> Finding:
    worst, others = leaks[0], len(leaks) - 1
    ends = (f"{end / _MIB:,.3g}" for end in (worst.low, worst.high))
    rate = wording.between(f"{worst.bytes_per_hour / _MIB:,.3g}", *ends)
    first, last = (f"{size / _MIB:,.0f}" for size in (worst.first_bytes, worst.last_bytes))
    text = f"{service} leaks memory: {worst.process} grows by {rate} MiB an hour, from {first} to {last} MiB"
    if others:
        text += f", and so do {others} more of its {wording.count(len(found.leaks), 'process', 'processes')}"
    evidence: Evidence = {
        "process": worst.process,
        "processes": len(leaks),
        "mib_per_hour": worst.bytes_per_hour / _MIB,
        "mib_per_hour_low": worst.low / _MIB,
        "mib_per_hour_high": worst.high / _MIB,
        "first_mib": worst.first_bytes / _MIB,
        "last_mib": worst.last_bytes / _MIB,
        "tps": found.tps,
    }
    return Finding("leak", f"{text}.", evidence=evidence)


def _together(found: Drifts) -> list[list[Change]]:
    """Changes of one moment are one finding: cost is told before latency."""
    groups: list[list[Change]] = []
    for change in sorted(found.changes, key=lambda one: one.at_us):
        if groups and change.at_us - groups[-1][0].at_us <= NEAR_UNITS * found.unit_us:
            groups[-1].append(change)
        else:
            groups.append([change])
    order: tuple[Measure, ...] = ("cost", "p99", "p50")
    for group in groups:
        group.sort(key=lambda one: order.index(one.measure))
    return groups


def _changed(service: str, found: Drifts, together: Sequence[Change]) -> Finding:
    first = together[0]
    form = "%Y-%m-%d %H:%M" if found.until_us - found.since_us > _DAY_US else "%H:%M"
    at = datetime.fromtimestamp(first.at_us / 1e6, UTC)
    parts = []
    for change in together:
        name = _LATENCIES.get(change.measure) or f"{service}'s CPU per request"
        verb = "rose" if change.after > change.before else "fell"
        part = f"{name} {verb} from {_time(change.measure, change.before)} to {_time(change.measure, change.after)}"
        if change.function is not None:
            part += f" ({_named(change.function)}: {change.function_us:+,.0f} us)"
        parts.append(part)
    about = "About " if found.unit_us > 60_000_000 else "At "
    text = f"{about}{at:{form}} UTC, at a steady {wording.tps(found.tps)} TPS, {' and '.join(parts)}."
    evidence: dict[str, float | int | str | bool | None] = {"at_us": first.at_us, "tps": found.tps}
    for change in together:
        evidence |= {f"{change.measure}_before_us": change.before, f"{change.measure}_after_us": change.after}
    return Finding("change", text, first.function, evidence)


def _steady(service: str, found: Drifts) -> Finding:
    cost = next((one.trend for one in found.rises if one.measure == "cost"), None)
    held = f"{wording.hours(found.hours)} at {wording.tps(found.tps)} TPS"
    text = f"Steady: over {held} {service} got no dearer and no slower, leaked nothing, and changed at no moment"
    if cost is not None:
        share, low, high = cost.share_per_hour
        drift = wording.between(_percent(share), _percent(low, ""), _percent(high, ""))
        text += f" ({_time('cost', cost.ends()[0])} per request, {drift} an hour)"
    evidence: Evidence = {"hours": found.hours, "units": found.units, "functions": found.functions}
    return Finding("steady", f"{text}.", evidence={**evidence, "least_change": LEAST_CHANGE})


def _added_us(rise: Rise) -> float:
    first, last = rise.trend.ends()
    return last - first


def _named(label: str) -> str:
    """`sweep (shop.py)` as sentences name it."""
    function, bracket, file = label.partition(" (")
    return f"`{function}`{bracket}{file}"


def _percent(share: float, unit: str = "%") -> str:
    if share == float("inf"):
        return "without bound"
    return f"{share * 100:.{0 if abs(share) >= 0.0995 else 1}f}{unit}"


def _time(measure: Measure, us: float) -> str:
    return wording.us(us) if measure in ("cost", "function") else f"{us / 1000:,.3g} ms"
