"""`loadflame demo`: the sample shop, loaded and profiled, in about a minute and a half."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, Backend, DataDir, StoreUrl
from loadflame.commands.run import Watch, run_and_report
from loadflame.settings import read_settings
from producers.load.plan import Plan
from schemas.errors import UserError

LEVELS_TPS = (40, 80, 160, 320)


def demo(
    data_dir: DataDir = None,
    store: StoreUrl = None,
    backend: Backend = "auto",
    visits: Annotated[int, typer.Option(min=3, help="Visits of each of the four levels, 5 s each.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Load and profile a small shop that comes with loadflame, and say which function stops it.

    Starts the shop, an embedded broker, the stream processor, the profiler and the load as processes of their own,
    visits four rates in random order, and ends them all. Nothing is downloaded, nothing leaves this machine.
    """
    settings = read_settings(store=store, data_dir=data_dir)
    console = Console(stderr=as_json)
    with sample_shop() as (url, pid):
        plan = demo_plan(url, visits)
        run_and_report(plan, settings, Watch(("--pid", str(pid))), backend, console, as_json=as_json)
    if not as_json:
        console.print(
            "\nNow your own service: [bold]loadflame run http://127.0.0.1:8000/ --pid PID[/]"
            " · this report again: [bold]loadflame report[/]"
        )


def demo_plan(url: str, visits: int = 4) -> Plan:
    """The plan of the demo: an eightfold range of rates, each visited several times in random order."""
    return Plan.model_validate(
        {
            "target": url,
            "service": "shop",
            "target_count_path": "/counts",
            "stages": [{"name": "map", "levels": list(LEVELS_TPS), "visits": visits, "each": "5s", "seed": 7}],
            "requests": [
                {"name": "search", "weight": 3, "path": "/search?q=green+mint+tea"},
                {"name": "product", "weight": 2, "path": "/products/17"},
                {"name": "checkout", "weight": 1, "method": "POST", "path": "/checkout", "json": {"item": 7}},
            ],
            "thresholds": ["p99 < 500ms", "errors < 1%"],
        }
    )


@contextlib.contextmanager
def sample_shop() -> Iterator[tuple[str, int]]:
    """Run the sample shop on a free loopback port; gives its URL and process id, and ends it afterwards."""
    script = Path(str(files("loadflame.sample").joinpath("shop.py")))
    with subprocess.Popen([sys.executable, str(script), "--port", "0"], stdout=subprocess.PIPE, text=True) as shop:
        try:
            assert shop.stdout is not None
            url = shop.stdout.readline().strip()
            if not url:
                raise UserError("the sample shop did not start; run `python -m loadflame.sample.shop` to see why")
            yield url, shop.pid
        finally:
            shop.terminate()
