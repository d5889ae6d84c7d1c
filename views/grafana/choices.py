"""The choices at the top of a dashboard: where it reads, what it shows, where our page is."""

from dataclasses import dataclass

from views.grafana.model import DATASOURCE, Json

PLUGIN = "grafana-clickhouse-datasource"
DATASOURCE_NAME = "loadflame"
DATASOURCE_UID = "loadflame-clickhouse"
PAGE_URL = "http://127.0.0.1:8790"
"""Where `loadflame serve` answers, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Store:
    """Which ClickHouse data source the dashboard reads; ours, until somebody takes another."""

    def as_json(self) -> Json:
        """As an entry of a dashboard's templating list."""
        return {
            "name": "datasource",
            "label": "Store",
            "type": "datasource",
            "query": PLUGIN,
            "refresh": 1,
            "current": {"text": DATASOURCE_NAME, "value": DATASOURCE_UID},
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Filled by a query whose first column holds the values, and whose second one, if any, what is shown for them.

    `many`: several may be chosen, or all. All is the default, and is no condition at all in a query (see
    `views.grafana.sql`), so that the text does not grow with the number of values. `hidden`: nobody chooses, the query
    gives one value, which no URL can change.
    """

    name: str
    label: str
    sql: str
    many: bool = False
    follows_range: bool = False
    hidden: bool = False

    def as_json(self) -> Json:
        """As an entry of a dashboard's templating list."""
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": self.sql,
            "refresh": 2 if self.follows_range else 1,  # with the time range, or when the dashboard opens
            "sort": 0,  # as the query orders them
            "multi": self.many,
            "includeAll": self.many,
            "current": {"text": ["All"], "value": ["$__all"]} if self.many else {},
            "hide": 2 if self.hidden else 0,
            "skipUrlSync": self.hidden,
        }


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where our own page is. A constant, which no URL can change: a link in a chat must not lead elsewhere."""

    url: str = PAGE_URL

    def as_json(self) -> Json:
        """As an entry of a dashboard's templating list."""
        return {
            "name": "page",
            "label": "loadflame's page",
            "type": "constant",
            "query": self.url,
            "current": {"text": self.url, "value": self.url},
            "hide": 2,
            "skipUrlSync": True,
        }
