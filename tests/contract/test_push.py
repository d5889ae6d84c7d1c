"""`dashboards push` against a strict stand-in for Grafana.

No Grafana is to be had here: `GrafanaStandIn` checks method, path, authorisation and JSON of each call against what
Grafana's HTTP API documents ("Dashboard API", "Data source API"). Nothing was pushed to a real one.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from views.grafana.push import ClickHouseAccess, GrafanaError, push

TOKEN = "glsa_secret"
STORE = ClickHouseAccess.of_url("http://reader@clickhouse:8123/loadflame", "hidden")


class GrafanaStandIn(ThreadingHTTPServer):
    """Answers what the push calls, strictly; `datasources` and `dashboards` hold what it was given, by uid."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.datasources: dict[str, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.forbids = False
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: GrafanaStandIn

    def _take(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        code, answer = self._answer(method, body)
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, method: str, body: Any) -> tuple[int, dict[str, Any]]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if self.server.forbids:
            return 403, {"message": "Access denied"}
        if self.server.fails:
            return 500, {"message": "database is locked"}
        prefix = "/api/datasources/uid/"
        if method == "PUT" and self.path.startswith(prefix):
            uid = self.path.removeprefix(prefix)
            if uid not in self.server.datasources:
                return 404, {"message": "Data source not found"}
            self.server.datasources[uid] = body
            return 200, {"message": "Datasource updated"}
        if (method, self.path) == ("POST", "/api/datasources"):
            assert {"name", "type", "access", "jsonData", "secureJsonData"} <= set(body)
            self.server.datasources[body["uid"]] = body
            return 200, {"message": "Datasource added", "id": 1}
        if (method, self.path) == ("POST", "/api/dashboards/db"):
            dashboard = body["dashboard"]
            assert body["overwrite"] is True
            assert dashboard["title"]
            assert "id" not in dashboard
            self.server.dashboards[dashboard["uid"]] = dashboard
            return 200, {"uid": dashboard["uid"], "url": f"/d/{dashboard['uid']}/x", "status": "success"}
        return 404, {"message": f"no {method} {self.path} in the API"}

    def do_POST(self) -> None:
        self._take("POST")

    def do_PUT(self) -> None:
        self._take("PUT")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def grafana() -> Iterator[GrafanaStandIn]:
    with GrafanaStandIn() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_dashboards_are_created_and_their_urls_given(grafana: GrafanaStandIn) -> None:
    assert push(grafana.url, TOKEN) == [f"{grafana.url}/d/loadflame-hot-functions/x"]
    assert set(grafana.dashboards) == {"loadflame-hot-functions"}
    assert grafana.datasources == {}


def test_the_data_source_is_created_once_and_then_replaced(grafana: GrafanaStandIn) -> None:
    push(grafana.url, TOKEN, store=STORE)
    push(grafana.url, TOKEN, store=STORE)
    (source,) = grafana.datasources.values()
    assert source["jsonData"]["defaultDatabase"] == "loadflame"
    assert source["secureJsonData"] == {"password": "hidden"}
    assert "hidden" not in json.dumps(source["jsonData"])


def test_a_wrong_token_a_missing_right_and_a_broken_server_are_told_apart(grafana: GrafanaStandIn) -> None:
    with pytest.raises(GrafanaError, match="does not know the token") as wrong:
        push(grafana.url, "glsa_other")
    assert "glsa_other" not in str(wrong.value)
    grafana.forbids = True
    with pytest.raises(GrafanaError, match="role Admin"):
        push(grafana.url, TOKEN)
    grafana.forbids, grafana.fails = False, True
    with pytest.raises(GrafanaError, match="database is locked"):
        push(grafana.url, TOKEN)


def test_nobody_there_and_no_url_are_sentences(grafana: GrafanaStandIn) -> None:
    port = grafana.server_address[1]
    grafana.server_close()
    with pytest.raises(GrafanaError, match=f"no Grafana answers at http://127.0.0.1:{port}"):
        push(f"http://127.0.0.1:{port}", TOKEN)
    with pytest.raises(GrafanaError, match="http://HOST:3000"):
        push("grafana:3000", TOKEN)
    with pytest.raises(GrafanaError, match="http://READER@HOST"):
        ClickHouseAccess.of_url("http://clickhouse/loadflame", "x")
