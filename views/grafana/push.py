"""Dashboards pushed to a Grafana over its HTTP API, and the data source they read from."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from grafana_api.grafana_face import GrafanaFace

from schemas.errors import UserError
from views.grafana.export import DASHBOARDS

DATASOURCE_UID = "loadflame-clickhouse"
_TIMEOUT_S = 10.0


class GrafanaError(UserError):
    """Grafana is not there, or says no."""


@dataclass(frozen=True, slots=True)
class ClickHouseAccess:
    """How Grafana reaches the store: the reader's account, over HTTP."""

    host: str
    port: int
    user: str
    password: str
    database: str = "loadflame"
    secure: bool = False

    @classmethod
    def of_url(cls, url: str, password: str) -> Self:
        """From http(s)://USER@HOST:PORT/DATABASE. Raises GrafanaError when that is not its form."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.username:
            raise GrafanaError("the store's URL is not of the form http://READER@HOST:8123/DATABASE")
        secure = parts.scheme == "https"
        port = parts.port or (8443 if secure else 8123)
        return cls(parts.hostname, port, parts.username, password, parts.path.strip("/") or "loadflame", secure)

    def as_datasource(self) -> dict[str, object]:
        """As Grafana's data source model."""
        return {
            "uid": DATASOURCE_UID,
            "name": "loadflame",
            "type": "grafana-clickhouse-datasource",
            "access": "proxy",
            "jsonData": {
                "host": self.host,
                "port": self.port,
                "protocol": "http",
                "secure": self.secure,
                "username": self.user,
                "defaultDatabase": self.database,
            },
            "secureJsonData": {"password": self.password},
        }


def push(url: str, token: str, *, store: ClickHouseAccess | None = None) -> list[str]:
    """Create or replace the dashboards, and the data source when `store` is given; gives the dashboards' URLs.

    Raises GrafanaError with the remedy. The token goes into no message.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GrafanaError(f"{url} is no URL of a Grafana; write http://HOST:3000")
    face = GrafanaFace(
        auth=token,
        host=parts.hostname,
        port=parts.port,
        url_path_prefix=parts.path.strip("/") + "/" if parts.path.strip("/") else "",
        protocol=parts.scheme,
        timeout=_TIMEOUT_S,
    )
    place = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    try:
        if store is not None:
            _put_datasource(face, store)
        urls = []
        for dashboard in DASHBOARDS:
            body = {"dashboard": dashboard.as_json(), "overwrite": True, "message": "pushed by loadflame"}
            urls.append(place + face.dashboard.update_dashboard(body)["url"])
    except GrafanaUnauthorizedError:
        raise GrafanaError(f"Grafana at {place} does not know the token; make one for a service account") from None
    except GrafanaClientError as error:
        if error.status_code == requests.codes.forbidden:
            raise GrafanaError(f"the token may not write at {place}; give its service account the role Admin") from None
        raise GrafanaError(f"Grafana at {place} refuses: {error.message}") from None
    except GrafanaException as error:
        raise GrafanaError(f"Grafana at {place} failed: {error.message}; its own log says more") from None
    except requests.RequestException:
        raise GrafanaError(f"no Grafana answers at {place}; is it up, and is that its address?") from None
    return urls


def _put_datasource(face: GrafanaFace, store: ClickHouseAccess) -> None:
    """Replace the data source by its uid, or create it: numeric ids are off by default in new Grafanas."""
    body = store.as_datasource()
    try:
        face.api.PUT(f"/datasources/uid/{DATASOURCE_UID}", body)
    except GrafanaClientError as error:
        if error.status_code != requests.codes.not_found:
            raise
        face.api.POST("/datasources", body)
