"""Folder, data source, dashboards and alert rules, pushed to a Grafana over its HTTP API.

Everything is looked up, and written, by its uid: numeric ids are off by default in new Grafanas. What is there already
as we would put it is left alone, so a push may be repeated.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from grafana_api.grafana_face import GrafanaFace

from views.grafana.alert_rules import RULES
from views.grafana.alerts import FOLDER_TITLE, FOLDER_UID, AlertRule
from views.grafana.choices import DATASOURCE_NAME, DATASOURCE_UID, PAGE_URL
from views.grafana.datasource import ClickHouseAccess, GrafanaError
from views.grafana.diff import Change, differences
from views.grafana.export import DASHBOARDS, with_page
from views.grafana.model import Dashboard, Json

_TIMEOUT_S = 10.0
_BY_FILE = "it is provisioned from a file of Grafana's, and can be changed there only"
_EDITABLE = {"X-Disable-Provenance": "true"}
"""Rules stay such that people may pause and change them in Grafana; the next push says what they changed."""

Auth = str | tuple[str, str]
"""A service account's token, or a user and a password."""


def push(
    url: str, auth: Auth, *, store: ClickHouseAccess | None = None, page: str = PAGE_URL, dry_run: bool = False
) -> list[Change]:
    """Create or change what is not yet as it should be; gives everything with what became of it. The data source is
    written when `store` is given. A `dry_run` only reads, and tells what would become of it. Blocks.

    Raises GrafanaError with the remedy. Neither token nor password goes into a message.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GrafanaError(f"{url} is no URL of a Grafana; write http://HOST:3000")
    prefix = parts.path.strip("/")
    face = GrafanaFace(
        auth=auth,
        host=parts.hostname,
        port=parts.port,
        url_path_prefix=f"{prefix}/" if prefix else "",
        protocol=parts.scheme,
        timeout=_TIMEOUT_S,
    )
    place = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    with _errors(place, "token" if isinstance(auth, str) else "user or the password"):
        return list(_Push(face, place + (f"/{prefix}" if prefix else ""), dry_run).all(store, page))


@dataclass(frozen=True, slots=True)
class _Push:
    face: GrafanaFace
    place: str
    dry_run: bool

    def all(self, store: ClickHouseAccess | None, page: str) -> Iterator[Change]:
        yield self._folder()
        source = self._read(f"/datasources/uid/{DATASOURCE_UID}")
        if store is not None:
            yield self._datasource(source, store)
        for dashboard in DASHBOARDS:
            yield self._dashboard(with_page(dashboard, page))
        for rule in RULES:
            if source is None and store is None:
                why = f"there is no data source {DATASOURCE_UID} for it to read; name the store to make one"
                yield Change(f"alert rule {rule.title!r}", "left out", (why,))
            else:
                yield self._rule(rule)

    def _folder(self) -> Change:
        body = {"uid": FOLDER_UID, "title": FOLDER_TITLE}
        found = self._read(f"/folders/{FOLDER_UID}")
        # Whoever gave it another title meant it.
        changes = [] if found is None else list(differences(found, {"uid": FOLDER_UID}))
        return self._put(f"folder {FOLDER_TITLE!r}", found, changes, lambda: self.face.api.POST("/folders", body))

    def _datasource(self, found: Json | None, store: ClickHouseAccess) -> Change:
        body = store.as_datasource()
        secrets = list(body["secureJsonData"])
        told = {name: value for name, value in body.items() if name != "secureJsonData"}
        changes = [] if found is None else list(differences(found, told))
        if found is not None:
            known = found.get("secureJsonFields") or {}
            changes += [f"secureJsonData.{name} is new" for name in secrets if not known.get(name)]

        def write() -> None:
            if found is None:
                self.face.api.POST("/datasources", body)
            else:
                self.face.api.PUT(f"/datasources/uid/{DATASOURCE_UID}", body)

        of_file = found is not None and found.get("readOnly", False)
        change = self._put(f"data source {DATASOURCE_NAME!r}", found, changes, write, of_file=of_file)
        if change.state == "unchanged" and secrets and not of_file:
            if not self.dry_run:
                write()
            return Change(
                change.what, "unchanged", (f"{', '.join(secrets)}: set anew, for Grafana does not show them",)
            )
        return change

    def _dashboard(self, dashboard: Dashboard) -> Change:
        ours = dashboard.as_json()
        found = self._read(f"/dashboards/uid/{dashboard.uid}")
        folder = (found or {}).get("meta", {}).get("folderUid") or ""
        changes = []
        if found is not None:
            theirs = found["dashboard"]
            # A newer Grafana raises the version as it reads.
            newer = {"schemaVersion": max(ours["schemaVersion"], theirs.get("schemaVersion", 0))}
            changes = list(differences(theirs, ours | newer))
            changes += [] if folder else [f"folder: {FOLDER_TITLE!r}"]
        body = {
            "dashboard": ours,
            "folderUid": folder or FOLDER_UID,  # where people moved it, it stays
            "overwrite": True,
            "message": "pushed by loadflame",
        }
        what = f"dashboard {dashboard.title!r}"
        of_file = found is not None and found["meta"].get("provisioned", False)
        change = self._put(what, found, changes, lambda: self.face.dashboard.update_dashboard(body), of_file=of_file)
        return Change(change.what, change.state, change.details, f"{self.place}/d/{dashboard.uid}")

    def _rule(self, rule: AlertRule) -> Change:
        ours = rule.as_json()
        path = "/v1/provisioning/alert-rules"
        found = self._read(f"{path}/{rule.uid}")
        if found is not None:
            ours["isPaused"] = found.get("isPaused", False)  # whoever paused it meant it
            ours["orgID"] = found.get("orgID", ours["orgID"])
        changes = [] if found is None else list(differences(found, ours))

        def write() -> None:
            if found is None:
                self.face.api.POST(path, ours, headers=_EDITABLE)
            else:
                self.face.api.PUT(f"{path}/{rule.uid}", ours, headers=_EDITABLE)

        of_file = found is not None and found.get("provenance") == "file"
        return self._put(f"alert rule {rule.title!r}", found, changes, write, of_file=of_file)

    def _put(
        self, what: str, found: Json | None, changes: list[str], write: Callable[[], Any], *, of_file: bool = False
    ) -> Change:
        if found is not None and not changes:
            return Change(what, "unchanged")
        if of_file:
            return Change(what, "left out", (_BY_FILE, *changes))
        if not self.dry_run:
            write()
        return Change(what, "new") if found is None else Change(what, "changed", tuple(changes))

    def _read(self, path: str) -> Json | None:
        """None of what is not there."""
        try:
            found: Json = self.face.api.GET(path)
        except GrafanaClientError as error:
            if error.status_code != requests.codes.not_found:
                raise
            return None
        return found


@contextmanager
def _errors(place: str, secret: str) -> Iterator[None]:
    try:
        yield
    except GrafanaUnauthorizedError:
        raise GrafanaError(
            f"Grafana at {place} does not know the {secret}; make a token for a service account with the role Admin"
        ) from None
    except GrafanaClientError as error:
        if error.status_code == requests.codes.forbidden:
            raise GrafanaError(f"that account may not do this at {place}; give it the role Admin") from None
        raise GrafanaError(f"Grafana at {place} refuses: {error.message}") from None
    except GrafanaException as error:
        raise GrafanaError(f"Grafana at {place} failed: {error.message}; its own log says more") from None
    except requests.exceptions.SSLError:
        raise GrafanaError(
            f"the certificate of Grafana at {place} is not trusted; name its authority in REQUESTS_CA_BUNDLE"
        ) from None
    except requests.RequestException:
        raise GrafanaError(f"no Grafana answers at {place}; is it up, and is that its address?") from None
