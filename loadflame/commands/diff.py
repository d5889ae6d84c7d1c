"""`loadflame diff`: two groups of runs side by side: what got dearer, what slower, by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, DataDir, StoreUrl
from loadflame.settings import SettingsError, read_settings

if TYPE_CHECKING:
    from views.difference.model import Difference

FailOn = Annotated[
    Literal["nothing", "regression"],
    typer.Option(
        help="Exit with 1 at a regression, and with 3 when it cannot be told. [dim](default: always 0)[/]",
        show_default=False,
    ),
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")]
_RUNS = "run ids, with commas between or again; FIRST..LAST are all runs of the service between the two"


def diff(
    runs: Annotated[list[str] | None, typer.Argument(metavar="[BASE NEW]", help="A run on either side.")] = None,
    base: Annotated[list[str] | None, typer.Option(help=f"The runs to compare with: {_RUNS}.")] = None,
    new: Annotated[list[str] | None, typer.Option(help="The runs in question, named in the same way.")] = None,
    fail_on: FailOn = "nothing",
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Say what got dearer per request, or slower, between two groups of runs at the same rates.

    Three runs a side are needed before anything is called a difference, five are usual, and taken in turns; `loadflame
    compare` makes them. Fewer give numbers, and "unclear". What would have been found is said as well.
    """
    from sinks.clickhouse import open_for_reading
    from views.difference.build import build_difference
    from views.difference.chosen import chosen_runs, two_groups

    one_form(as_json=as_json, as_markdown=as_markdown)
    sides = _sides(runs or [], base or [], new or [])
    two_groups(*sides)
    client = open_for_reading(read_settings(store=store, data_dir=data_dir).store_url)
    difference = build_difference(client, *(chosen_runs(client, side) for side in sides))
    show(difference, as_json=as_json, as_markdown=as_markdown)
    raise typer.Exit(exit_code_of(difference, fail_on))


def one_form(*, as_json: bool, as_markdown: bool) -> None:
    """Raise SettingsError when two forms are asked for at once."""
    if as_json and as_markdown:
        raise SettingsError("--json and --markdown are two forms of one thing; give one of them")


def show(difference: Difference, *, as_json: bool, as_markdown: bool) -> None:
    """Print a comparison as a page, as JSON or as Markdown."""
    from views.difference.markdown import markdown_of
    from views.difference.terminal import render_difference

    if as_json:
        typer.echo(difference.model_dump_json(indent=2))
    elif as_markdown:
        typer.echo(markdown_of(difference), nl=False)
    else:
        Console().print(render_difference(difference))


def exit_code_of(difference: Difference, fail_on: str) -> int:
    """0 when it only was to be shown. Else 1 for a regression, 3 where one might hide: too few runs, unequal rates."""
    if fail_on == "nothing":
        return 0
    if difference.outcome == "regression":
        return 1
    return 0 if difference.comparable and difference.outcome != "unclear" else 3


def _sides(runs: list[str], base: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    if not runs:
        return base, new
    if base or new:
        raise SettingsError("name the runs as BASE NEW or by --base and --new, not both")
    if len(runs) != 2:
        raise SettingsError("name two runs, BASE NEW; for more of them give --base and --new")
    return runs[:1], runs[1:]
