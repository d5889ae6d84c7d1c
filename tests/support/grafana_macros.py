"""A panel's SQL as the ClickHouse data source sends it: variables put in, macros expanded.

Expansions as in grafana-clickhouse-datasource: first `$__conditionalAll` and the variables (in the browser,
`CHDatasource.applyTemplateVariables`), then the other macros (`pkg/macros`). The time filter is inclusive at both ends
and in whole seconds, an interval is at least a second, and times are cast to whole seconds before they are grouped.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from views.grafana.tiers import SKETCHES, TIERS

ALL = "$__all"
_CONDITIONAL = "$__conditionalAll("
_MACRO = re.compile(r"\$__(\w+)(?:\(([^()]*)\))?")
_VARIABLE = re.compile(r"\$\{(\w+):(singlequote|raw)\}")
_JAVASCRIPT_PATTERN = re.compile(r"\$[$&`'\d]")

Value = str | Sequence[str]


def expanded(sql: str, *, start: datetime, end: datetime, interval_s: int = 1, **variables: Value) -> str:
    """The SQL that reaches the store for a time range. Every variable must be given; `ALL` is all of its values."""
    from_time, to_time = f"toDateTime({int(start.timestamp())})", f"toDateTime({int(end.timestamp())})"

    def macro(match: re.Match[str]) -> str:
        name, argument = match[1], match[2]
        match name:
            case "timeFilter":
                return f"{argument} >= {from_time} AND {argument} <= {to_time}"
            case "timeInterval":
                return f"toStartOfInterval(toDateTime({argument}), INTERVAL {max(interval_s, 1)} second)"
            case "interval_s":
                return str(max(interval_s, 1))
            case "fromTime":
                return from_time
            case "toTime":
                return to_time
        raise AssertionError(f"no macro $__{name} in the data source")

    def variable(match: re.Match[str]) -> str:
        if match[2] == "raw":
            return _answered(match[1], int((end - start).total_seconds()), variables)
        value = variables[match[1]]
        assert value != ALL, f"{match[1]} stands outside of $__conditionalAll"
        return ",".join(_quoted(one) for one in ([value] if isinstance(value, str) else value))

    for name, time in (("from", start), ("to", end)):
        sql = sql.replace(f"${{__{name}:date:seconds}}", str(int(time.timestamp())))
    text = _MACRO.sub(macro, _VARIABLE.sub(variable, _without_all(sql, variables)))
    assert "$" not in text, f"something is left unexpanded: {text}"
    return text


def _answered(name: str, length_s: int, variables: dict[str, Value]) -> str:
    """What Grafana asked the store for, of the only choices that stand in a text without quotes."""
    if name == SKETCHES.name:
        return "load" if variables["endpoint"] in (ALL, "") else "endpoints"
    (tier,) = (one for one in TIERS if one.name == name)
    return "minute" if length_s > tier.raw_s else "window"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "\\'") + "'"


def _without_all(sql: str, variables: dict[str, Value]) -> str:
    while (at := sql.rfind(_CONDITIONAL)) >= 0:
        condition, name, length = _arguments(sql[at + len(_CONDITIONAL) :])
        assert not _JAVASCRIPT_PATTERN.search(condition), f"JavaScript would read a pattern in {condition}"
        phrase = "1=1" if variables[name.strip().removeprefix("$")] in (ALL, "") else condition
        sql = sql[:at] + phrase + sql[at + len(_CONDITIONAL) + length :]
    return sql


def _arguments(text: str) -> tuple[str, str, int]:
    """Both arguments and how long they are with their bracket; brackets are counted also within quotes."""
    depth, comma = 1, 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 1:
            assert not comma, "the macro has two arguments"
            comma = place
        if depth == 0:
            return text[:comma], text[comma + 1 : place], place + 1
    raise AssertionError(f"a bracket is missing in {text}")
