"""How soon the page shows a soak of 24 hours: what `loadflame serve` answers, as Chromium paints it.

    python -m benchmarks.painting --store DIR [--rounds 5]

DIR is a store that `benchmarks.reading --store DIR` has made. Each round opens the page in a browser context of its
own, with nothing cached. First paint is the browser's own first contentful paint; the view is whole when the page says
that it is; drawing is the page's JavaScript from the answer to the canvas, for all stacks of the stretch.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

from benchmarks.serving import free_port, serving
from benchmarks.soaked import RUN, STACKS_SEEN
from tests.support.chromium import chromium, looking

HOURS_S = 86_400
VIEWS = {
    "list of runs": "",
    "over time": f"runs/{RUN}/time",
    "over time, flame graph of 24 h": f"runs/{RUN}/time?a=0-{HOURS_S}",
    "over time, flame graph of the last 15 min": f"runs/{RUN}/time?a={HOURS_S - 900}-{HOURS_S}",
    "functions": f"runs/{RUN}/functions",
    "latency": f"runs/{RUN}/latency",
    "health": f"runs/{RUN}/health",
}
PAINT_MS, DRAWN_MS = 1_000, 500
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_WHOLE = """new Promise((told, failed) => {
    const look = () => {
        const error = document.querySelector('main .error');
        if (error) failed(new Error(error.textContent));
        else if (document.querySelector('main[data-ready]')) told(performance.now());
        else requestAnimationFrame(look);
    };
    look();
})"""
_DRAW = """() => {
    const { flame } = page.view;
    const began = performance.now();
    flame.draw(flame.first, flame.second, flame.a, flame.b);
    return performance.now() - began;
}"""


def look(browser: Browser, url: str, view: str) -> tuple[float, float, float | None]:
    """First paint, the whole view, and drawing of its flame graph if it has one, each in ms."""
    with looking(browser, origin=url) as somebody:
        page = somebody.page
        page.goto(f"{url}/#/{view}")
        whole_ms = float(page.evaluate(_WHOLE))
        painted_ms = float(page.evaluate(_PAINTED))
        if "a=" not in view:
            return painted_ms, whole_ms, None
        expect(page.locator(".flame[data-shown]").first).to_be_attached()
        return painted_ms, whole_ms, float(page.evaluate(_DRAW))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    port = free_port()
    store = f"chdb://{given.store.absolute()}"
    command = [sys.executable, "-P", "-m", "loadflame", "serve", "--port", str(port), "--store", store]
    with serving(command, port), chromium() as browser:
        print(f"{STACKS_SEEN:,} stacks; medians of {given.rounds}, the slowest in brackets")
        print(f"{'view':44} {'first paint ms':>18} {'whole ms':>18} {'flame drawn ms':>18}")
        for name, view in VIEWS.items():
            times = [look(browser, f"http://127.0.0.1:{port}", view) for _ in range(given.rounds)]
            told = [
                "" if None in some else f"{statistics.median(some):,.0f} ({max(some):,.0f})"
                for some in zip(*times, strict=True)
            ]
            print(f"{name:44} {told[0]:>18} {told[1]:>18} {told[2]:>18}")
    print(f"targets: first paint {PAINT_MS:,} ms, drawn {DRAWN_MS} ms; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
