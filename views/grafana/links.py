"""Links between the dashboards, and to our own page. Variables go with them, encoded by Grafana."""

from dataclasses import dataclass

from views.grafana.model import Json

HOT_FUNCTIONS = "loadflame-hot-functions"
COMPARISON = "loadflame-comparison"
HEALTH = "loadflame-health"

PAGE = "${page:raw}/runs/${run:percentencode}?from=${__from}&to=${__to}"
"""A run on our page, and the time range in milliseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class OtherDashboards:
    """All dashboards of ours, with the same variables and the same time range."""

    def as_json(self) -> Json:
        """As an entry of a dashboard's links."""
        return _link("dashboards", "loadflame", tags=["loadflame"], include_vars=True)


@dataclass(frozen=True, slots=True)
class OwnPage:
    """The chosen run on loadflame's own page."""

    def as_json(self) -> Json:
        """As an entry of a dashboard's links."""
        return _link("link", "This run on loadflame's page", url=PAGE, tooltip="Needs `loadflame serve`")


def _link(kind: str, title: str, *, url: str = "", tooltip: str = "", tags: list[str] | None = None,
          include_vars: bool = False) -> Json:  # fmt: skip
    return {
        "type": kind,
        "title": title,
        "url": url,
        "tooltip": tooltip,
        "icon": "external link",
        "tags": tags or [],
        "asDropdown": False,
        "targetBlank": kind == "link",
        "includeVars": include_vars,
        "keepTime": kind == "dashboards",
    }


def to_dashboard(uid: str, title: str, *variables: str, time_range: str = "${__url_time_range}") -> Json:
    """A data link to one of the dashboards; `variables` are query parameters that it sets."""
    parameters = ("${datasource:queryparam}", "${service:queryparam}", *variables, time_range)
    return {"title": title, "url": f"/d/{uid}?{'&'.join(parameters)}"}


def to_page(title: str = "This run on loadflame's page") -> Json:
    """A data link to our own page."""
    return {"title": title, "url": PAGE, "targetBlank": True}
