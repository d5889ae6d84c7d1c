"""A comparison in plain sentences, the gravest first; that nothing differs is said as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis import wording
from analysis.comparison.cells import Level
from analysis.comparison.difference import FEWEST_RUNS, TYPICAL_SHARE, Change, Comparison, FunctionChange

_MOST_FUNCTIONS = 5
_BIG_RATIO = 3.0
_CPU = "of CPU per request"


@dataclass(frozen=True, slots=True)
class Compared:
    """What the sentences are made from. `levels` are the rates, `service` the name."""

    service: str
    comparison: Comparison
    levels: Sequence[Level] = ()


def sentences(told: Compared) -> tuple[str, ...]:
    """All of them; the first one says what matters most."""
    if not told.comparison.enough:
        return (_too_few(told), *_refused(told.levels))
    worse, others = list(_worse(told)), list(_others(told))
    head = worse or [_none(told.comparison)]
    return (*head, *others, *_refused(told.levels))


def change(ratio: float | None) -> str:
    """How much more or less: `+9.4%`, `-31%`, `4.2 times`."""
    if ratio is None:
        return "–"
    if ratio >= _BIG_RATIO:
        return f"{ratio:,.1f} times" if ratio < 100 else f"{ratio:,.0f} times"
    return f"{ratio - 1:+.0%}" if abs(ratio - 1) >= 0.0995 else f"{ratio - 1:+.1%}"


def changed(one: Change) -> str:
    """With its interval: `+9.4% [+6.1%, +13%]`."""
    if one.ratio is None or one.ratio_low is None:
        return change(one.ratio)
    return wording.between(change(one.ratio), change(one.ratio_low), change(one.ratio_high))


def named(label: str) -> str:
    """As sentences name a function: `sweep` (shop.py)."""
    function, bracket, file = label.rpartition(" (")
    return f"`{function}` ({file}" if bracket else f"`{label}`"


def milliseconds(value: float) -> str:
    """`14.1 ms`, `0.42 ms`, `1,200 ms`."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _from_to(one: Change) -> str:
    if one.what in ("p50", "p95", "p99"):
        return f"{milliseconds(one.base).removesuffix(' ms')} to {milliseconds(one.new)}"
    return f"{_us(one.base)} to {wording.us(one.new)}"


def _us(value: float) -> str:
    return wording.us(value).removesuffix(" us")


def _worse(told: Compared) -> Iterator[str]:
    comparison, service = told.comparison, told.comparison.service
    alone = [one for one in comparison.functions if one.alone.verdict == "dearer" and one.is_worse]
    yield from _first_of("got dearer", [_dearer(one) for one in sorted(alone, key=lambda one: -one.alone.difference)])
    callers = [one for one in comparison.functions if one.whole.verdict == "dearer"]
    if callers and not alone:
        # The nearer a caller is to what changed, the more of its cost that is.
        nearest = max(callers, key=lambda one: one.whole.ratio or 0.0)
        yield f"{named(nearest.label)} with what it calls got dearer: {_cost(nearest.whole)}."
    if service.verdict == "dearer":
        more = "" if alone or callers else "; no function stands out"
        yield f"{told.service} as a whole got dearer: {_cost(service)}{more}."
    elif alone or callers:
        yield f"{told.service} as a whole: {_cost(service)}, which alone would be no difference."
    for one in comparison.latencies:
        if one.verdict == "slower":
            yield f"{one.what} of {one.name} got slower: {_from_to(one)} ({changed(one)})."


def _dearer(one: FunctionChange) -> str:
    alone = one.alone
    ends = (None if us is None else _us(us) for us in (alone.difference_low, alone.difference_high))
    return f"{named(one.label)} got dearer: {_cost(alone)}, {wording.between(_us(alone.difference), *ends)} us more."


