"""The page of a campaign, from results that exist: nothing on it is written by hand."""

import re
from collections.abc import Collection, Sequence

from benchmarks.planted import figures
from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.kinds import KINDS, looked_for
from benchmarks.planted.pool import Compared
from benchmarks.planted.results import Result
from benchmarks.planted.schedule import GOALS, minutes_left
from benchmarks.planted.serving import USERS

_HEAD = """# What was planted, and what was found

Services drawn from a seed, each a process of its own with defects in some of its functions, loaded and profiled by
`loadflame run`; and their clean twins, which lack the defects and nothing else (`benchmarks/planted`). Names, call
tree, costs, endpoints, kind of server (one thread or many), place and size of the defects come from the seed.

    {command}

{runs}
- {design}

A run takes a quarter of a minute beside its load, so defects that leave each other alone share a service; each counts
as a run for its kind, and the functions beside them must not be accused. Shares have Clopper-Pearson 95% bounds. Runs
that say themselves that they may not be judged (the generator or the host was the limit, or too little was left to
judge growth by) are `unjudged`, and count neither for nor against. Services at random moments (tail and convoy) were
begun again, without their first seven runs, when what those showed was mended (6151e19): one of them, a clean service,
had been said to be limited by waiting.

To a whole campaign {minutes:.1f} hours of machine are still to go.

| services | defects in one of them | asked by | with defects | without | a whole campaign has | minutes to go |
|---|---|---|---|---|---|---|
"""
_RUNS = """- {n} runs between {first} and {last} (UTC), {minutes:,.0f} minutes of machine
- of loadflame at {commits} (the last commit that changed the product; + where it was changed since)
- when they began, {busy} processes wanted one of the machine's {cores} cores, on average"""
_SIDES = {"planted": "", "clean": " without", "all": " of both"}
_NO_RUNS = "- no run of this campaign is published yet"
_DETECTION = """
## Found, by size of the defect

Found: a finding that counts as such by the table in `benchmarks/planted/kinds.py`, and that names the planted function
where it can. First or second, asked of what grows: its place among the report's findings, those left out that show
another planted defect. The aim is 95% at growth 2 with {ample} samples.

| defect | size | unjudged | median samples | found | with {ample} samples | first or second |
|---|---|---|---|---|---|---|
"""
_BESIDE = """
## Accused beside what was planted

Any finding that shows no planted defect and does not follow from one, except what is said of every service (the
capacity, its size, the hottest function, who was the limit where the service was not, that there is nothing to find).

| services | accuse somebody | unjudged |
|---|---|---|
"""
_CLEAN = """
## Without a defect

Any finding at all beyond what is said of every service: {share} ({unjudged} more unjudged); the aim is 1 of 100 at
most. Each is another service. The pool's clean runs are not among them, for they are ten each of a few services, and
not independent: {pool} of them accuse somebody, which has no bounds.

| services | accuse somebody | unjudged |
|---|---|---|
"""
_GROWTH = """
## Growth

The 95% interval of the planted function's growth holds the true one in {held}.

| service | server | true | found | samples |
|---|---|---|---|---|
"""
_WHAT_IF = """
## What-if

Made linear, the service is predicted to hold so many requests/s; the same service, its growing function costing at
every rate what it costs at the lowest, then did so many. That is a run of its own in the closed model ({users} users
who never think), per second of CPU that the twin got, so that neighbours on the machine do not count; twins that got
under {full:.0%} of a core are left out ({left_out}). Within {near:.0%}: {right}; the aim is 8 of 10.

| seed | server | predicted | the twin did | off |
|---|---|---|---|---|
"""
_COMPARED = """
## Compared

Five runs of two minutes on each side, made in turns, as `loadflame compare` does; the pool of a service has ten runs as
it is and five of each slowdown. Disjoint comparisons share no run, and have bounds. The others are drawn from the same
runs: they say how much hangs on which runs one happens to have, are not independent, and have none. "Told": of a slower
function, that it is named; of identical services, that anything at all is told. The aims are 80% of the 10% slowdowns
where the spread between runs is 2% at most, and false alarms in 5% at most. "Least detectable": of a function that has
a tenth of the service's CPU; "its share" is the slower function's.

| new side | disjoint | all | innocent named | spread of runs | least detectable, at 10% of CPU | its share of CPU |
|---|---|---|---|---|---|---|
"""
_QUESTIONS = {"clean": "the same service", "slower-10": "10% slower", "slower-30": "30% slower"}


def page(
    results: Sequence[Result],
    compared: Sequence[Compared] = (),
    *,
    command: str,
    design: Design,
    cores: int,
    known: Collection[str],
) -> str:
    """Markdown. `known` are the kinds of finding that exist (see `known`), `design` how services were asked."""
    head = _HEAD.format(
        command=command,
        runs=_runs(results, cores),
        design=design.words,
        minutes=sum(minutes_left(results, design).values()) / 60,
    )
    parts = [
        head + _services(results, design),
        _found(results),
        _beside(results),
        _clean(results),
        _growth(results),
        _what_if(results),
        _compared(compared),
        _unlooked(known),
    ]
    return "".join(filter(None, parts))


