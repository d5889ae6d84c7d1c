"""A comparison as Markdown, for a pull request: the sentence first, the tables behind it."""

from collections.abc import Callable, Iterable, Iterator

from analysis import wording
from analysis.comparison.difference import Verdict
from analysis.comparison.difference_sentences import change, milliseconds
from views.difference import model
from views.difference.model import Difference, Outcome
from views.difference.tables import shown_functions
from views.difference.terminal import footnotes

_OUTCOMES: dict[Outcome, str] = {
    "regression": "🔴 regression",
    "improvement": "🟢 improvement",
    "none": "⚪ no difference",
    "unclear": "🟡 unclear",
}
_SIGNS: dict[Verdict, str] = {
    "dearer": "🔴 dearer",
    "slower": "🔴 slower",
    "cheaper": "🟢 cheaper",
    "faster": "🟢 faster",
    "new": "new",
    "gone": "gone",
    "none": "no difference",
    "unclear": "unclear",
}


def markdown_of(difference: Difference) -> str:
    """GitHub's Markdown; ends with a line break."""
    return "\n".join(_lines(difference)) + "\n"


def _lines(difference: Difference) -> Iterator[str]:
    first, *others = difference.sentences
    yield f"### loadflame: {_OUTCOMES[difference.outcome]} in {_escaped(difference.service)}"
    yield ""
    yield f"**{_escaped(first)}**"
    if others:
        yield ""
        yield from (f"- {_escaped(text)}" for text in others)
    if difference.cpu_us is not None:
        yield ""
        yield from _table(
            ("CPU per request", "base", "new", "change", "95%", "verdict"),
            (
                ("**the service**", *_cells(difference.cpu_us, wording.us)),
                *((_name(one), *_cells(one.self_us, wording.us)) for one in shown_functions(difference)),
            ),
        )
    if difference.latency:
        of_endpoints = (
            (f"{one.percentile} of {_code(one.endpoint)}", *_cells(one.ms, milliseconds)) for one in difference.latency
        )
        yield ""
        yield from _table(("latency", "base", "new", "change", "95%", "verdict"), of_endpoints)
    yield from _details(difference)


def _details(difference: Difference) -> Iterator[str]:
    yield ""
    yield "<details><summary>How it was measured</summary>"
    yield ""
    for name, side in (("base", difference.base), ("new", difference.new)):
        yield f"- {name}, {wording.count(len(side.runs), 'run')}: {', '.join(map(_code, side.runs)) or 'none'}"
    for level in difference.levels:
        rates = " / ".join("–" if tps is None else wording.tps(tps) for tps in (level.base_tps, level.new_tps))
        yield f"- {_code(level.level)}: {rates} TPS, {f'not compared: {level.why}' if level.why else 'compared'}"
    yield from (f"- ⚠ {_escaped(warning)}" for warning in difference.warnings)
    yield from (f"- {_escaped(note)}" for note in footnotes(difference))
    yield ""
    yield "</details>"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 2)}---|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cells(figure: model.Change, say: Callable[[float], str]) -> tuple[str, ...]:
    base, new = ("–" if value is None else say(value) for value in (figure.base, figure.new))
    known = figure.low is not None and figure.high is not None
    interval = f"{change(figure.low)} to {change(figure.high)}" if known else "–"
    return base, new, change(figure.ratio), interval, _SIGNS[figure.verdict]


def _name(one: model.Function) -> str:
    moved = f", was in {one.moved_from}" if one.moved_from else ""
    return f"{_code(one.function)} ({_escaped(one.file)}{_escaped(moved)})"


def _code(text: str) -> str:
    """As code; a backquote or a bar in it would end the code or the cell."""
    return f"`{text.replace('`', ' ').replace('|', chr(92) + '|')}`"


def _escaped(text: str) -> str:
    """Outside of code nothing but our own backquotes may mean anything."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for sign in "\\*_<>|[]":
            parts[place] = parts[place].replace(sign, f"\\{sign}")
    return "`".join(parts)
