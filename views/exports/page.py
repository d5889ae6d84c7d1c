"""A run as one file: the page, its style, plotly and the run's figures, for a browser without a network.

The modules are the server's. They find each other by an import map of `data:` addresses, because a page that is opened
from a disk may import no files; plotly is kept compressed, which saves 3 MB of 5.
"""

import base64
import gzip
import html
import json
import re

from clickhouse_connect.driver.client import Client
from pydantic import BaseModel, ConfigDict

from views.model import Figure, Report
from views.ranges import Clock, Part
from views.stacks import UNATTRIBUTED, range_stacks
from views.web import heads, judged, latency, series
from views.web.answers import FunctionPoints, Head, Health, Hot, Kind, Latency, RequestRow, Series
from views.web.files import PLOTLY, STATIC
from views.web.flame import Tree
from views.web.frames import kind_of, package_of

MOST_BUCKETS = 600
MOST_FUNCTIONS = 80
MOST_POINTS = 40
"""Functions of which the points against the throughput are kept."""
MOST_REQUESTS = 1000
_IMPORT = re.compile(r'(from )"\./([\w.]+\.js)"')
_POLICY = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data:"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Buckets(_Kept):
    """The buckets of the cells; only what was profiled counts."""

    t_s: tuple[Figure, ...]
    seconds: tuple[Figure, ...]
    requests: tuple[int, ...]
    cpu_us: tuple[int, ...]
    unattributed_us: tuple[int, ...]


class FlameCells(_Kept):
    """The tree of a whole run; of each node (bucket, CPU us, samples), so that any range can be summed from it."""

    step_s: Figure
    labels: tuple[str, ...]
    packages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    parent: tuple[int, ...]
    label: tuple[int, ...]
    cells: tuple[tuple[tuple[int, int, int], ...], ...]
    buckets: Buckets


class Saved(_Kept):
    """What a file knows of its run; the names are those of the API's questions."""

    head: Head
    report: Report
    series: Series
    hot: Hot
    flame: FlameCells
    latency: dict[str, Latency]
    functions: dict[str, FunctionPoints]
    health: Health
    slowest: tuple[RequestRow, ...]


def saved(client: Client, run: str) -> Saved:
    """Read all that a file keeps. Blocks: seconds for a long run. Raises UnknownRunError or StoreError."""
    clock = Clock.of(client, run)
    part = clock.part()
    told = judged.Judged.of(client, run)
    head = heads.head(client, run)
    if head.state == "live":
        head = head.model_copy(update={"state": "ended"})  # a file does not move on
    over_time = series.series(client, part, most=MOST_BUCKETS)
    hot = series.hot(client, part, most=MOST_FUNCTIONS, buckets=MOST_BUCKETS)
    labels = [one.label for one in hot.functions[:MOST_POINTS]]
    return Saved(
        head=head,
        report=told.report,
        series=over_time,
        hot=hot,
        flame=flame_cells(client, part, over_time),
        latency={endpoint: latency.latency(client, part, endpoint) for endpoint in ("", *head.endpoints)},
        functions={label: judged.function_points(client, told, part, label) for label in labels},
        health=judged.health(client, clock, told.report),
        slowest=latency.slowest(client, part, most=MOST_REQUESTS).rows,
    )


def flame_cells(client: Client, part: Part, over_time: Series) -> FlameCells:
    """The tree of a run by buckets, which are those of its series."""
    found = range_stacks(client, part, buckets=MOST_BUCKETS)
    start_s = part.times_s(part.span(MOST_BUCKETS), (0,))[0]
    place_of = {round((at - start_s) / over_time.step_s): place for place, at in enumerate(over_time.t_s)}
    tree = Tree()
    cells: list[list[tuple[int, int, int]]] = [[]]
    for one in found.stacks:
        node = tree.place(one.frames)
        cells += [[] for _ in range(len(tree.parent) - len(cells))]
        if one.bucket in place_of:
            cells[node].append((place_of[one.bucket], one.cpu_us, one.samples))
    nowhere = tree.place((UNATTRIBUTED,))
    cells += [[] for _ in range(len(tree.parent) - len(cells))]
    placed_us = {place: us for place, us, _ in cells[nowhere]}
    for place, us in enumerate(over_time.unattributed_us):  # of windows in which no sample was taken
        if us > placed_us.get(place, 0):
            cells[nowhere].append((place, us - placed_us.get(place, 0), 0))
    labels = tuple(tree.labels)
    return FlameCells(
        step_s=over_time.step_s,
        labels=labels,
        packages=tuple(map(package_of, labels)),
        kinds=tuple(map(kind_of, labels)),
        parent=tuple(tree.parent),
        label=tuple(tree.label),
        cells=tuple(map(tuple, cells)),
        buckets=Buckets(
            t_s=over_time.t_s,
            seconds=over_time.watched_s,
            requests=over_time.watched_requests,
            cpu_us=over_time.cpu_us,
            unattributed_us=over_time.unattributed_us,
        ),
    )


def page(data: Saved) -> str:
    """The file. It asks no host for anything, and may not."""
    modules = {path.name: path.read_text() for path in sorted(STATIC.glob("*.js"))}
    imports = {f"loadflame/{name}": _data_url(_IMPORT.sub(r'\1"loadflame/\2"', text)) for name, text in modules.items()}
    plotly = base64.b64encode(gzip.compress(PLOTLY.read_bytes(), mtime=0)).decode()
    icon = base64.b64encode((STATIC / "icon.svg").read_bytes()).decode()
    run = data.head
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(f"{run.service} {run.id}")} · loadflame</title>
<link rel="icon" href="data:image/svg+xml;base64,{icon}">
<style id="plotly.js-style-global" class="no-inline-styles">
{(STATIC / "style.css").read_text()}
</style>
<script type="importmap">{json.dumps({"imports": imports})}</script>
</head>
<body>
<div id="page"></div>
<noscript>This report draws with JavaScript.</noscript>
<script type="application/json" id="loadflame-data">{_json(data)}</script>
<script type="text/plain" id="loadflame-plotly">{plotly}</script>
<script type="module">import "loadflame/main.js";</script>
</body>
</html>
"""


def _data_url(module: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(module.encode()).decode()}"


def _json(data: BaseModel) -> str:
    """JSON that cannot end the element it stands in, whatever a service names its functions."""
    return data.model_dump_json().replace("<", "\\u003c")
