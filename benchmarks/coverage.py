"""Do the 95% intervals of a function's growth hold the true growth in 92% to 98% of all cases?

    python -m benchmarks.coverage [--draws 1000] [--recorded docs/planted/visits] [--page docs/coverage.md]

Twice, and neither time on data drawn from the model that is fitted:

- on recorded runs of services without a defect (what `make planted` keeps of clean twins): of a function whose cost
  for a request is fixed, samples are left out at random, more at low rates, so that what is left grows with a known
  exponent; the CPU time that they stood for goes with them. All other noise is the machine's own.
- on generators of visits with what real services and samplers do: costs that vary from visit to visit, also such that
  neighbours in time are alike; drift in time; a sampler that finds less at some rates; fixed work beside.

Pure arithmetic: a few minutes of one core.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.coverage_figures import AIM, EACH_S, HZ, LEVELS_TPS, SETTLE_S, VISITS, Held, generated, recorded

RECORDED = Path("docs", "planted", "visits")
_COLUMNS = ("", "growth", "samples", "intervals that hold it", "off by", "called superlinear", "aim")
_PAGE = """# Coverage of the intervals of growth

A 95% interval of a function's growth should hold the true growth in {low:.0%} to {high:.0%} of all cases, and not
only on data drawn from the model that is fitted. Written by

    python -m benchmarks.coverage --draws {draws} --seed {seed} --page docs/coverage.md

on {day}. Bounds of shares are Clopper and Pearson's, 95%. `within`: the share itself is; `OUTSIDE`: even its bounds are
not; `cannot tell`: neither. "Off by" is the mean estimate less the truth, "called superlinear" the share of intervals
that lie above 1.15, before the correction for having looked at many functions; for a growth of 1 these are false.

## Recorded runs

Clean twins of `make planted`, recorded on a machine that was shared with other work. Of each function whose cost for a
request is fixed, samples are left out at random, each visit's with the probability 1 - (rate / highest rate)^(growth -
1), with the CPU time that they stood for; growth 1 leaves all. Draws of one function share the run's own noise, so that
the bounds count functions, not draws; functions of one run share some of it still. `samples` is the median.

{recorded}
## Generators

{visits} visits of {rates} requests/s each, in random order, {seconds:g} s of each counted, {hz:g} samples for each
second of CPU, {draws} runs a row. The noise is beside that of counting; where costs are said to vary, the function's
and those of the rest vary apart.

{generated}"""


def lines(rows: Sequence[Held]) -> str:
    """A table in Markdown."""
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    return head + "".join(f"| {' | '.join(_cells(one))} |\n" for one in rows)


def _cells(one: Held) -> list[str]:
    figures = (f"{one.growth:g}", f"{one.samples:,}", str(one.held), f"{one.bias:+.2f}", str(one.superlinear))
    return [one.source, *figures, one.aim]


def main() -> None:
    """Count, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000, help="runs for each row of the generators")
    parser.add_argument("--again", type=int, default=20, help="how often each recorded function is thinned")
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--recorded", type=Path, default=RECORDED)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    of_runs = list(recorded(options.recorded, options.again, options.seed))
    made = list(generated(options.draws, options.seed))
    table = Table(*_COLUMNS, title="Intervals of growth")
    for one in (*of_runs, *made):
        table.add_row(*_cells(one))
    Console(width=max(150, Console().width)).print(table)
    if options.page:
        text = _PAGE.format(
            low=AIM[0],
            high=AIM[1],
            draws=options.draws,
            seed=options.seed,
            day=datetime.now(UTC).strftime("%d %B %Y"),
            recorded=lines(of_runs) if of_runs else "None has been recorded.\n",
            visits=VISITS,
            rates=", ".join(map(str, LEVELS_TPS)),
            seconds=EACH_S - SETTLE_S,
            hz=HZ,
            generated=lines(made),
        )
        options.page.write_text(text)


if __name__ == "__main__":
    main()