def _runs(results: Sequence[Result], cores: int) -> str:
    if not results:
        return _NO_RUNS
    return _RUNS.format(
        n=len(results),
        first=min(one.at for one in results)[:16].replace("T", " "),
        last=max(one.at for one in results)[:16].replace("T", " "),
        minutes=sum(one.took_s for one in results) / 60,
        commits=", ".join(sorted({one.commit for one in results})),
        busy=f"{sum(one.busy for one in results) / len(results):.1f}",
        cores=cores,
    )


def _services(results: Sequence[Result], design: Design) -> str:
    left = minutes_left(results, design)
    lines = []
    for name, bundle in BUNDLES.items():
        mine = [one for one in results if one.task.bundle == name and one.judged]
        clean = sum(one.task.side == "clean" for one in mine)
        goals = [goal for goal in GOALS if goal.bundle == name]
        kinds = "one function 10% or 30% slower" if name == "pool" else ", ".join(bundle.kinds)
        whole = " + ".join(f"{goal.runs}{_SIDES[goal.side]}" for goal in goals)
        minutes = sum(left[goal] for goal in goals)
        asked = ", ".join(bundle.stages)
        lines.append(f"| {name} | {kinds} | {asked} | {len(mine) - clean} | {clean} | {whole} | {minutes:.0f} |\n")
    return "".join(lines)


def _found(results: Sequence[Result]) -> str:
    lines = []
    for row in figures.rows(results):
        kind = KINDS[row.kind]
        ample, leading = (row.ample, row.leading) if kind.grows else ("", "")
        size = f"{row.kind} | {row.effect:g} {kind.unit}"
        lines.append(f"| {size} | {row.unjudged} | {row.samples} | {row.found} | {ample} | {leading} |\n")
    return _DETECTION.format(ample=figures.AMPLE) + "".join(lines) if lines else ""


def _beside(results: Sequence[Result]) -> str:
    found = figures.accusing(figures.planted_runs(results))
    return _BESIDE + _accusing(found) if found else ""


def _clean(results: Sequence[Result]) -> str:
    clean, pool = figures.clean_runs(results), figures.pool_runs(results)
    if not clean and not pool:
        return ""
    whole, many = figures.Accusing.of("", clean), figures.Accusing.of("pool", pool)
    head = _CLEAN.format(share=whole.share, unjudged=whole.unjudged, pool=many.share.bare)
    return head + _accusing(figures.accusing([*clean, *pool]))


def _accusing(found: Sequence[figures.Accusing]) -> str:
    shares = {one.bundle: one.share.bare if one.bundle == "pool" else one.share for one in found}
    lines = [f"| {one.bundle} | {shares[one.bundle]} | {one.unjudged} |\n" for one in found]
    said = [f"- {_cell(text)}\n" for one in found for text in one.summaries]
    return "".join(lines) + ("\n" + "".join(said) if said else "")


def _growth(results: Sequence[Result]) -> str:
    held = [row.held for row in figures.rows(results) if row.kind == "superlinear"]
    if not sum(share.n for share in held):
        return ""
    lines = []
    for one in figures.planted_runs(results):
        for seen in one.seen:
            if seen.plant.kind == "superlinear" and seen.growth is not None and one.judged:
                growth, low, high = seen.growth
                found = f"{growth:.2f} [{low:.2f}, {high:.2f}]"
                lines.append(
                    f"| {one.task.words} | {_server(one)} | {seen.plant.effect:g} | {found} | {seen.samples} |\n"
                )
    all_of_them = figures.Share(sum(one.hits for one in held), sum(one.n for one in held))
    return _GROWTH.format(held=all_of_them) + "".join(lines)


def _what_if(results: Sequence[Result]) -> str:
    told = figures.foretold(results)
    left_out = sum(one.twin_tps is not None for one in results) - len(told)
    if not told:
        return ""
    right = figures.Share(sum(one.near for one in told), len(told))
    lines = []
    for one in told:
        ends = "" if one.low is None or one.high is None else f" [{one.low:.0f}, {one.high:.0f}]"
        service = f"{one.result.task.seed} | {_server(one.result)}"
        lines.append(f"| {service} | {one.predicted:.0f}{ends} | {one.did:.0f} | {one.off:+.0%} |\n")
    head = _WHAT_IF.format(users=USERS, full=figures.FULL, left_out=left_out, near=figures.NEAR, right=right)
    return head + "".join(lines)


def _compared(compared: Sequence[Compared]) -> str:
    lines = [
        f"| {_QUESTIONS[one.question]} | {one.disjoint} | {one.all.bare} | {one.innocent.bare} | {one.spread:.1%} "
        f"| {one.detectable:.0%} | {one.share_of_cpu:.0%} |\n"
        for one in figures.told(compared)
    ]
    return _COMPARED + "".join(lines) if lines else ""


def _unlooked(known: Collection[str]) -> str:
    rest = ", ".join(f"`{name}`" for name, kind in KINDS.items() if not looked_for(kind, known))
    return f"\n## Not looked for yet\n\nNo finding of this version can show: {rest}.\n" if rest else ""


def _server(one: Result) -> str:
    return "threads" if one.threads else "async"


def _cell(text: str) -> str:
    """A sentence in a list: no line breaks."""
    return re.sub(r"\s+", " ", text)
