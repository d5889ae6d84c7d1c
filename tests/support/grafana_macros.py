"""A panel's SQL as the ClickHouse data source sends it: variables put in, macros expanded.

Expansions as in grafana-clickhouse-datasource, pkg/macros: the time filter is inclusive at both ends and in whole
seconds, an interval is at least a second, and times are cast to whole seconds before they are grouped.
"""

import re
from datetime import datetime

_MACRO = re.compile(r"\$__(\w+)(?:\(([^()]*)\))?")
_VARIABLE = re.compile(r"\$\{(\w+):singlequote\}")


def expanded(sql: str, *, start: datetime, end: datetime, interval_s: int = 1, **variables: str) -> str:
    """The SQL that reaches the store for a time range; every variable must be given."""
    from_time, to_time = f"toDateTime({int(start.timestamp())})", f"toDateTime({int(end.timestamp())})"

    def macro(match: re.Match[str]) -> str:
        name, argument = match[1], match[2]
        match name:
            case "timeFilter":
                return f"{argument} >= {from_time} AND {argument} <= {to_time}"
            case "timeInterval":
                return f"toStartOfInterval(toDateTime({argument}), INTERVAL {max(interval_s, 1)} second)"
            case "fromTime":
                return from_time
            case "toTime":
                return to_time
        raise AssertionError(f"no macro $__{name} in the data source")

    def variable(match: re.Match[str]) -> str:
        return "'" + variables[match[1]].replace("'", "\\'") + "'"

    text = _MACRO.sub(macro, _VARIABLE.sub(variable, sql))
    assert "$" not in text, f"something is left unexpanded: {text}"
    return text
