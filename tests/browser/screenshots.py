"""Pictures of every view for the docs, on the recorded runs: `make screenshots`."""

import tempfile
from contextlib import closing
from pathlib import Path

import typer
from playwright.sync_api import expect

from schemas.events import RunStarted
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.browser.conftest import shown
from tests.support.chromium import chromium, looking
from tests.support.page_server import page_served
from tests.support.recorded import load_recorded

DOCS = Path(__file__).parents[2] / "docs" / "page"
PICTURES = {
    "runs": ("", "light"),
    "time": ("runs/RUN/time", "light"),
    "difference": ("runs/RUN/time?a=11-14&b=17-20&per=request", "dark"),
    "functions": ("runs/RUN/functions?sort=growth", "light"),
    "latency": ("runs/RUN/latency?cell=5:44&against=run", "light"),
    "health": ("runs/RUN/health", "light"),
    "comparison": ("compare?a=RUN:8-11&b=OTHER", "light"),
}
LIST = {"width": 1440, "height": 250}
"""A list of few runs leaves most of a screen empty."""
KILLED = RunStarted(
    run_id="20261127-071902-9b40", service="shop", target="http://127.0.0.1:34511", engine="wire", window_us=1_000_000,
    started_at_us=1_795_763_942_000_000, partitions=1, plan={},
)  # fmt: skip
"""Nobody said its end."""


def main() -> None:
    url = f"chdb://{tempfile.mkdtemp(prefix='loadflame-screenshots-')}/store"
    DOCS.mkdir(parents=True, exist_ok=True)
    with closing(open_client(url)) as client:
        migrate(client)
        run, other = load_recorded(client)
        ClickHouseStore(client).write_events([KILLED], [KILLED.started_at_us])
        with page_served(lambda: open_client(url)) as served, chromium() as browser:
            for name, (view, scheme) in PICTURES.items():
                with looking(browser, origin=served, scheme=scheme) as somebody:
                    if not view:
                        somebody.page.set_viewport_size(LIST)  # type: ignore[arg-type]
                    page = shown(somebody.page, served, view.replace("RUN", run).replace("OTHER", other))
                    if "/" in view:
                        expect(page.locator(".findings li").first).to_be_visible()
                    if "time" in view or "cell" in view:
                        expect(page.locator(".flame[data-shown]").first).to_be_attached()
                    page.evaluate("document.fonts.ready")
                    path = DOCS / f"{name}.png"
                    page.screenshot(path=path, full_page=True)
                    typer.echo(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
