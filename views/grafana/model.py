"""Dashboards as small typed records, and their JSON as Grafana reads it.

Written by hand because no SDK on the package index knows the ClickHouse data source's queries or the flame graph
panel. Sources: Grafana's dashboard kind (`dashboard_kind.cue`), and the query model of grafana-clickhouse-datasource
(`CHSqlQuery`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SCHEMA_VERSION = 39
DATASOURCE = {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
PLUGIN_VERSION = "4.11.1"
"""Of the data source whose query model this is; without it the editor takes a query for one of its third version."""
_FORMATS = {"time series": 0, "table": 1}

Json = dict[str, Any]
Format = Literal["time series", "table"]


def sql_query(sql: str, ref: str, format_: Format, datasource: Mapping[str, str]) -> Json:
    """A query of the data source: of a panel, of an annotation or of an alert rule."""
    return {
        "refId": ref,
        "datasource": dict(datasource),
        "pluginVersion": PLUGIN_VERSION,
        "editorType": "sql",
        "format": _FORMATS[format_],
        "queryType": format_.replace(" ", ""),
        "rawSql": sql,
    }


@dataclass(frozen=True, slots=True)
class Query:
    """One SQL text of a panel. `format`: a flame graph needs a table, a graph time series."""

    sql: str
    format: Format = "time series"

    def as_json(self, ref: str) -> Json:
        """As a panel's target."""
        return sql_query(self.sql, ref, self.format, DATASOURCE)


@dataclass(frozen=True, slots=True)
class Override:
    """Field settings for the fields whose name matches a pattern, or, of `query`, for those of one of the queries.

    Where a panel gives its series names of its own, whether Grafana has done so before it matches is not documented:
    there a pattern has no anchors.
    """

    pattern: str
    settings: Json
    query: str = ""

    def as_json(self) -> Json:
        """As an override of a panel's field configuration."""
        properties = [{"id": name, "value": value} for name, value in self.settings.items()]
        matcher = {"id": "byRegexp", "options": f"/{self.pattern}/"}
        if self.query:
            matcher = {"id": "byFrameRefID", "options": self.query}
        return {"matcher": matcher, "properties": properties}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `place` is x, y, width, height on Grafana's grid of 24 columns.

    `defaults` are settings of every field (thresholds, links, a name), `custom` those that only this kind knows.
    """

    title: str
    kind: Literal["timeseries", "flamegraph", "table", "stat"]
    description: str
    place: tuple[int, int, int, int]
    queries: tuple[Query, ...]
    unit: str = "short"
    defaults: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    options: Json = field(default_factory=dict)

    def as_json(self, number: int) -> Json:
        """As one of a dashboard's panels. No interval is shorter than the shortest usual window."""
        x, y, width, height = self.place
        return {
            "id": number,
            "title": self.title,
            "type": self.kind,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "interval": "1s",
            "targets": [query.as_json(chr(ord("A") + place)) for place, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {"unit": self.unit, **self.defaults, "custom": self.custom},
                "overrides": [override.as_json() for override in self.overrides],
            },
            "options": self.options,
        }


class Variable(Protocol):
    """A choice at the top of a dashboard."""

    def as_json(self) -> Json:
        """As an entry of a dashboard's templating list."""


class Link(Protocol):
    """A link at the top of a dashboard."""

    def as_json(self) -> Json:
        """As an entry of a dashboard's links."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """Marks on every time axis, from a query with the columns time, timeEnd (of a band), text and tags."""

    name: str
    colour: str
    query: Query

    def as_json(self) -> Json:
        """As an entry of a dashboard's annotation list."""
        return {
            "name": self.name,
            "enable": True,
            "iconColor": self.colour,
            "datasource": DATASOURCE,
            "target": self.query.as_json("Anno"),
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A whole dashboard; `uid` is its name in URLs and in file names."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    panels: tuple[Panel, ...]
    annotations: tuple[Annotations, ...] = ()
    links: tuple[Link, ...] = ()

    def as_json(self) -> Json:
        """As Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["loadflame"],
            "timezone": "browser",
            "schemaVersion": SCHEMA_VERSION,
            "refresh": "5s",
            "time": {"from": "now-15m", "to": "now"},
            "graphTooltip": 1,  # one cross hair over all panels: the point of TPS above hot functions
            "links": [link.as_json() for link in self.links],
            "templating": {"list": [variable.as_json() for variable in self.variables]},
            "annotations": {"list": [annotations.as_json() for annotations in self.annotations]},
            "panels": [panel.as_json(number) for number, panel in enumerate(self.panels, 1)],
        }

    def number_of(self, title: str) -> int:
        """The id of a panel, for links to it. Raises StopIteration when there is none of that title."""
        return next(number for number, panel in enumerate(self.panels, 1) if panel.title == title)
