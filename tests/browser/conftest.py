"""One browser, and one page on two real runs (see `tests.support.recorded`), for all that is looked at."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from playwright.sync_api import Browser, Page, expect

from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.support.chromium import Looking, chromium, looking
from tests.support.page_server import page_served
from tests.support.recorded import load_recorded


@dataclass(frozen=True, slots=True)
class Site:
    """A page that is served. `run` is the long recorded run, `other` the short one after it."""

    url: str
    run: str
    other: str
    client: Client
    store: ClickHouseStore
    connect: Callable[[], Client]

    def rows(self, sql: str) -> list[Any]:
        """Rows of a query on the store; RUN stands for the long run's windows of its load, numbered from 0 by `s`."""
        windows = (
            f"run = '{self.run}' AND window >= (SELECT toUnixTimestamp(started_at) FROM runs WHERE run = '{self.run}')"
        )
        offset = f"(window - (SELECT toUnixTimestamp(started_at) FROM runs WHERE run = '{self.run}'))"
        return list(self.client.query(sql.replace("RUN", windows).replace("$s", offset)).result_rows)

    def one(self, sql: str) -> Any:
        """The only value of a query."""
        ((value,),) = self.rows(sql)
        return value


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with its module: until then Playwright keeps an event loop running, and nobody else could run one."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = f"chdb://{tmp_path_factory.mktemp('recorded')}/store"
    with ExitStack() as stack:
        client = open_client(url)
        stack.callback(client.close)
        migrate(client)
        run, other = load_recorded(client)
        served = stack.enter_context(page_served(lambda: open_client(url)))
        yield Site(served, run, other, client, ClickHouseStore(client), lambda: open_client(url))


@pytest.fixture(scope="module")
def tab(browser: Browser, site: Site) -> Iterator[Looking]:
    with looking(browser, origin=site.url) as opened:
        yield opened


@pytest.fixture
def page(tab: Looking) -> Iterator[Page]:
    """The one tab of a module: as for a person, the page stays loaded from view to view."""
    tab.page.mouse.move(0, 0)
    yield tab.page
    tab.check()


_OPEN = """(hash) => {
    clearTimeout(page.timer);
    Object.assign(page, { view: null, page: null });
    delete page.main.dataset.ready;
    if (location.hash === hash) page.open(); else location.hash = hash;
}"""


def shown(page: Page, url: str, view: str = "") -> Page:
    """Open an address of the page anew and wait until everything is drawn."""
    if page.url.startswith(url):
        page.evaluate(_OPEN, f"#/{view}")
    else:
        page.goto(f"{url}/#/{view}")
    expect(page.locator("main[data-ready]")).to_be_visible()
    return page
