"""Does loadflame find what was planted, and nothing else?

    python -m benchmarks.planted [--kinds superlinear,linear] [--minutes 30] [--runs N] [--first-seed 1]

Services with one defect each, and their clean twins, are drawn from seeds and run one after the other through the
product itself; a run takes some 90 s. Each is a line of `.cache/planted/runs.jsonl` as soon as it is over, so that
Ctrl-C loses the run under way and no other, and the next call goes on behind what is there (`--no-resume`: begins
anew). `--page FILE` writes what all of them come to. Nothing else should use the machine's cores.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.planted.figures import Twins, accused, rank, rows, twins
from benchmarks.planted.kinds import KINDS, looked_for
from benchmarks.planted.known import known_kinds
from benchmarks.planted.page import page
from benchmarks.planted.playing import play
from benchmarks.planted.results import Result, Results, Task
from benchmarks.planted.serving import Design
from schemas.errors import UserError

DEFAULT = Path(".cache", "planted")
ROOMS = ("schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame")


def tasks(kinds: Sequence[str], first_seed: int) -> Iterator[Task]:
    """Without end: seed by seed each kind, with its defect and then without."""
    for seed in itertools.count(first_seed):
        for kind in kinds:
            yield Task(kind, seed, clean=False)
            yield Task(kind, seed, clean=True)


def version() -> str:
    """The last commit that changed the product, with a plus where it was changed since."""
    last, changed = (
        subprocess.run(["git", *arguments, "--", *ROOMS], capture_output=True, text=True, check=False).stdout.strip()
        for arguments in (("log", "-1", "--format=%h"), ("status", "--porcelain"))
    )
    return f"{last or 'an unknown commit'}{'+' if changed else ''}"


def outcome(result: Result) -> str:
    """A run in a few words."""
    wrong = accused(result)
    beside = f"; accuses {len(wrong)} more" if wrong else ""
    if not result.judged:
        return f"unjudged ({result.verdict}, {result.blocks} visits){beside}"
    if result.clean:
        return f"accuses {len(wrong)}" if wrong else "accuses nobody"
    place = rank(result, KINDS[result.kind])
    return ("not found" if place is None else f"found, place {place}") + beside


def campaign(results: Results, kinds: Sequence[str], options: argparse.Namespace) -> None:
    """Run until the time is over, the runs are done, or Ctrl-C."""
    until, commit, count = time.monotonic() + options.minutes * 60, version(), 0
    for task in tasks(kinds, options.first_seed):
        left_s = until - time.monotonic()
        if left_s < 0 or count == options.runs:
            return
        if task in results.done:
            continue
        print(f"{task.words} ... ({left_s / 60:.0f} min left)", file=sys.stderr, end=" ", flush=True)
        result = play(task, Design(), commit=commit, arrays=results.path.parent / "arrays")
        results.add(result)
        count += 1
        print(f"{outcome(result)} ({result.took_s:.0f} s)", file=sys.stderr, flush=True)


def tell(results: Sequence[Result], known: frozenset[str]) -> None:
    """What it comes to, on a screen."""
    looked = [name for name, kind in KINDS.items() if looked_for(kind, known)]
    for row in rows(results, looked):
        print(f"{row.kind} {row.effect:g} {KINDS[row.kind].unit}: found {row.found}; accuses another {row.false}")
    clean: Twins = twins(results)
    print(f"clean twins that accuse somebody: {clean.accusing}")
    print(f"not looked for yet: {', '.join(name for name in KINDS if name not in looked) or 'none'}")


def main() -> None:
    """Run, print, and write the page."""
    known = known_kinds()
    looked = [name for name, kind in KINDS.items() if looked_for(kind, known)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(looked), help="of defects; default: all that are looked for")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--runs", type=int, default=-1, help="at most so many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DEFAULT, help=f"where results are kept; default {DEFAULT}")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--page", type=Path, help="write docs/planted.md, say")
    options = parser.parse_args()
    kinds = [name for name in options.kinds.split(",") if name]
    if unknown := set(kinds) - set(KINDS):
        sys.exit(f"planted: there is no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    path = options.out / "runs.jsonl"
    if not options.resume:
        path.unlink(missing_ok=True)
    results = Results(path)
    print(f"seeds from {options.first_seed}; {len(results.all)} runs are there already", file=sys.stderr)
    try:
        campaign(results, kinds, options)
    except KeyboardInterrupt:
        print("\nended; what was measured is kept", file=sys.stderr)
    except UserError as error:
        sys.exit(f"planted: {error}")
    if results.all:
        tell(results.all, known)
        if options.page:
            command = f"python -m benchmarks.planted --kinds {','.join(kinds)} --page {options.page}"
            options.page.write_text(
                page(results.all, command=command, design=Design().words, cores=os.cpu_count() or 1, known=known)
            )


if __name__ == "__main__":
    main()
