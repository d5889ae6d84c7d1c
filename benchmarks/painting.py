"""How soon the page shows a soak of 24 hours: what `loadflame serve` answers, as Chromium paints it.

    python -m benchmarks.painting [--store DIR] [--rounds 5]

The store is that of `benchmarks.reading`, and made unless the folder holds one. Each round opens the page in a browser
context of its own, with nothing cached. First paint is the browser's own first contentful paint; the view is whole when
the page says that it is, and what it shows of the report has come; drawing is the page's JavaScript from the answer to
the canvas, for all stacks of the stretch. The report is made beforehand, so that its making is a figure of its own.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser

from benchmarks.reading import make_store
from benchmarks.serving import free_port, serving
from benchmarks.soaked import RUN, STACKS_SEEN
from sinks.connect import open_client
from tests.support.chromium import SIZE, chromium

HOURS_S = 86_400
_FLAME = ".flame[data-shown]"
VIEWS = {
    "list of runs": ("", "tr[data-run]"),
    "over time": (f"runs/{RUN}/time", _FLAME),
    "over time, flame graph of 24 h": (f"runs/{RUN}/time?a=0-{HOURS_S}", _FLAME),
    "over time, flame graph of the last 15 min": (f"runs/{RUN}/time?a={HOURS_S - 900}-{HOURS_S}", _FLAME),
    "functions": (f"runs/{RUN}/functions", "tr[data-label]"),
    "latency": (f"runs/{RUN}/latency", "[aria-label=Percentiles] tr"),
    "health": (f"runs/{RUN}/health", "[aria-label=Accounting] tr"),
}
"""Each with what must be there when it is whole."""
PAINT_MS, DRAWN_MS = 1_000, 500
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_WHOLE = """(part) => new Promise((told, failed) => {
    const look = () => {
        const error = document.querySelector('main .error')?.textContent ?? page.run?.trouble;
        if (error) failed(new Error(error));
        else if (document.querySelector('main[data-ready]') && document.querySelector(part)) told(performance.now());
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


def look(browser: Browser, url: str, view: str, part: str) -> tuple[float, float, float | None]:
    """First paint, the whole view, and drawing of its flame graph if it has one, each in ms."""
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    page.goto(f"{url}/#/{view}")
    whole_ms = float(page.evaluate(_WHOLE, part))
    painted_ms = float(page.evaluate(_PAINTED))
    drawn_ms = float(page.evaluate(_DRAW)) if part == _FLAME else None
    page.close()
    return painted_ms, whole_ms, drawn_ms


def _report_s(url: str) -> float:
    """How long the page's report takes to come."""
    began_s = time.monotonic()
    with urlopen(f"{url}/api/runs/{RUN}/report") as answer:
        answer.read()
    return time.monotonic() - began_s


def _paint(store: str, rounds: int) -> None:
    port = free_port()
    command = [sys.executable, "-P", "-m", "loadflame", "serve", "--port", str(port), "--store", store]
    with serving(command, port), chromium() as browser:
        url = f"http://127.0.0.1:{port}"
        print(f"the report took {_report_s(url):.1f} s to make, and {_report_s(url):.2f} s to come again", flush=True)
        print(f"{STACKS_SEEN:,} stacks; medians of {rounds}, the slowest in brackets")
        print(f"{'view':44} {'first paint ms':>18} {'whole ms':>18} {'flame drawn ms':>18}")
        for name, (view, part) in VIEWS.items():
            times = [look(browser, url, view, part) for _ in range(rounds)]
            told = [
                "" if None in some else f"{statistics.median(some):,.0f} ({max(some):,.0f})"
                for some in zip(*times, strict=True)
            ]
            print(f"{name:44} {told[0]:>18} {told[1]:>18} {told[2]:>18}", flush=True)
    print(f"targets: first paint {PAINT_MS:,} ms, drawn {DRAWN_MS} ms; load average {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a folder to keep the store in, for another time")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadflame-painting-") as folder:
        store = f"chdb://{(given.store or Path(folder) / 'store').absolute()}"
        with closing(open_client(store)) as client:
            make_store(client)
        _paint(store, given.rounds)


if __name__ == "__main__":
    main()
