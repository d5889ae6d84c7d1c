"""A strict stand-in for Grafana's HTTP API, for no Grafana is to be had here: it is none, and says so in its name.

It answers the calls that a push makes, and holds method, path, authorisation and JSON of each against what Grafana
publishes ("Folder API", "Data source API", "Dashboard API", "Alerting provisioning API"; see
`tests.support.grafana_models`). Like the real one it gives back more than it was given.
"""

import json
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from tests.support.grafana_models import DataSource, NewFolder, ProvisionedRule, SaveDashboard

TOKEN = "glsa_secret"
USER, PASSWORD = "admin", "let me in"


Answer = tuple[int, Any]
"""Status and body."""


class GrafanaStandIn(ThreadingHTTPServer):
    """Answers strictly; `calls` are the writes that came, the dictionaries what was kept, by uid."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders: dict[str, Any] = {}
        self.datasources: dict[str, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.folder_of: dict[str, str] = {}
        self.rules: dict[str, Any] = {}
        self.calls: list[str] = []
        self.by_file: set[str] = set()
        """Uids of what is provisioned from a file: it is told so, and cannot be written."""
        self.forbids = False
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: GrafanaStandIn

    def _take(self, method: str) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"null")
        try:
            code, answer = self._answer(method, body)
        except ValidationError as error:
            code, answer = 400, {"message": f"bad request data: {error}"}
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, method: str, body: Any) -> Answer:
        basic = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") not in (f"Bearer {TOKEN}", basic):
            return 401, {"message": "Invalid API key"}
        if self.server.forbids:
            return 403, {"message": "Access denied"}
        if self.server.fails:
            return 500, {"message": "database is locked"}
        path = urlsplit(self.path).path
        if method != "GET":
            if self.headers.get("Content-Type") != "application/json":
                return 415, {"message": "not JSON"}
            self.server.calls.append(f"{method} {path}")
            if {str(body.get("uid")), str(body.get("dashboard", {}).get("uid"))} & self.server.by_file:
                return 400, {"message": "Cannot save provisioned resource"}
        for start, answer in (
            ("/api/folders", self._folders),
            ("/api/datasources", self._datasources),
            ("/api/dashboards", self._dashboards),
            ("/api/v1/provisioning/alert-rules", self._rules),
        ):
            if path.startswith(start):
                return answer(method, path.removeprefix(start).lstrip("/"), body)
        return _unknown(method, path)

    def _folders(self, method: str, uid: str, body: Any) -> Answer:
        if method == "GET" and uid:
            return _found(self.server.folders, uid, "folder not found")
        if method == "POST" and not uid:
            NewFolder.model_validate(body)
            if body["uid"] in self.server.folders:
                return 409, {"message": "a folder with the same uid already exists"}
            self.server.folders[body["uid"]] = {**body, "id": 7, "url": f"/dashboards/f/{body['uid']}/x", "version": 1}
            return 200, self.server.folders[body["uid"]]
        return _unknown(method, f"folders/{uid}")

    def _datasources(self, method: str, rest: str, body: Any) -> Answer:
        uid = rest.removeprefix("uid/")
        if method == "GET" and uid != rest:
            return _found(self.server.datasources, uid, "Data source not found", self._without_secrets)
        if (method == "POST" and not rest) or (method == "PUT" and uid != rest):
            DataSource.model_validate(body)
            if (body["uid"] in self.server.datasources) == (method == "POST"):
                return (409, {"message": "exists"}) if method == "POST" else (404, {"message": "Data source not found"})
            self.server.datasources[body["uid"]] = body
            return 200, {"message": "Datasource written", "datasource": self._without_secrets(body)}
        return _unknown(method, f"datasources/{rest}")

    def _without_secrets(self, kept: Any) -> Any:
        shown = {name: value for name, value in kept.items() if name != "secureJsonData"}
        fixed = kept["uid"] in self.server.by_file
        secrets = dict.fromkeys(kept["secureJsonData"], True)
        return {**shown, "id": 3, "orgId": 1, "readOnly": fixed, "isDefault": False, "secureJsonFields": secrets}

    def _dashboards(self, method: str, rest: str, body: Any) -> Answer:
        uid = rest.removeprefix("uid/")
        if method == "GET" and uid != rest:
            return _found(self.server.dashboards, uid, "Dashboard not found", self._with_meta)
        if (method, rest) == ("POST", "db"):
            SaveDashboard.model_validate(body)
            if body["folderUid"] not in self.server.folders:
                return 400, {"message": "folder not found"}
            mine = body["dashboard"]
            self.server.dashboards[mine["uid"]] = mine
            self.server.folder_of[mine["uid"]] = body["folderUid"]
            return 200, {"uid": mine["uid"], "url": f"/d/{mine['uid']}/x", "status": "success", "version": 1, "id": 9}
        return _unknown(method, f"dashboards/{rest}")

    def _with_meta(self, kept: Any) -> Any:
        # Newer ones add an id and a version, raise the schema's and add defaults.
        more = {"id": 9, "version": 4, "schemaVersion": 42, "editable": True, "fiscalYearStartMonth": 0}
        meta = {"folderUid": self.server.folder_of[kept["uid"]], "provisioned": kept["uid"] in self.server.by_file}
        return {"meta": meta, "dashboard": {**kept, **more}}

    def _rules(self, method: str, uid: str, body: Any) -> Answer:
        if method == "GET" and uid:
            return _found(self.server.rules, uid, "alert rule not found", self._with_provenance)
        if (method == "POST" and not uid) or (method == "PUT" and uid):
            ProvisionedRule.model_validate(body)
            if body["folderUID"] not in self.server.folders:
                return 400, {"message": "folder does not exist"}
            if any(one["title"] == body["title"] and one["uid"] != body["uid"] for one in self.server.rules.values()):
                return 409, {"message": "a conflicting alert rule is found"}
            if (body["uid"] in self.server.rules) == (method == "POST") or (uid and uid != body["uid"]):
                return (409, {"message": "exists"}) if method == "POST" else (404, {"message": "alert rule not found"})
            if self.headers.get("X-Disable-Provenance") is None:
                return 400, {"message": "people could not change this rule any more"}
            more = {"id": 5, "updated": "2026-01-01T00:00:00Z", "provenance": "", "keep_firing_for": "0s"}
            self.server.rules[body["uid"]] = {**body, **more}
            return (201 if method == "POST" else 200), self.server.rules[body["uid"]]
        return _unknown(method, f"alert-rules/{uid}")

    def _with_provenance(self, kept: Any) -> Any:
        return {**kept, "provenance": "file" if kept["uid"] in self.server.by_file else ""}

    def do_GET(self) -> None:
        self._take("GET")

    def do_POST(self) -> None:
        self._take("POST")

    def do_PUT(self) -> None:
        self._take("PUT")

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _found(kept: dict[str, Any], uid: str, missing: str, shown: Any = lambda one: one) -> Answer:
    return (200, shown(kept[uid])) if uid in kept else (404, {"message": missing})


def _unknown(method: str, path: str) -> Answer:
    return 404, {"message": f"no {method} {path} in the API"}
