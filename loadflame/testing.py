"""For tests of your own: `from loadflame.testing import assert_cost`."""

import contextlib
import difflib
from pathlib import Path
from typing import Literal

import numpy as np
from clickhouse_connect.driver.client import Client

from analysis import wording
from analysis.comparison.difference_sentences import named
from analysis.costs.callees import shares_of_callees
from analysis.costs.cost import Cost, cost_per_request
from loadflame.settings import read_settings
from schemas.errors import UserError
from schemas.stacks import join_frame, unfold
from sinks.clickhouse import open_for_reading
from views import queries
from views.facts import RunFacts, read_run
from views.placing import placed
from views.profile import ProfileFacts
from views.runs import resolve_run

__all__ = ["CostUnknownError", "assert_cost"]


class CostUnknownError(UserError):
    """The run cannot say what the function costs, so a test of it neither passes nor fails for its cost."""


def assert_cost(
    run: str,
    function: str,
    *,
    max_us: float,
    of: Literal["total", "self"] = "total",
    store: str | None = None,
    data_dir: Path | None = None,
) -> float:
    """Raise AssertionError when a function costs more than `max_us` CPU microseconds per answered request.

    `run` is an id or `last`; `function` is a name, as `rank` or `Shop.rank`, or with its file, `rank (shop.py)`; `of`
    is `total`, with what it calls, or `self`. The figure is the mean over the visits of the run, and is returned. Where
    the store is comes from the settings unless it is said. Raises CostUnknownError when the run has no such function,
    or nothing that may be relied upon: a misspelt name must not pass.
    """
    __tracebackhide__ = True
    settings = read_settings(store=store, data_dir=data_dir)
    with contextlib.closing(open_for_reading(settings.store_url)) as client:
        run = resolve_run(client, run)
        facts = read_run(client, run)
        profile = ProfileFacts(client, facts)
        place = _place(profile, run, function)
        us = (profile.costs.total_us if of == "total" else profile.costs.self_us)[place]
        cost = cost_per_request(us, profile.experiment.completed, profile.experiment.level_tps)
        assert cost is not None  # there are blocks, and a block without answers is none
        if cost.us > max_us:
            raise AssertionError(_message(client, facts, profile, place, cost, max_us=max_us, of=of))
    return cost.us


def _place(profile: ProfileFacts, run: str, function: str) -> int:
    """Which function is meant. Raises CostUnknownError."""
    if profile.selection.design == "unfit":
        raise CostUnknownError(
            f"run {run} has nothing to judge a cost by; `loadflame report {run}` says what was left out and why"
        )
    labels = [join_frame(*name) for name in profile.costs.names]
    for known in (labels, [name for name, _ in profile.costs.names], [_last(name) for name, _ in profile.costs.names]):
        places = [place for place, one in enumerate(known) if one == function]
        if len(places) == 1:
            return places[0]
        if places:
            several = ", ".join(labels[place] for place in places)
            raise CostUnknownError(f"run {run} has several functions {function!r}; name one of {several}")
    samples = int(profile.costs.samples.max(initial=0))
    by_name = {_last(name): join_frame(name, file) for name, file in profile.costs.names}
    near = [by_name[name] for name in difflib.get_close_matches(function.partition(" (")[0], by_name, 3)]
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise CostUnknownError(f"run {run} saw no function {function!r} in {wording.count(samples, 'sample')}{meant}")


def _message(
    client: Client, run: RunFacts, profile: ProfileFacts, place: int, cost: Cost, *, max_us: float, of: str
) -> str:
    label = join_frame(*profile.costs.names[place])
    blocks, tps = len(profile.selection.blocks), profile.experiment.tps
    rates = " to ".join(dict.fromkeys(wording.tps(float(rate)) for rate in (tps.min(), tps.max())))
    part = "with what it calls" if of == "total" else "in its own code"
    text = (
        f"{named(label)} costs {wording.us(cost.us)} of CPU per request {part}, over the {wording.us(max_us)} allowed"
    )
    if cost.low is not None and cost.high is not None:
        text += f" (95%: {wording.us(cost.low).removesuffix(' us')} to {wording.us(cost.high)})"
    text += f"; run {run.id}, {wording.count(blocks, 'stretch', 'stretches')} at {rates} TPS"
    if cost.low is not None and cost.low <= max_us:
        text += f"; the interval holds {wording.us(max_us)}, so a longer run may say otherwise"
    shares = shares_of_callees(_stacks(client, run, profile), label)
    callees = [(name, share) for name, share in shares.items() if name != label]
    if callees and of == "total":
        text += f"; hottest callee: {named(callees[0][0])}, {callees[0][1]:.0%} of it"
    if label in shares:
        text += f"; its own code: {shares[label]:.0%}"
    return f"{text}."


def _stacks(client: Client, run: RunFacts, profile: ProfileFacts) -> list[tuple[tuple[str, ...], float]]:
    """The stacks of the windows that the cost rests on; none once their samples have outlived their time."""
    blocks = [run.windows.window[block.rows] for block in profile.selection.blocks]
    places = placed([np.concatenate(blocks)] if blocks else [])
    table = queries.fetch(client, queries.STACKS, run=run.id, **places)
    rows = zip(table["stack"].to_pylist(), table["samples"].to_pylist(), strict=True)
    return [(unfold(stack), float(sum(samples))) for stack, samples in rows]


def _last(function: str) -> str:
    return function.rpartition(".")[2]
