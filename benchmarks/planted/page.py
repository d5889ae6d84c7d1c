"""The page of a campaign, from results that exist: nothing on it is written by hand."""

import re
from collections.abc import Collection, Sequence

from benchmarks.planted import figures
from benchmarks.planted.kinds import KINDS, looked_for
from benchmarks.planted.results import Result
from benchmarks.planted.serving import USERS

_HEAD = """# What was planted, and what was found

Services drawn from a seed, each a process of its own with one defect in one function, loaded and profiled by
`loadflame run`; and their clean twins, which lack the defect and nothing else (`benchmarks/planted`). Names, call tree,
costs, endpoints, kind of server (one thread or many), place and size of the defect come from the seed.

    {command}

- {n} runs between {first} and {last} (UTC), seeds {seeds}
- of loadflame at {commits} (the last commit that changed the product; + where it was changed since)
- each visits {visits}
- when they began, {busy} processes wanted one of the machine's {cores} cores, on average

Shares have Clopper-Pearson 95% bounds. Runs that said themselves that too little was left to judge growth by (visits
are left out when a thread is over 85% busy, a backlog grows, or the host or the generator is the limit) are `unjudged`,
and count neither for nor against.
"""
_DETECTION = """
## Found, by size of the defect

Found: a finding that counts as such by the table in `benchmarks/planted/kinds.py`, and that names the planted function
where it can. First or second: its place among all findings of the report. Accuses another: any finding beside, except
what is said of every service ({stated}).

| defect | size | unjudged | median samples | found | with {ample} samples | first or second | accuses another |
|---|---|---|---|---|---|---|---|
"""
_TWINS = """
## Clean twins

Any finding beyond what is said of every service: {accusing} ({unjudged} more unjudged).
"""
_GROWTH = """
## Growth

The 95% interval of the planted function's growth holds the true one in {held}.

| seed | server | true | found | samples |
|---|---|---|---|---|
"""
_WHAT_IF = """
## What-if

Made linear, the service is predicted to hold so many requests/s; its clean twin, whose planted function costs at every
rate what it costs at the lowest, then did so many. That is a run of its own in the closed model ({users} users who
never think), per second of CPU that the twin got, so that neighbours on the machine do not count; twins that got under
{full:.0%} of a core are left out ({left_out}). Within {near:.0%}: {right}.

| seed | server | predicted | the twin did | off |
|---|---|---|---|---|
"""


def page(results: Sequence[Result], *, command: str, design: str, cores: int, known: Collection[str]) -> str:
    """Markdown. `known` are the kinds of finding that exist (see `known`), `design` how services were asked, in words.

    There must be a result.
    """
    looked = [name for name, kind in KINDS.items() if looked_for(kind, known)]
    seeds = sorted({one.seed for one in results})
    head = _HEAD.format(
        command=command,
        n=len(results),
        first=min(one.at for one in results)[:16].replace("T", " "),
        last=max(one.at for one in results)[:16].replace("T", " "),
        seeds=f"{seeds[0]} to {seeds[-1]}",
        commits=", ".join(sorted({one.commit for one in results})),
        visits=design,
        busy=f"{sum(one.busy for one in results) / len(results):.1f}",
        cores=cores,
    )
    parts = [
        head,
        _found(results, looked),
        _twins(results),
        _growth(results),
        _what_if(results),
        _unlooked(results, looked),
    ]
    return "".join(filter(None, parts))


def _found(results: Sequence[Result], looked: Collection[str]) -> str:
    lines = [
        f"| {row.kind} | {row.effect:g} {KINDS[row.kind].unit} | {row.unjudged} | {row.samples} | {row.found} "
        f"| {row.ample} | {row.leading} | {row.false} |"
        for row in figures.rows(results, looked)
    ]
    stated = "the capacity, the hottest function, that there is nothing to find"
    text = (
        _DETECTION.format(stated=stated, ample=figures.AMPLE) + "".join(f"{line}\n" for line in lines) if lines else ""
    )
    wrong = [f"- {one.task.words}: {said}" for one in results if not one.clean for said in figures.accused(one)]
    return text + ("\nAccused beside what was planted:\n\n" + "\n".join(map(_cell, wrong)) + "\n" if wrong else "")


def _twins(results: Sequence[Result]) -> str:
    found = figures.twins(results)
    text = _TWINS.format(accusing=found.accusing, unjudged=found.unjudged)
    return text + "".join(f"\n- {_cell(one)}" for one in found.summaries) + ("\n" if found.summaries else "")


def _growth(results: Sequence[Result]) -> str:
    of = [one for one in results if one.kind == "superlinear" and not one.clean and one.growth and one.judged]
    if not of:
        return ""
    held = figures.Share(sum(one.growth[1] <= one.effect <= one.growth[2] for one in of if one.growth), len(of))
    lines = []
    for one in of:
        growth, low, high = one.growth or (0.0, 0.0, 0.0)
        found = f"{growth:.2f} [{low:.2f}, {high:.2f}]"
        lines.append(f"| {one.seed} | {_server(one)} | {one.effect:g} | {found} | {one.samples} |\n")
    return _GROWTH.format(held=held) + "".join(lines)


def _what_if(results: Sequence[Result]) -> str:
    told = figures.foretold(results)
    left_out = sum(one.twin_tps is not None for one in results) - len(told)
    if not told:
        return ""
    right = figures.Share(sum(one.near for one in told), len(told))
    lines = []
    for one in told:
        ends = "" if one.low is None or one.high is None else f" [{one.low:.0f}, {one.high:.0f}]"
        service = f"{one.result.seed} | {_server(one.result)}"
        lines.append(f"| {service} | {one.predicted:.0f}{ends} | {one.did:.0f} | {one.off:+.0%} |\n")
    head = _WHAT_IF.format(users=USERS, full=figures.FULL, left_out=left_out, near=figures.NEAR, right=right)
    return head + "".join(lines)


def _unlooked(results: Sequence[Result], looked: Collection[str]) -> str:
    run = {one.kind for one in results}
    waiting = ", ".join(f"`{name}`" for name in looked if name not in run)
    text = f"\n## Looked for, and not run yet\n\n{waiting}\n" if waiting else ""
    rest = ", ".join(f"`{name}`" for name in KINDS if name not in looked)
    return text + (f"\n## Not looked for yet\n\nNo finding of this version can show: {rest}.\n" if rest else "")


def _server(one: Result) -> str:
    return "threads" if one.threads else "async"


def _cell(text: str) -> str:
    """A sentence in a list: no line breaks."""
    return re.sub(r"\s+", " ", text)
