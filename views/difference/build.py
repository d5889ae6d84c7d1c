"""Two groups of runs, compared: from the store to the record that is printed, written or sent."""

import math
from collections.abc import Iterable, Iterator, Sequence

from clickhouse_connect.driver.client import Client

from analysis import wording
from analysis.comparison.difference import Change, Comparison, FunctionChange, compare
from analysis.comparison.difference_sentences import Compared, incomparable, sentences
from analysis.comparison.matching import Moved
from schemas.stacks import split_frame
from views.difference import model
from views.difference.chosen import two_groups
from views.difference.groups import Groups, read_groups
from views.difference.model import Difference
from views.facts import RunFacts

__all__ = ["Difference", "build_difference"]

MOST_FUNCTIONS = 80
LEAST_SELF_SHARE, LEAST_TOTAL_SHARE = 0.003, 0.02


def build_difference(client: Client, base: Sequence[str], new: Sequence[str]) -> Difference:
    """Compare the runs `base` with the runs `new`. Blocks: about as long as a report of each takes.

    Raises GroupError, UnknownRunError, and StoreError when the store does not answer.
    """
    two_groups(base, new)
    groups = read_groups(client, base, new)
    return difference_of(groups, compare(groups.measured) if groups.measured is not None else None, base, new)


def difference_of(groups: Groups, comparison: Comparison | None, base: Sequence[str], new: Sequence[str]) -> Difference:
    """The same from what was read and compared before; None where nothing could be compared."""
    service = next(run.service for run in reversed(groups.runs) if run.id in new)
    told = sentences(Compared(service, comparison, groups.levels)) if comparison else incomparable(groups.levels)
    return Difference(
        service=service,
        outcome=_outcome(comparison),
        comparable=comparison is not None and not any(level.one_sided for level in groups.levels),
        sentences=told,
        base=_side(groups, base),
        new=_side(groups, new),
        levels=tuple(
            model.Level(
                level=one.name, base_tps=one.base_tps, new_tps=one.new_tps, why=one.why, one_sided=one.one_sided
            )
            for one in groups.levels
        ),
        cpu_us=_change(comparison.service) if comparison else None,
        functions=tuple(_functions(comparison, groups.moved)) if comparison else (),
        latency=tuple(
            model.Latency(endpoint=one.name, percentile=one.what, ms=_change(one))
            for one in (comparison.latencies if comparison else ())
        ),
        minimum_detectable=model.Detectable(
            service=comparison.service.detectable if comparison else None,
            function_of_10_percent=comparison.typical if comparison else None,
        ),
        method=_method(comparison) if comparison else None,
        warnings=tuple(_warnings(groups, comparison)),
    )


def _outcome(comparison: Comparison | None) -> model.Outcome:
    if comparison is None or not comparison.enough:
        return "unclear"
    if comparison.is_worse:
        return "regression"
    better = {"cheaper", "faster"}
    return "improvement" if any(change.verdict in better for change in comparison.changes) else "none"


def _side(groups: Groups, ids: Sequence[str]) -> model.Side:
    left_out = (model.LeftOut(run=run, why=why) for run, why in groups.left_out.items() if run in ids)
    return model.Side(runs=tuple(run for run in groups.kept if run in ids), left_out=tuple(left_out))


def _functions(comparison: Comparison, moves: Iterable[Moved]) -> Iterator[model.Function]:
    """What changed for certain, and the hottest of the others."""
    for one in [one for one in comparison.functions if _is_shown(one, comparison.service)][:MOST_FUNCTIONS]:
        function, file = split_frame(one.label)
        yield model.Function(
            function=function,
            file=file,
            moved_from=next((move.base_file for move in moves if move.gave((function, file))), None),
            base_share=one.base_share,
            new_share=one.new_share,
            self_us=_change(one.alone),
            total_us=_change(one.whole),
            is_regression=one.is_worse,
        )


def _is_shown(one: FunctionChange, service: Change) -> bool:
    hot = max(one.base_share, one.new_share) >= LEAST_SELF_SHARE
    holds = max(one.whole.base, one.whole.new) >= LEAST_TOTAL_SHARE * max(service.base, service.new)
    return hot or holds or one.alone.is_told or one.whole.is_told


def _change(one: Change) -> model.Change:
    return model.Change(
        base=_known(one.base),
        new=_known(one.new),
        verdict=one.verdict,
        ratio=_known(one.ratio),
        low=_known(one.ratio_low),
        high=_known(one.ratio_high),
        difference=_known(one.difference),
        difference_low=_known(one.difference_low),
        difference_high=_known(one.difference_high),
        p=one.p,
        minimum_detectable=one.detectable,
        samples=one.samples,
    )


def _known(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _method(comparison: Comparison) -> model.Method:
    return model.Method(
        judged=comparison.judged,
        interleaved=comparison.interleaved,
        drift_removed=comparison.drift_removed,
        spread_between_runs=comparison.spread,
    )


def _warnings(groups: Groups, comparison: Comparison | None) -> Iterator[str]:
    """What a reader should know before relying on it."""
    services = sorted({run.service for run in groups.runs})
    if len(services) > 1:
        yield f"The runs are of several services: {', '.join(services)}."
    if len({repr(_work(run)) for run in groups.runs}) > 1:
        yield "The plans send different requests, so a request is not the same work on both sides."
    for run, why in groups.left_out.items():
        yield f"Run {run} is left out: {why}."
    if comparison is not None and comparison.enough and not comparison.interleaved:
        yield (
            "The sides were not run in turns, so whatever else changed between them would look like a difference: "
            "`loadflame compare` interleaves them."
        )
    for one in groups.moved:
        if one.function is None:
            yield f"{one.new_file} is taken for the same file as {one.base_file} before."
        else:
            yield f"`{one.function}` is taken for the same function in {one.new_file} as in {one.base_file} before."
    latencies = comparison.latencies if comparison is not None else ()
    unknown = [f"{one.what} of {one.name}" for one in latencies if None in (_known(one.base), _known(one.new))]
    if unknown:
        yield (
            f"{wording.count(len(unknown), 'percentile')} lie among requests that were dropped or not answered, and "
            f"are not compared: {', '.join(unknown)}."
        )


def _work(run: RunFacts) -> object:
    return run.plan.get("requests")