def _others(told: Compared) -> Iterator[str]:
    functions, service = told.comparison.functions, told.comparison.service
    for one in functions:
        if one.alone.verdict == "dearer" and not one.is_worse:
            whole = f"with what it calls it takes {_from_to(one.whole)}"
            yield f"{named(one.label)} does more itself and calls others for less: {_cost(one.alone)}; {whole}."
    new = [one for one in functions if one.alone.verdict == "new"]
    gone = [one for one in functions if one.alone.verdict == "gone"]
    yield from _first_of("are new", [f"{named(one.label)} is new: {wording.us(one.alone.new)} {_CPU}." for one in new])
    yield from _first_of(
        "are gone", [f"{named(one.label)} is gone: it took {wording.us(one.alone.base)} {_CPU}." for one in gone]
    )
    cheaper = [one.alone for one in functions if one.alone.verdict == "cheaper"]
    cheaper.sort(key=lambda one: one.difference)
    yield from _first_of("got cheaper", [f"{named(one.name)} got cheaper: {_cost(one)}." for one in cheaper])
    if service.verdict == "cheaper":
        yield f"{told.service} as a whole got cheaper: {_cost(service)}."
    for tail in told.comparison.latencies:
        if tail.verdict == "faster":
            yield f"{tail.what} of {tail.name} got faster: {_from_to(tail)} ({changed(tail)})."


def _first_of(what: str, texts: Sequence[str]) -> Iterator[str]:
    yield from texts[:_MOST_FUNCTIONS]
    more = len(texts) - _MOST_FUNCTIONS
    if more > 0:
        yield f"{wording.count(more, 'more function')} {what}."


def _cost(one: Change) -> str:
    return f"{_from_to(one)} {_CPU} ({changed(one)})"


def _none(comparison: Comparison) -> str:
    runs = f"{comparison.base_runs} base and {comparison.new_runs} new runs"
    text = f"No difference to the worse: nothing got dearer or slower between {runs} at the same rates"
    return f"{text}; {detectable(comparison)}."


def detectable(comparison: Comparison) -> str:
    """What would have been found, had it been there."""
    found = []
    if comparison.typical is not None:
        share = f"{TYPICAL_SHARE:.0%} of the CPU"
        found.append(f"a function that takes {share} had it become {_share(comparison.typical)} dearer")
    if comparison.service.detectable is not None:
        found.append(f"the service as a whole {_share(comparison.service.detectable)}")
    tails = [one for one in comparison.latencies if one.detectable is not None]
    if tails:
        worst = max(tails, key=lambda one: one.detectable or 0.0)
        found.append(f"{worst.what} of {worst.name} {_share(worst.detectable or 0.0)}")
    if not found:
        return "too little was measured to say what would have been found"
    return f"found would have been, in four of five such comparisons, {', '.join(found)}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def _too_few(told: Compared) -> str:
    comparison = told.comparison
    fewest = min(comparison.base_runs, comparison.new_runs)
    text = (
        f"Unclear: {wording.count(fewest, 'run')} a side cannot tell a difference from the spread between runs "
        f"({FEWEST_RUNS} are needed, 5 are usual)"
    )
    moved = max(comparison.functions, key=lambda one: abs(one.alone.difference), default=None)
    service = comparison.service
    text += f"; {told.service} took {_from_to(service)} {_CPU} ({changed(service)})"
    if moved is None:
        return f"{text}."
    return f"{text}, and {named(moved.label)} changed most: {_from_to(moved.alone)}."


def incomparable(levels: Sequence[Level]) -> tuple[str, ...]:
    """The sentences of two sides without a rate in common, or without a run."""
    if not levels:
        return ("Not compared: the runs have no measured stage in common.",)
    if any(not level.why for level in levels):
        return ("Not compared: a side has no run that may be used.", *_refused(levels))
    return ("Not compared: there is no stage in which both sides were measured at the same rate.", *_refused(levels))


def _refused(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        if level.why:
            yield f"{level.name} is not compared: {level.why}."
