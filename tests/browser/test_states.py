"""The page when there is little, much, or something odd to show; and a run that was saved to one file."""

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from playwright.sync_api import Browser, Page, Route, expect

from schemas.events import RunStarted
from sinks.migrate import migrate
from tests.browser.conftest import Site, shown
from tests.support.chromium import looking
from tests.support.page_server import page_served
from tests.support.synthetic import Stage, Synthetic, levels, mixes
from views.exports.page import page as file_of
from views.exports.page import saved
from views.report import build_report

HOSTILE = "<img src=x onerror=alert(1)>"
STACKS = 5_000


def test_an_empty_store_says_what_to_do(browser: Browser, site: Site) -> None:
    def connect() -> Client:
        opened = site.connect()
        opened.database = "empty"
        return opened

    with closing(connect()) as client:
        migrate(client)

    with page_served(connect) as served, looking(browser, origin=served) as somebody:
        page = shown(somebody.page, served)
        expect(page.locator(".empty")).to_contain_text("loadflame demo makes one")


def test_a_run_appears_and_moves_on_by_itself(page: Page, site: Site) -> None:
    run = "live-run"
    started = RunStarted(
        run_id=run, service="shop", target="http://127.0.0.1:1", started_at_us=1_790_000_000_000_000, engine="wire",
        window_us=1_000_000, partitions=1, plan={}, host_cores=2,
    )  # fmt: skip
    site.store.write_events([started], [time.time_ns() // 1000])
    shown(page, site.url, f"runs/{run}/time")
    expect(page.locator(".empty")).to_contain_text("Nothing is stored of this run yet")
    expect(page.locator(".chip.live").first).to_be_visible()
    Synthetic(run=run, reason=None, stages=[Stage("low", "low", "hold", 6, 40)]).write(site.store)
    expect(page.locator(".keys tr", has_text="achieved").locator("td").last).to_have_text("40")
    expect(page.locator(".summary")).to_contain_text("this is what is found so far, and may change until its end")
    Synthetic(run=run, stages=[Stage("low", "low", "hold", 6, 40), Stage("high", "high", "hold", 6, 160)]).write(
        site.store
    )
    expect(page.locator(".keys tr", has_text="achieved").locator("td").last).to_have_text("100")
    expect(page.locator(".crumb .chip.live")).to_have_count(0)
    expect(page.locator(".findings li").first).to_be_visible()


def test_a_run_whose_session_was_killed_is_broken_off_until_it_is_heard_of_again(page: Page, site: Site) -> None:
    run = "killed-run"
    started = RunStarted(
        run_id=run, service="shop", target="http://127.0.0.1:1", started_at_us=1_780_000_000_000_000, engine="wire",
        window_us=1_000_000, partitions=1, plan={},
    )  # fmt: skip
    site.store.write_events([started], [1_780_000_000_000_000])
    shown(page, site.url)
    row = page.locator(f"tr[data-run='{run}']")
    expect(row.locator(".chip")).to_have_text("broken off")
    shown(page, site.url, f"runs/{run}/time")
    expect(page.locator(".crumb .chip")).to_have_text("broken off")
    expect(page.locator(".empty")).to_contain_text("Nobody said its end")
    site.store.write_events([started], [time.time_ns() // 1000])
    page.evaluate("() => { clearTimeout(page.timer); return page.refresh(); }")  # it asks four times a minute
    expect(page.locator(".crumb .chip")).to_have_text("live")


def test_long_names_push_nothing_out_of_the_page(page: Page, site: Site) -> None:
    run, service = f"a-run-{'x' * 90}", f"a-service-{'y' * 90}"
    started = RunStarted(
        run_id=run, service=service, target=f"http://{'z' * 60}.example:8080/", started_at_us=1, engine="wire",
        window_us=1_000_000, partitions=1, plan={},
    )  # fmt: skip
    site.store.write_events([started], [1])
    for view in ("", f"runs/{run}/time"):
        shown(page, site.url, view)
        expect(page.get_by_text(run).first).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    chip, tab = page.locator(".crumb .chip").bounding_box(), page.locator(".tabs a").first.bounding_box()
    assert chip
    assert tab
    assert chip["x"] + chip["width"] <= tab["x"]


def test_the_time_axis_stands_below_all_that_it_is_of_when_nothing_is_to_be_taken_with_care(
    page: Page, site: Site
) -> None:
    Synthetic(run="calm", stages=[Stage("low", "low", "hold", 8, 40)]).write(site.store)
    shown(page, site.url, "runs/calm/time")
    expect(page.locator(".findings li").first).to_be_visible()  # which move all that is below them
    below, lowest = page.locator(".plot .xtitle").bounding_box(), page.locator(".plot .y3title").bounding_box()
    assert below
    assert lowest
    assert below["y"] > lowest["y"] + lowest["height"]


def test_names_of_a_service_are_text_wherever_they_stand(page: Page, site: Site) -> None:
    costs = {f"main (shop.py);{HOSTILE} (<b>.py)": lambda _: 900.0}
    stages = [Stage(HOSTILE, HOSTILE, "hold", 8, 50)]
    Synthetic(run="hostile", costs=costs, stages=stages).write(site.store)
    for view in ("time", "functions", "latency", "health"):
        shown(page, site.url, f"runs/hostile/{view}")
        assert page.locator("main img").count() == 0
    shown(page, site.url, "runs/hostile/functions")
    expect(page.locator(f"tr[data-label='{HOSTILE} (<b>.py)']")).to_be_visible()
    text = file_of(saved(site.client, "hostile"))
    assert HOSTILE not in text


def test_which_endpoint_pays_for_a_function_stands_beside_it(page: Page, site: Site) -> None:
    facts = page.locator("section[aria-label='One function'] tr")
    Synthetic(run="swung", stages=[*levels(), *mixes()], seed=4).write(site.store)
    shown(page, site.url, "runs/swung/functions?fn=sign (shop.py)")
    expect(facts.filter(has_text="a request of checkout")).to_contain_text("of this function's CPU")
    shown(page, site.url, f"runs/{site.run}/functions?fn=Shop.sign_receipt (sample/shop.py)")
    note = page.locator("section[aria-label='One function'] p.note")
    expect(note.filter(has_text="is not identifiable")).to_be_visible()
    shown(page, site.url, "runs/swung/time")
    paid = page.locator(".findings li.endpoint")
    expect(paid.filter(has_text="sign").locator(".mark")).to_have_text("◇")


def test_what_growth_and_cost_leave_out_is_told_below_the_functions_and_why(page: Page, site: Site) -> None:
    Synthetic(run="failing", timeouts_per_s=8).write(site.store)
    (phrase,) = build_report(site.client, "failing").growth.left_out
    assert phrase.endswith(" at 320 TPS (over 1% errors)")
    shown(page, site.url, "runs/failing/functions")
    line = page.locator("details.quiet")
    expect(line.locator("summary")).to_have_text(
        f"Growth and cost per request leave out {phrase.removesuffix(' (over 1% errors)')}."
    )
    expect(line.locator("li")).to_be_hidden()
    line.locator("summary").press("Enter")
    expect(line.locator("li")).to_have_text(phrase)
    shown(page, site.url, f"runs/{site.run}/functions")
    expect(page.locator("table[aria-label='Functions'] tbody tr").first).to_be_visible()
    assert line.is_visible() == bool(build_report(site.client, site.run).growth.left_out)


def big_flame() -> dict[str, Any]:
    """5,000 stacks of 30 frames each, as a service with many handlers has them."""
    labels = ["all", *(f"function_{number} (package_{number % 40}/module.py)" for number in range(2_000))]
    parent, label, self_us = [-1], [0], [0]
    for stack in range(STACKS):
        at = 0
        for depth in range(30):
            parent.append(at)
            label.append(1 + (stack * 31 + depth * 17) % 2_000)
            self_us.append(0)
            at = len(parent) - 1
        self_us[at] = 1_000 + stack
    return {
        "from_s": 0, "to_s": 44, "seconds": 44, "requests": 1_000, "samples": STACKS, "cpu_us": sum(self_us),
        "unattributed_us": 0, "labels": labels, "packages": ["", *(f"package_{n % 40}" for n in range(2_000))],
        "kinds": ["own"] * len(labels), "parent": parent, "label": label, "self_us": self_us,
        "self_samples": [1 if us else 0 for us in self_us],
    }  # fmt: skip


def test_a_flame_graph_of_thousands_of_stacks_is_drawn(page: Page, site: Site) -> None:
    """How fast, `benchmarks/painting.py` says."""
    body = json.dumps(big_flame())

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="application/json")

    page.route("**/flame?*", answer)
    shown(page, site.url, f"runs/{site.run}/time?a=1-3")
    expect(page.locator(".icicle canvas")).to_have_attribute("aria-label", re.compile(r"^\d{5,} frames"))
    page.unroute("**/flame?*")


def test_a_long_name_keeps_the_end_that_tells_it_apart(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/functions")
    expect(page.locator("table[aria-label='Functions'] tbody tr").first).to_be_visible()
    names = [f"Shop.{'check_all_that_can_be_checked_' * 5}v{n}" for n in (1, 2)]
    page.evaluate(
        "names => { const { run } = page.view; const was = run.report.functions; run.report.functions = was.map("
        "(one, n) => n < 2 ? { ...one, function: names[n] } : one); page.view.update(page.view.values);"
        " run.report.functions = was; }",
        names,
    )
    for name in names:
        cell = page.locator("table[aria-label='Functions'] td", has_text=name)
        assert (cell.get_attribute("title") or "").startswith(f"{name} (")
        box, end = cell.bounding_box(), cell.locator(".tail").bounding_box()
        assert box
        assert end
        assert end["x"] + end["width"] <= box["x"] + box["width"]
        assert cell.locator(".tail").inner_text() == name[-14:]
        assert cell.locator(".lead").evaluate("(lead) => lead.scrollWidth > lead.clientWidth")


def test_a_saved_file_shows_the_same_without_a_network(
    browser: Browser, page: Page, site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "run.html"
    path.write_text(file_of(saved(site.client, site.run)))
    assert path.stat().st_size < 4 << 20
    views = ("time?a=17-20", "functions", "latency?cell=5:44", "health")
    with looking(browser, origin=f"file://{path}") as somebody:
        file = somebody.page
        file.goto(f"file://{path}")
        expect(file.locator(".crumb .mono")).to_have_text(site.run)
        for view in views:
            both = []
            for where in (file, page):
                shown(where, f"file://{path}" if where is file else site.url, f"runs/{site.run}/{view}")
                expect(where.locator(".findings li").first).to_be_visible()
                if view.startswith(("time", "latency")):
                    expect(where.locator(".flame[data-shown]").first).to_be_attached()
                    both.append(where.locator(".flame .told").first.inner_text())
                both.append(where.locator("main table").all_inner_texts())
            half = len(both) // 2
            for one, other in zip(both[:half], both[half:], strict=True):
                assert one == other, view
