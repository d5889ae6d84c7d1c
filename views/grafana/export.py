"""Everything for a Grafana as files, in the form of its provisioning folder."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from views.grafana import comparison, health, hot_functions
from views.grafana.alert_rules import RULES
from views.grafana.alerts import FOLDER_TITLE, FOLDER_UID, as_provisioning_file
from views.grafana.choices import PAGE_URL, PageAddress
from views.grafana.datasource import ClickHouseAccess, GrafanaError
from views.grafana.model import Dashboard, Json

DASHBOARDS: tuple[Dashboard, ...] = (hot_functions.DASHBOARD, comparison.DASHBOARD, health.DASHBOARD)
MOUNTED_AT = "/etc/grafana/provisioning"
"""Where Grafana looks, and where the dashboards' provider finds them therefore."""
OF_COMPOSE = ClickHouseAccess("clickhouse", 8123, "loadflame_reader", "$READER_PASSWORD")
"""The store of compose.yaml. Grafana puts the password in, from its environment."""
_HEAD = "# Written by `loadflame dashboards export`; change the code instead.\n"


def with_page(dashboard: Dashboard, page: str) -> Dashboard:
    """A dashboard whose links lead to our page at another address. Raises GrafanaError when it is none."""
    parts = urlsplit(page)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise GrafanaError(f"{page} is no address of a page; write http://HOST:8790")
    variables = (PageAddress(page.rstrip("/")) if isinstance(one, PageAddress) else one for one in dashboard.variables)
    return replace(dashboard, variables=tuple(variables))


def text_of(dashboard: Dashboard) -> str:
    """A dashboard as the text of its file."""
    return json.dumps(dashboard.as_json(), indent=2, ensure_ascii=False) + "\n"


def files(store: ClickHouseAccess = OF_COMPOSE, page: str = PAGE_URL) -> Mapping[str, str]:
    """Texts by path within the provisioning folder."""
    provider = {
        "name": "loadflame",
        "folder": FOLDER_TITLE,
        "folderUid": FOLDER_UID,
        "type": "file",
        "options": {"path": f"{MOUNTED_AT}/dashboards"},
    }
    # Secrets are Grafana's to put in, from its environment: a file is no place for them.
    hidden = replace(store, password=OF_COMPOSE.password, client_key="$READER_KEY" if store.client_key else "")
    source = hidden.as_datasource() | {"isDefault": True}
    return {
        "dashboards/loadflame.yaml": _yaml({"apiVersion": 1, "providers": [provider]}),
        "datasources/loadflame.yaml": _yaml({"apiVersion": 1, "datasources": [source]}),
        "alerting/loadflame.yaml": _yaml(as_provisioning_file(RULES)),
        **{f"dashboards/{one.uid}.json": text_of(with_page(one, page)) for one in DASHBOARDS},
    }


def export(folder: Path, store: ClickHouseAccess = OF_COMPOSE, page: str = PAGE_URL) -> list[Path]:
    """Write all of it into `folder`, which is made when missing; gives the files."""
    written = []
    for name, text in files(store, page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


class _Dumper(yaml.SafeDumper):
    """YAML in which SQL can be read: texts of several lines are blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def _yaml(document: Json) -> str:
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
