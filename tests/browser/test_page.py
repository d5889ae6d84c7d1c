"""Every view of the page in a real browser, on a real recorded run: what it shows is what the store says."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, Route, expect

from tests.browser.conftest import Site, shown
from tests.support.chromium import looking
from tests.support.polling import wait_until

SWEEP = "Shop.sweep_sessions (sample/shop.py)"
LEFT, RIGHT = 58, 12
"""Pixels between the sides of the picture over time and its plot area."""


def number(text: str) -> float:
    """The first number of a text, in its own unit: thousands have commas, a minus is a real one."""
    match = re.search(r"[-−]?[\d,]+(?:\.\d+)?", text)
    assert match, text
    return float(match[0].replace(",", "").replace("−", "-"))


def micros(text: str) -> float:
    """Microseconds of `1.21 s`, `35 ms`, `768 µs`."""
    return number(text) * next(us for unit, us in {"min": 60e6, "ms": 1e3, "µs": 1, "s": 1e6}.items() if unit in text)


def close(value: float) -> Any:
    """To the three digits that are shown."""
    return pytest.approx(value, rel=0.006, abs=0.0006)


def over_time(page: Page) -> Locator:
    return page.locator(".plotbox").first


def box_of(page: Page, picture: Locator) -> FloatRect:
    """Where a picture is: known once the report is there, whose findings move what stands below them."""
    expect(page.locator(".findings li").first).to_be_visible()
    box = picture.bounding_box()
    assert box
    return box


def legend(page: Page, name: str) -> str:
    """The value beside the picture over time."""
    return page.locator(".keys tr", has=page.get_by_text(name, exact=True)).locator("td").last.inner_text()


def drag(page: Page, from_s: float, to_s: float, *, shift: bool = False) -> None:
    """Over the picture over time, whose axis goes from 0 to 44 s."""
    box = box_of(page, over_time(page))

    def x(at_s: float) -> float:
        return box["x"] + LEFT + (box["width"] - LEFT - RIGHT) * at_s / 44

    y = box["y"] + 200
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(x(from_s), y)
    page.mouse.down()
    page.mouse.move(x((from_s + to_s) / 2), y)
    page.mouse.move(x(to_s), y)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def told(page: Page) -> Locator:
    """What is said of the frame that is pointed at, or of all."""
    return page.locator(".flame .told").first


def drawn(page: Page, ranges: str) -> None:
    """Wait until the flame graph is that of some ranges."""
    expect(page.locator(f".flame[data-shown='{ranges}']")).to_have_count(1)


def side(page: Page, label: str) -> list[str]:
    return page.locator(f".flame .side tr[data-label='{label}'] td").all_inner_texts()


def frames(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        page.evaluate("JSON.stringify(document.querySelector('.icicle canvas').frames)")
    )
    return found


# The list


def test_the_list_shows_each_run_with_what_it_came_to(page: Page, site: Site) -> None:
    shown(page, site.url)
    row = page.locator(f"tr[data-run='{site.run}']")
    requests, failed = site.rows("SELECT count(), countIf(error != '') FROM requests WHERE RUN")[0]
    peak = site.one("SELECT max(completed) FROM windows WHERE RUN")
    cells = row.locator("td").all_inner_texts()
    assert cells[5:8] == [f"{requests:,}", f"{failed:,}", f"{peak}"]
    assert cells[10] == "passed"
    assert page.locator("tbody tr").count() == 2


def test_the_list_is_filtered_and_opened_by_keyboard(page: Page, site: Site) -> None:
    shown(page, site.url)
    page.keyboard.press("/")
    page.keyboard.type(site.run)
    expect(page.locator("tbody tr")).to_have_count(1)
    assert f"q={site.run}" in page.url
    while page.evaluate("document.activeElement.tagName") != "A":
        page.keyboard.press("Tab")
    page.evaluate("page.view.key = null; page.view.refresh(page.view.values)")  # as it does every second
    page.keyboard.press("Enter")
    expect(page.locator(".crumb .mono")).to_have_text(site.run)


def test_a_filter_that_is_typed_while_the_list_is_asked_for_again_stays(page: Page, site: Site) -> None:
    shown(page, site.url)
    held: list[Route] = []
    page.route("**/runs", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    with page.expect_request("**/runs"):
        page.evaluate("() => { clearTimeout(page.timer); page.refresh(); }")  # as it does every second
    before = page.locator("main").get_attribute("data-ready")
    assert before
    page.get_by_label("Filter runs").fill(site.run)
    expect(page.locator("tbody tr")).to_have_count(1)
    page.unroute("**/runs")  # which lets go of those that were held
    expect(page.locator("main")).not_to_have_attribute("data-ready", before)
    assert page.locator("tbody tr").count() == 1


def test_who_leaves_a_run_before_it_is_read_sees_where_he_went(page: Page, site: Site) -> None:
    shown(page, site.url)
    held: list[Route] = []
    head = f"**/runs/{site.run}"
    page.route(head, lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    with page.expect_request(head):
        page.evaluate("(hash) => { location.hash = hash; }", f"#/runs/{site.run}/time")
    expect(page.locator(".crumb .mono")).to_have_text(site.run)
    page.evaluate("() => { location.hash = '#/'; }")
    expect(page.locator("table[aria-label='Runs']")).to_be_visible()
    with page.expect_response(head):
        page.unroute(head)
    before = page.locator("main").get_attribute("data-ready")
    assert before
    expect(page.locator("main")).not_to_have_attribute("data-ready", before)
    assert page.locator("table[aria-label='Runs']").is_visible()


# Over time


def test_the_run_shows_its_verdict_and_findings(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    expect(page.locator(".findings li").first).to_contain_text(
        "Shop.sweep_sessions (sample/shop.py) stops shop at about"
    )
    expect(page.locator(".summary .chip")).to_have_text("passed")
    expect(page.locator(".plot .annotation", has_text="▲ Shop.sweep_sessions")).to_have_count(1)
    labels = page.locator(".plot .annotation").all_text_contents()
    assert [text.strip() for text in labels[:3]] == ["ramp 40→320", "160", "40"]


def test_the_values_beside_the_picture_are_those_of_the_store(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    offered, seconds, requests, cpu_us = site.rows(
        "SELECT sum(scheduled), sum(window_us) / 1e6, sum(completed + failed), sum(cpu_us) FROM windows "
        "WHERE RUN AND $s < 44"
    )[0]
    self_us = site.one(
        "SELECT sum(self_cpu_us) FROM functions WHERE RUN AND $s < 44 AND function = 'Shop.sweep_sessions'"
    )
    assert number(legend(page, "offered")) == close(offered / seconds)
    assert float(legend(page, "Shop.sweep_sessions")) == pytest.approx(self_us / 1e6 / seconds, abs=0.006)
    page.get_by_role("button", name="CPU per request").click()
    expect(page.locator(".keys h3").last).to_contain_text("µs/request")
    assert micros(legend(page, "Shop.sweep_sessions")) == close(self_us / requests)
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.locator(".keys h3").last).to_contain_text("%")
    assert number(legend(page, "Shop.sweep_sessions")) == pytest.approx(100 * self_us / cpu_us, abs=0.6)
    assert "per=share" in page.url


def test_the_pointer_reads_a_second(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    box = box_of(page, over_time(page))
    page.mouse.move(box["x"] + LEFT + (box["width"] - LEFT - RIGHT) * 18.5 / 44, box["y"] + 60)
    expect(page.locator(".readout")).to_contain_text("18 s")
    offered, p99 = site.rows(
        "SELECT scheduled, quantileExact(0.99)(latency_us) / 1e3 FROM requests "
        "INNER JOIN windows USING (run, window) WHERE RUN AND $s = 18 GROUP BY scheduled"
    )[0]
    assert number(legend(page, "offered")) == offered
    assert number(legend(page, "p99")) == pytest.approx(p99, rel=0.04)


def test_a_pointer_that_was_there_before_the_figures_reads_them_when_they_come(page: Page, site: Site) -> None:
    held: list[Route] = []
    page.route("**/series*", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    with page.expect_request("**/series*"):
        page.goto(f"{site.url}/?held#/runs/{site.run}/time")
    expect(page.locator(".summary")).to_contain_text("stops shop at about")  # the report moves what stands below it
    box = box_of(page, over_time(page))
    page.mouse.move(box["x"] + LEFT + (box["width"] - LEFT - RIGHT) * 18.5 / 44, box["y"] + 60)
    page.unroute("**/series*")  # which lets go of those that were held
    expect(page.locator(".readout")).to_contain_text("18 s")


def test_a_range_that_is_dragged_over_has_its_own_flame_graph(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    drag(page, 17.2, 19.8)
    expect(page.locator(".range.a").first).to_contain_text("17–20 s")
    assert "a=17-20" in page.url
    cpu_us, requests = site.rows(
        "SELECT sum(cpu_us), sum(completed + failed) FROM windows WHERE RUN AND $s BETWEEN 17 AND 19"
    )[0]
    drawn(page, "17-20")
    total = told(page).inner_text().split("·")[1]
    assert micros(total) == close(cpu_us)
    hottest, self_us, total_us = site.rows(
        "SELECT function, sum(self_cpu_us) AS own, sum(total_cpu_us) FROM functions WHERE RUN AND $s BETWEEN 17 AND 19 "
        "GROUP BY function, file ORDER BY own DESC LIMIT 1"
    )[0]
    assert hottest == "Shop.sweep_sessions"
    first = page.locator(".flame .side tbody tr").first
    assert first.get_attribute("data-label") == SWEEP
    assert [micros(text) for text in first.locator("td").all_inner_texts()[1:]] == [close(self_us), close(total_us)]
    assert number(legend(page, "offered")) == close(requests / 3)


def test_two_ranges_are_compared_per_request(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    drag(page, 11.1, 13.9)
    drag(page, 17.1, 19.9, shift=True)
    expect(page.locator(".range.b").first).to_contain_text("17–20 s")
    drawn(page, "11-14 17-20")
    expect(page.locator(".flame .legend")).to_contain_text("normalised: CPU per request")
    costs = []
    for first, last in ((11, 13), (17, 19)):
        where = f"RUN AND $s BETWEEN {first} AND {last}"
        self_us = site.one(f"SELECT sum(self_cpu_us) FROM functions WHERE {where} AND function = 'Shop.sweep_sessions'")
        costs.append(self_us / site.one(f"SELECT sum(completed + failed) FROM windows WHERE {where}"))
    before, after, change = (number(text) for text in side(page, SWEEP)[1:])
    assert (before, after, change) == (close(costs[0]), close(costs[1]), close(costs[1] - costs[0]))
    page.locator(".range.b button").first.click()
    expect(page.locator(".range.b")).to_have_count(0)


def test_ranges_are_chosen_by_keyboard(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    over_time(page).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text("3 s")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".range.a").first).to_contain_text("3–6 s")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Alt+Shift+ArrowRight")
    expect(page.locator(".range.b").first).to_contain_text("6–8 s")
    assert page.url.endswith("?a=3-6&b=6-8")
    page.keyboard.press("Escape")
    expect(page.locator(".range")).to_have_count(0)


# The flame graph


def test_frames_are_searched_zoomed_and_walked_through(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    share = site.one(
        "SELECT sumIf(total_cpu_us, function = 'Shop.sweep_sessions') / (SELECT sum(cpu_us) FROM windows WHERE RUN AND "
        "$s < 44) FROM functions WHERE RUN AND $s < 44"
    )
    page.keyboard.press("/")
    page.keyboard.type("sweep_sess")
    expect(page.get_by_text("1 matching")).to_contain_text(f"on {share:.0%} of the CPU")
    page.keyboard.press("Escape")

    all_frames = frames(page)
    search = next(one for one in all_frames if one["label"].startswith("search (sample"))
    page.locator(".icicle canvas").click(position={"x": search["x"] + 5, "y": search["row"] * 18 + 9})
    assert "zoom=" in page.url
    wide = next(one for one in frames(page) if one["label"] == search["label"])
    assert wide["w"] == page.locator(".icicle").evaluate("node => node.clientWidth")
    expect(told(page)).to_contain_text("search (sample/shop.py)")

    page.locator(".icicle").focus()
    page.keyboard.press("ArrowDown")
    expect(told(page)).to_contain_text("Shop.")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert "zoom=" not in page.url
    assert len(frames(page)) == len(all_frames)


def test_hidden_library_frames_hand_their_time_to_their_callers(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    before = told(page).inner_text().split("self")[0]
    page.get_by_label("Hide library").check()
    expect(page.locator(".icicle canvas")).not_to_have_attribute("aria-label", re.compile(r"^\d{3} frames"))
    labels = {one["label"] for one in frames(page)}
    assert not [label for label in labels if "aiohttp/" in label or "asyncio/" in label]
    assert SWEEP in labels
    assert told(page).inner_text().split("self")[0] == before  # all of the CPU is still there
    page.get_by_role("button", name="Packages").click()
    expect(page.locator(".flame .legend")).to_contain_text("(service)")
    assert "hide=library" in page.url
    assert "colour=package" in page.url


# Functions


def test_functions_are_sorted_by_growth_cost_and_share(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/functions")
    rows = page.locator("table[aria-label='Functions'] tbody tr")
    expect(rows.first).to_have_attribute("data-label", SWEEP)
    assert rows.first.locator("svg polyline").count() == 1
    wait_until(lambda: page.evaluate("Boolean(page.view.points)"), 60, "the chosen function's points")
    used = page.evaluate("page.view.points.used.map((place) => page.view.points.t_s[place])")
    where = f"RUN AND $s IN ({', '.join(f'{at:g}' for at in used)})"
    self_us = site.one(f"SELECT sum(self_cpu_us) FROM functions WHERE {where} AND function = 'Shop.sweep_sessions'")
    cpu_us = site.one(f"SELECT sum(cpu_us) FROM windows WHERE {where}")
    assert number(rows.first.locator("td").nth(3).inner_text()) == pytest.approx(100 * self_us / cpu_us, abs=0.6)
    page.get_by_role("button", name="growth").click()
    expect(rows.first.locator(".growth")).to_have_class("growth superlinear")
    assert "sort=growth" in page.url
    page.get_by_role("button", name="function").click()
    names = [row.get_attribute("data-label").rpartition(" (")[0] for row in rows.all()]
    assert len(set(names)) > 3
    assert names == page.evaluate("(names) => [...names].sort((a, b) => a.localeCompare(b))", names)
    shares = page.get_by_role("button", name="total of CPU")
    shares.click()
    values = [number(text) for text in rows.locator("td:nth-child(5)").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    shares.click()
    values = [number(text) for text in rows.locator("td:nth-child(5)").all_inner_texts()]
    assert values == sorted(values)


def test_a_function_is_shown_against_the_throughput(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/functions?fn={SWEEP}")
    note = page.locator("section[aria-label='One function'] header .note")
    expect(note).to_have_text(re.compile(r"^growth 2\.\d\d \[1\.\d\d, 2\.\d\d\]: superlinear$"))
    tps, cores = site.rows(
        "SELECT w.ended, f.us / 1e6 FROM "
        "(SELECT window, completed + failed AS ended FROM windows WHERE RUN AND $s = 18) AS w INNER JOIN "
        "(SELECT window, sum(total_cpu_us) AS us FROM functions WHERE RUN AND function = 'Shop.sweep_sessions' "
        "GROUP BY window) AS f USING (window)"
    )[0]
    plot = page.locator("section[aria-label='One function'] .plotbox")
    box = box_of(page, plot)
    scale = page.evaluate("page.view.scale")
    page.mouse.move(
        box["x"] + 58 + tps / scale["x"][1] * (box["width"] - 72),
        box["y"] + 10 + (box["height"] - 54) * (1 - cores / scale["y"][1]),
    )
    expect(page.locator(".tip")).to_contain_text("requests/s")
    text = page.locator(".tip").inner_text()
    assert number(text.split(":")[1]) == pytest.approx(tps, abs=6)
    page.locator("tbody tr", has_text="Shop.rank_products").first.focus()
    page.keyboard.press("Enter")
    expect(note).to_have_text(re.compile("linear|unclear"))
    assert "fn=Shop.rank_products" in page.url
    expect(page.locator("tbody tr:focus")).to_have_attribute("data-label", "Shop.rank_products (sample/shop.py)")


# Latency


def test_a_tail_cell_says_what_the_service_was_doing_then(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/latency")
    answer = page.evaluate("page.view.answer")
    row = len(answer["counts"]) - 1
    bucket = next(place for place, count in enumerate(answer["counts"][row]) if count)
    at = answer["t_s"][bucket]
    axis = page.evaluate("page.view.axis")
    first, last = site.rows("SELECT min($s), max($s) FROM requests WHERE RUN")[0]
    assert (axis["from"], axis["to"]) == (first, last + 1), "without the seconds that only have a profile"
    assert answer["t_s"][0] < first
    box = box_of(page, over_time(page))
    page.mouse.click(
        box["x"] + 66 + (box["width"] - 78) * (at + 0.5 - axis["from"]) / (axis["to"] - axis["from"]),
        box["y"] + 10 + 348 * (0.5 / len(answer["counts"])),
    )
    requests = page.locator("table[aria-label='Requests'] tbody tr")
    expect(requests.first).to_be_visible()
    where = f"RUN AND $s = {at:g} AND latency_us > {1e3 * answer['edges_ms'][row]}"
    slowest = site.rows(f"SELECT endpoint, latency_us / 1e3 FROM requests WHERE {where} ORDER BY latency_us DESC")
    assert requests.count() == len(slowest)
    cells = requests.first.locator("td").all_inner_texts()
    assert (cells[1], number(cells[2])) == (slowest[0][0], close(slowest[0][1]))
    drawn(page, f"{at:g}-{at + 1:g}")
    cpu_us = site.one(f"SELECT cpu_us FROM windows WHERE RUN AND $s = {at:g}")
    assert micros(told(page).inner_text().split("·")[1]) == close(cpu_us)
    page.get_by_role("button", name="Against the whole run").click()
    expect(page.locator(".flame .legend")).to_contain_text("the whole run")
    assert f"cell={at:g}:" in page.url
    page.get_by_role("button", name="Close").click()
    expect(requests.first).to_be_hidden()


def test_percentiles_by_endpoint_are_those_of_the_requests(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/latency")
    for endpoint in ("search", "checkout"):
        cells = page.locator(f"tr[data-endpoint='{endpoint}'] td").all_inner_texts()
        where = f"WHERE RUN AND endpoint = '{endpoint}'"
        count, p50, p99 = site.rows(
            "SELECT count(), quantileExact(0.5)(latency_us) / 1e3, quantileExact(0.99)(latency_us) / 1e3 "
            f"FROM requests {where}"
        )[0]
        assert (number(cells[1]), number(cells[4])) == (count, pytest.approx(p50, rel=0.02))
        assert number(cells[7]) == pytest.approx(p99, rel=0.04)
    page.get_by_role("button", name="checkout").click()
    expect(page.locator("tr[data-endpoint='checkout']")).to_have_attribute("aria-selected", "true")
    counts = page.evaluate("page.view.answer.counts.flat().reduce((sum, one) => sum + one, 0)")
    assert counts == site.one("SELECT count() FROM requests WHERE RUN AND endpoint = 'checkout'")


# Health, comparison


def test_health_shows_the_sums_the_checks_and_what_to_take_with_care(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/health")
    accounting = page.locator("table[aria-label='Accounting']")
    stored = site.one("SELECT count() FROM requests WHERE RUN")
    expect(accounting.locator("tr", has_text="stored")).to_contain_text(f"{stored:,}")
    expect(page.get_by_text("the sums close")).to_be_visible()
    assert page.locator("tr[data-check]").count() == site.one(f"SELECT count() FROM checks WHERE run = '{site.run}'")
    limited = page.locator("tr[data-trust='generator-limited'] td").first
    late = "dispatch_lag_p99_us > 10000"
    assert number(limited.inner_text()) == site.one(f"SELECT count() FROM windows WHERE RUN AND $s < 44 AND {late}")
    at = site.one(f"SELECT min($s) FROM windows WHERE RUN AND {late}")
    over_time(page).focus()
    for _ in range(int(at)):
        page.keyboard.press("ArrowRight")
    expect(page.locator("section[aria-label='Completeness'] .told")).to_contain_text("generator-limited")


def test_two_runs_are_chosen_in_the_list_and_compared(page: Page, site: Site) -> None:
    shown(page, site.url)
    for run in (site.other, site.run):
        page.get_by_label(f"Compare {run}").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    row = page.locator("tr[data-row='CPU per request'] td")
    expect(row).to_have_count(4)
    costs = [
        site.client.query(
            "SELECT sum(cpu_us) / sum(completed + failed) FROM windows WHERE run = {run:String} AND scheduled > 0",
            {"run": run},
        ).result_rows[0][0]
        for run in (site.run, site.other)
    ]
    texts = row.all_inner_texts()
    assert [micros(text) for text in texts[1:3]] == [close(cost) for cost in costs]
    assert number(texts[3]) == pytest.approx(100 * (costs[1] / costs[0] - 1), abs=0.6)
    expect(page.locator(".flame .legend")).to_contain_text("dearer in B than in A")
    assert f"a={site.run}&b={site.other}" in page.url


# Links, themes, states


def test_a_link_shows_the_same_to_somebody_else(browser: Browser, page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time")
    page.get_by_role("button", name="CPU per request").click()
    drag(page, 17.2, 19.8)
    page.get_by_label("Hide library").check()
    expect(page.locator(".range.a").first).to_be_visible()
    expect(page.locator(".icicle canvas")).not_to_have_attribute("aria-label", re.compile(r"^\d{3} frames"))
    drawn(page, "17-20")
    link, said, seen = page.url, told(page).inner_text(), [one["label"] for one in frames(page)]
    with looking(browser, origin=site.url) as somebody:
        other = somebody.page
        other.goto(link)
        expect(told(other)).to_have_text(said)
        expect(other.get_by_role("button", name="CPU per request")).to_have_attribute("aria-pressed", "true")
        assert [one["label"] for one in frames(other)] == seen


def test_it_is_light_or_dark_as_the_system_is_or_as_one_likes(browser: Browser, site: Site) -> None:
    with looking(browser, origin=site.url, scheme="dark") as somebody:
        page = somebody.page
        shown(page, site.url, f"runs/{site.run}/time")
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.keyboard.press("t")
        light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", light))) > 600 > sum(map(int, re.findall(r"\d+", dark)))
        page.reload()
        expect(page.locator("main[data-ready]")).to_be_visible()
        assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_keys_lead_from_view_to_view_and_keep_the_range(page: Page, site: Site) -> None:
    shown(page, site.url, f"runs/{site.run}/time?a=17-20")
    for key, view in (("2", "functions"), ("3", "latency"), ("4", "health"), ("1", "time")):
        page.keyboard.press(key)
        expect(page.locator(".tabs a[aria-current]")).to_have_attribute("href", re.compile(f"/{view}"))
        assert page.url.endswith(f"/{view}?a=17-20")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("in the flame graph")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.locator("table[aria-label='Runs']")).to_be_visible()


def test_an_unknown_run_is_told_in_a_sentence(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    page = context.new_page()  # the console speaks of the 404
    page.goto(f"{site.url}/#/runs/nobody/time")
    expect(page.get_by_role("alert")).to_contain_text("no run 'nobody' in the store; the newest are")
    context.close()
