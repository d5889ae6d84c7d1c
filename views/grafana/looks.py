"""How panels look: what several of them share."""

from typing import Any

from views.grafana.model import Json, Override

LEGEND: Json = {
    "legend": {"displayMode": "table", "placement": "right", "calcs": ["mean", "max"], "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
SMALL_LEGEND: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
LINES: Json = {"fillOpacity": 5, "lineWidth": 2, "showPoints": "never"}
STACKED: Json = {"fillOpacity": 60, "lineWidth": 0, "showPoints": "never", "stacking": {"mode": "normal", "group": "A"}}
TABLE: Json = {"showHeader": True, "cellHeight": "sm"}
STAT: Json = {
    "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
    "colorMode": "value",
    "graphMode": "none",
    "textMode": "value_and_name",
}
BY_LABEL: Json = {"displayName": "${__field.labels.label}"}
"""Series are called by their label alone: otherwise Grafana puts the name of the value's column before it."""

TPS_ON_THE_RIGHT = Override(
    "",
    {
        "displayName": "TPS",
        "unit": "reqps",
        "color": {"mode": "fixed", "fixedColor": "text"},
        "custom.axisPlacement": "right",
        "custom.fillOpacity": 0,
        "custom.lineWidth": 2,
        "custom.lineStyle": {"fill": "dash", "dash": [6, 4]},
        "custom.stacking": {"mode": "none", "group": "B"},
    },
    query="B",
)


def steps(colours: dict[float | None, str]) -> Json:
    """Thresholds of a field: a colour from each value on; None is minus infinity, and first."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in colours.items()]}


NOT_ZERO = steps({None: "green", 1: "red"})
"""Green as long as there is none."""


def coloured(pattern: str, **settings: Any) -> Override:
    """Table cells whose text takes the colour of their threshold or mapping."""
    return Override(pattern, {"custom.cellOptions": {"type": "color-text"}, **settings})
