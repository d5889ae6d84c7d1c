"""Dashboards as files: for provisioning, and for review."""

import json
from pathlib import Path

from views.grafana.hot_functions import DASHBOARD
from views.grafana.model import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (DASHBOARD,)
FOLDER = Path(__file__).with_name("dashboards")


def text_of(dashboard: Dashboard) -> str:
    """A dashboard as the text of its file."""
    return json.dumps(dashboard.as_json(), indent=2, ensure_ascii=False) + "\n"


def export(folder: Path) -> list[Path]:
    """Write every dashboard into `folder`, which is made when missing; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dashboard in DASHBOARDS:
        path = folder / f"{dashboard.uid}.json"
        path.write_text(text_of(dashboard))
        written.append(path)
    return written
