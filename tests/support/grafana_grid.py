"""A dashboard's grid drawn as text, for where there is no Grafana: `python -m tests.support.grafana_grid`."""

from views.grafana.export import DASHBOARDS
from views.grafana.model import Dashboard

_COLUMNS, _WIDTH = 24, 4
"""Of Grafana's grid, and the letters of each."""


def sketch(dashboard: Dashboard) -> str:
    """Each panel as a box with its number, kind and title; two lines of the grid are one of text."""
    height = max(y + tall for _, y, _, tall in (panel.place for panel in dashboard.panels))
    letters = [[" "] * (_COLUMNS * _WIDTH) for _ in range((height + 1) // 2 + 1)]
    for number, panel in enumerate(dashboard.panels, 1):
        x, y, width, tall = panel.place
        left, right, top, bottom = x * _WIDTH, (x + width) * _WIDTH - 1, y // 2, (y + tall) // 2
        for line in range(top, bottom):
            letters[line][left], letters[line][right] = "|", "|"
        letters[top][left : right + 1] = "+" + "-" * (right - left - 1) + "+"
        text = f" {number} {panel.title} ({panel.kind})"[: right - left - 1]
        letters[top + 1][left + 1 : left + 1 + len(text)] = text
    letters[height // 2][:] = "-" * (_COLUMNS * _WIDTH)
    return "\n".join((dashboard.title, *("".join(line).rstrip() for line in letters)))


if __name__ == "__main__":
    print("\n\n".join(sketch(dashboard) for dashboard in DASHBOARDS))  # noqa: T201
