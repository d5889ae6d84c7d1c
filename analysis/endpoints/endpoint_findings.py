"""Which endpoint pays for a function, in a sentence; and why that cannot be told, with the remedy."""

from collections.abc import Mapping, Sequence
from math import floor, log10

import numpy as np
from numpy.typing import NDArray

from analysis import wording
from analysis.endpoints.attribution import LEAST_DEGREES, Cost, Mix
from analysis.evidence.stacks import StackCounts
from analysis.finding import HOT_SHARE, RELATION, Evidence, Figures, Finding

Floats = NDArray[np.float64]

SEEN = "each sample is joined with the request that its thread served"


def endpoint_findings(
    functions: Mapping[str, Figures], costs: Mapping[str, Sequence[Cost]], alone: Mapping[str, Sequence[Cost]]
) -> tuple[Finding, ...]:
    """A finding for each function that one endpoint pays for, the dearest first; all is by label.

    `alone` are the costs of what functions do by themselves (see `samples_alone`). Whoever only calls what an endpoint
    pays for is not named: what a function does by itself must seem to be paid for by the same.
    """
    paid = [
        (functions[label], cost)
        for label, own in alone.items()
        for cost in costs.get(label, ())
        if cost.pays and any(one.endpoint == cost.endpoint and one.seems_to_pay for one in own)
    ]
    paid.sort(key=lambda one: -one[0].total_share * one[1].share)
    return tuple(_finding(figures, cost) for figures, cost in paid)


def samples_alone(functions: Mapping[str, Figures], stacks: StackCounts) -> dict[str, Floats]:
    """Samples in each visit of what functions do by themselves, of those of which this weighs something; by label.

    By itself is without the deeper functions that weigh something as well: of a handler and the one function that it
    consists of, only the latter is there.
    """
    masks = stacks_alone(functions, stacks)
    found = {label: stacks.counts[on].sum(axis=0) for label, on in masks.items()}
    return {label: samples for label, samples in found.items() if samples.sum() >= HOT_SHARE * stacks.total.sum()}


def stacks_alone(functions: Mapping[str, Figures], stacks: StackCounts) -> dict[str, NDArray[np.bool_]]:
    """The stacks on which functions work by themselves (see `samples_alone`), as a mask of all stacks; by label."""
    known = [
        (stacks.depth[place], place, label)
        for place, label in enumerate(stacks.functions)
        if label in functions and functions[label].total_share >= HOT_SHARE and not functions[label].plumbing
    ]
    taken = np.zeros(len(stacks.counts), dtype=bool)
    found = {}
    for _, place, label in sorted(known, reverse=True):
        on = stacks.stacks_with(place) & ~taken
        taken |= on
        found[label] = on
    return found


def _finding(figures: Figures, cost: Cost) -> Finding:
    seen = "" if cost.unknown_share is None else f", seen on the threads that served it{_of_nobody(cost.unknown_share)}"
    text = (
        f"{figures.named} is paid for by `{cost.endpoint}`: {_each(cost)} for each, {cost.share:.0%} of its CPU "
        f"[{cost.share_low:.0%}, {cost.share_high:.0%}]{seen}."
    )
    evidence: Evidence = {
        "endpoint": cost.endpoint,
        "us_per_request": cost.us,
        "us_low": cost.us_low,
        "us_high": cost.us_high,
        "share": cost.share,
        "share_low": cost.share_low,
        "share_high": cost.share_high,
        "requests_share": cost.requests_share,
        "relation": RELATION if cost.unknown_share is None else SEEN,
    }
    if cost.unknown_share is not None:
        evidence = {**evidence, "unknown_share": cost.unknown_share}
    return Finding("endpoint", text, figures.label, evidence)


def _of_nobody(share: float) -> str:
    return f" (of {share:.0%} no request is known)" if share >= 0.005 else ""


def _each(cost: Cost) -> str:
    """`1.2 ms [1.0, 1.4]`, `240 us [210, 280]`: as many decimals as two digits of the value need."""
    unit, scale = ("ms", 1e-3) if cost.us >= 1_000 else ("us", 1.0)
    value, low, high = (scale * us for us in (cost.us, cost.us_low, cost.us_high))
    digits = max(0, 1 - floor(log10(value))) if value > 0 else 0
    return wording.between(f"{value:.{digits}f} {unit}", f"{low:.{digits}f}", f"{high:.{digits}f}")


def why_not_told(mix: Mix) -> str | None:
    """Why costs are given to no endpoint, or not to all, and the remedy, in a sentence; None when there is no why.

    Judged by the mix that the visits had, whatever the plan meant. One endpoint alone pays for everything.
    """
    asked = [(name, told) for name, count, told in zip(mix.endpoints, mix.asked, mix.tells(), strict=True) if count]
    missing = [name for name, told in asked if not told]
    if len(asked) < 2 or not missing:
        return None
    if len(missing) < len(asked):
        return f"Not told apart by the mix of requests: {', '.join(missing)}; give the swung stage more visits."
    needed = 2 * ((len(asked) + LEAST_DEGREES + 4) // 2)
    stage = f"`{{name: mix, levels: [{_rate(mix)}], visits: {max(8, needed)}, each: 4s, modulate: 0.9}}`"
    if mix.degrees < LEAST_DEGREES:
        why = (
            f"{wording.count(len(mix.level_tps), 'usable visit')} {'is' if len(mix.level_tps) == 1 else 'are'} too few"
        )
    else:
        why = "the mix of requests was nearly the same whenever the rate was"
    return f"Which endpoint pays for a function is not identifiable: {why}; add a stage like {stage}."


def _rate(mix: Mix) -> str:
    """Half of the highest rate: what a swung mix costs more has room there."""
    highest = float(mix.level_tps.max(initial=0.0))
    return f"{max(1.0, float(f'{highest / 2:.2g}')):g}" if highest else "RATE"
