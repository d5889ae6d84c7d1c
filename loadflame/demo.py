"""What the demo runs: the sample shop in a process of its own, and a plan for it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from producers.load.modulation import mix_stages
from producers.load.plan import Plan
from schemas.errors import UserError

LEVELS_TPS = (40, 80, 160, 320)
VISITS, VISIT_S = 3, 4
MIX_TPS = 160
MIX_VISITS, MIX_VISIT_S = 8, 2


def demo_plan(url: str, visits: int = VISITS) -> Plan:
    """The plan of the demo: an eightfold range of rates, each visited several times in random order; then mixes.

    64 s: of the fourth visits that the rates might have, the swung mix has the time.
    """
    requests = [
        {"name": "search", "weight": 3, "path": "/search?q=green+mint+tea"},
        {"name": "product", "weight": 2, "path": "/products/17"},
        {"name": "checkout", "weight": 1, "method": "POST", "path": "/checkout", "json": {"item": 7}},
    ]
    # The shop settles at once: it is as fast as ever with another mix.
    mixes = mix_stages(len(requests), MIX_TPS, visits=MIX_VISITS, each=f"{MIX_VISIT_S}s", settle=0)
    return Plan.model_validate(
        {
            "target": url,
            "service": "shop",
            "target_count_path": "/counts",
            "stages": [
                {
                    "name": "map",
                    "levels": list(LEVELS_TPS),
                    "visits": visits,
                    "each": f"{VISIT_S}s",
                    "settle": "1s",
                    "seed": 7,
                },
                *mixes,
            ],
            "requests": requests,
            "thresholds": ["p99 < 500ms", "errors < 1%"],
        }
    )


@contextlib.contextmanager
def sample_shop() -> Iterator[tuple[str, int]]:
    """Run the sample shop on a free loopback port; gives its URL and process id, and ends it afterwards."""
    script = Path(str(files("loadflame.sample").joinpath("shop.py")))
    command = [sys.executable, str(script), "--port", "0"]
    # A session of its own: Ctrl-C is for the load, which ends before the shop does.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as shop:
        try:
            assert shop.stdout is not None
            url = shop.stdout.readline().strip()
            if not url:
                raise UserError("the sample shop did not start; run `python -m loadflame.sample.shop` to see why")
            yield url, shop.pid
        finally:
            shop.terminate()
