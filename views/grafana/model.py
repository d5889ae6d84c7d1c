"""Dashboards as small typed records, and their JSON as Grafana reads it.

Written by hand because no SDK on the package index knows the ClickHouse data source's queries or the flame graph
panel. Sources: Grafana's dashboard JSON model, and the query model of grafana-clickhouse-datasource.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 39
DATASOURCE = {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
_FORMATS = {"time series": 0, "table": 1}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One SQL text of a panel. `format`: a flame graph needs a table, a graph time series."""

    sql: str
    format: Literal["time series", "table"] = "time series"

    def as_json(self, ref: str) -> Json:
        """As a panel's target."""
        return {
            "refId": ref,
            "datasource": DATASOURCE,
            "editorType": "sql",
            "format": _FORMATS[self.format],
            "queryType": self.format.replace(" ", ""),
            "rawSql": self.sql,
        }


@dataclass(frozen=True, slots=True)
class Override:
    """Field settings for the fields whose name matches a pattern."""

    pattern: str
    settings: Json

    def as_json(self) -> Json:
        """As an override of a panel's field configuration."""
        properties = [{"id": name, "value": value} for name, value in self.settings.items()]
        return {"matcher": {"id": "byRegexp", "options": f"/{self.pattern}/"}, "properties": properties}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `place` is x, y, width, height on Grafana's grid of 24 columns."""

    title: str
    kind: Literal["timeseries", "flamegraph", "table"]
    description: str
    place: tuple[int, int, int, int]
    queries: tuple[Query, ...]
    unit: str = "short"
    custom: Json = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    options: Json = field(default_factory=dict)

    def as_json(self, number: int) -> Json:
        """As one of a dashboard's panels."""
        x, y, width, height = self.place
        return {
            "id": number,
            "title": self.title,
            "type": self.kind,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "targets": [query.as_json(chr(ord("A") + place)) for place, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": self.custom},
                "overrides": [override.as_json() for override in self.overrides],
            },
            "options": self.options,
        }


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard, filled by a query whose first column holds the values."""

    name: str
    label: str
    sql: str

    def as_json(self) -> Json:
        """As an entry of a dashboard's templating list."""
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": self.sql,
            "refresh": 2,  # whenever the time range changes
            "sort": 0,  # as the query orders them
            "multi": False,
            "includeAll": False,
        }


@dataclass(frozen=True, slots=True)
class Annotations:
    """Marks on every time axis, from a query with the columns time, timeEnd and text."""

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

    def as_json(self) -> Json:
        """As Grafana imports it."""
        datasource = {
            "name": "datasource",
            "label": "Store",
            "type": "datasource",
            "query": "grafana-clickhouse-datasource",
            "refresh": 1,
        }
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
            "templating": {"list": [datasource, *(variable.as_json() for variable in self.variables)]},
            "annotations": {"list": [annotations.as_json() for annotations in self.annotations]},
            "panels": [panel.as_json(number) for number, panel in enumerate(self.panels, 1)],
        }
