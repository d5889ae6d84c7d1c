"""Does loadflame find what was planted, and nothing else?

    python -m benchmarks.planted [--minutes 60] [--only scan,tail] [--runs N] [--page docs/planted.md]

Services with defects, and their clean twins, are drawn from seeds and run one after the other through the product
itself. The next run is always the one of which least is there, of what a whole campaign has and of what still fits into
the time; so any hour of an idle machine is well spent, and the campaign goes on where it ended, also elsewhere: each
run is a line of `docs/planted/runs.jsonl` as soon as it is over. Only the pool's stores (some hundred MB, below
`.cache`) stay where they are, so that a service of it is begun again on another machine. Ctrl-C loses the run under way
and no other. `--page FILE` writes what all of them come to, `--plan` says what is left to do and how long it takes.
Nothing else should use the machine's cores.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.planted import figures
from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.known import known_kinds
from benchmarks.planted.page import page
from benchmarks.planted.playing import Campaign
from benchmarks.planted.pool import Compared, compare, usable
from benchmarks.planted.results import Result, Results
from benchmarks.planted.schedule import done, minutes_left, next_tasks, progress, to_predict
from schemas.errors import UserError

OUT, KEPT = Path("docs", "planted"), Path(".cache", "planted")
ROOMS = ("schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame")


def version() -> str:
    """The last commit that changed the product, with a plus where it was changed since."""
    last, changed = (
        subprocess.run(["git", *arguments, "--", *ROOMS], capture_output=True, text=True, check=False).stdout.strip()
        for arguments in (("log", "-1", "--format=%h"), ("status", "--porcelain"))
    )
    return f"{last or 'an unknown commit'}{'+' if changed else ''}"


def outcome(result: Result) -> str:
    """A run in a few words."""
    wrong = figures.accused(result)
    beside = f"; accuses {len(wrong)} more: {' '.join(wrong)}" if wrong else ""
    if not result.judged:
        return f"unjudged ({result.verdict}, {result.blocks} visits){beside}"
    if result.task.side != "planted":
        return f"accuses {len(wrong)}: {' '.join(wrong)}" if wrong else "accuses nobody"
    places = [(plant, figures.rank(result, plant)) for plant in result.plants]
    said = [f"{plant.kind} {plant.effect:g} {f'place {place}' if place else 'MISSED'}" for plant, place in places]
    return ", ".join(said) + beside


def campaign(
    results: Results, usable_ones: Callable[[], list[Result]], runs: Campaign, options: argparse.Namespace
) -> None:
    """Run until the time is over, the runs are done, or Ctrl-C."""
    until, count = time.monotonic() + options.minutes * 60, 0
    only = [name for name in options.only.split(",") if name]
    while options.runs < 0 or count < options.runs:
        left_s = until - time.monotonic()
        there = usable_ones()
        tasks = next_tasks(there, runs.design, left_s, first_seed=options.first_seed, only=only)
        if not tasks:
            return
        words = " and ".join(task.words for task in tasks)
        print(f"{words} ... ({left_s / 60:.0f} min left)", file=sys.stderr, end=" ", flush=True)
        for result in runs.play(tasks, predict=to_predict(tasks[0], there)):
            results.add(result)
            count += 1
            print(f"{outcome(result)} ({result.took_s:.0f} s)", file=sys.stderr, flush=True)
        print(f"  {progress(usable_ones())}", file=sys.stderr, flush=True)


def tell(results: Sequence[Result], compared: Sequence[Compared]) -> None:
    """What it comes to, on a screen."""
    for row in figures.rows(results):
        print(f"{row.kind} {row.effect:g} {KINDS[row.kind].unit}: found {row.found} ({row.unjudged} unjudged)")
    for name, some in (("with defects", figures.planted_runs(results)), ("without", figures.clean_runs(results))):
        found = figures.Accusing.of("", some)
        print(f"services {name} that accuse somebody: {found.share} ({found.unjudged} unjudged)")
    predictions = figures.foretold(results)
    if predictions:
        print(f"predictions within {figures.NEAR:.0%}: {sum(one.near for one in predictions)} of {len(predictions)}")
    for one in figures.told(compared):
        print(f"compared with {one.question}: told {one.all.bare}, of disjoint ones {one.disjoint}")


def tell_plan(results: Sequence[Result], design: Design) -> None:
    """What is left of a whole campaign."""
    left = minutes_left(results, design)
    for goal, minutes in left.items():
        print(f"{goal.words:16} {done(goal, results):3} of {goal.runs:3} runs, {minutes:5.0f} minutes to go")
    print(f"{'all':16} {sum(left.values()) / 60:22.1f} hours to go")


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"of these services, with commas: {', '.join(BUNDLES)}")
    parser.add_argument("--minutes", type=float, default=60, help="begin no run that would last longer; default 60")
    parser.add_argument("--runs", type=int, default=-1, help="at most so many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT, help=f"where results are kept; default {OUT}")
    parser.add_argument("--keep", type=Path, default=KEPT, help=f"where stores are kept; default {KEPT}")
    parser.add_argument("--plan", action="store_true", help="run nothing, and say what is left to do")
    parser.add_argument("--page", type=Path, help="write docs/planted.md, say")
    options = parser.parse_args()
    if unknown := {name for name in options.only.split(",") if name} - set(BUNDLES):
        sys.exit(f"planted: there are no services {', '.join(sorted(unknown))}; there are {', '.join(BUNDLES)}")
    for each in (signal.SIGINT, signal.SIGTERM):
        # Under nohup nobody hears of Ctrl-C; to end the runs that it began is the campaign's own affair.
        signal.signal(each, signal.default_int_handler)
    results, design = Results(options.out / "runs.jsonl"), Design()
    usable_ones = partial(usable, results.all, options.out, options.keep)
    if options.plan:
        tell_plan(usable_ones(), design)
        return
    print(f"seeds from {options.first_seed}; {len(results.all)} runs are there already", file=sys.stderr)
    try:
        campaign(results, usable_ones, Campaign(design, version(), options.out / "visits", options.keep), options)
    except KeyboardInterrupt:
        print("\nended; what was measured is kept", file=sys.stderr)
    except UserError as error:
        sys.exit(f"planted: {error}")
    there = usable_ones()
    compared = compare(there, options.out, options.keep)
    tell(there, compared)
    if options.page:
        command = f"python -m benchmarks.planted --minutes 60 --page {options.page}"
        known = known_kinds()
        options.page.write_text(
            page(there, compared, command=command, design=design, cores=os.cpu_count() or 1, known=known)
        )


if __name__ == "__main__":
    main()
