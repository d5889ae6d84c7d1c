"""Every SQL text that we give to Grafana, and choices to try it with."""

from tests.support.grafana_macros import ALL, Value
from views.grafana.alert_rules import RULES
from views.grafana.choices import Choice
from views.grafana.export import DASHBOARDS

CHOICES: dict[str, Value] = {
    "service": "shop", "run": "run-1", "baseline": "run-0", "later": "1000000000", "endpoint": ALL, "function": ALL
}  # fmt: skip
SOME: dict[str, Value] = {
    "endpoint": ["search", "it's"],
    "function": ["sweep (shop.py)", "a <b> (c) (d.py)", "it's (x.py)"],
}


def every_sql() -> dict[str, str]:
    """By where it stands: of panels, annotations, variables and alert rules."""
    found = {}
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for place, query in enumerate(panel.queries):
                found[f"{dashboard.uid}/{panel.title}/{place}"] = query.sql
        found |= {f"{dashboard.uid}/marks/{one.name}": one.query.sql for one in dashboard.annotations}
        found |= {
            f"{dashboard.uid}/choice/{one.name}": one.sql for one in dashboard.variables if isinstance(one, Choice)
        }
    return found | {rule.uid: rule.sql for rule in RULES}
