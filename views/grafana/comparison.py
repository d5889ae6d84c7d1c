"""One run beside another: the same seconds since each began."""

from views.grafana import comparison_sql as sql
from views.grafana.choices import Choice
from views.grafana.hot_functions import MARKS, PARTS, STORE_AND_RUN
from views.grafana.links import COMPARISON, HOT_FUNCTIONS, OtherDashboards, OwnPage, to_dashboard, to_page
from views.grafana.looks import BY_LABEL, LINES, SMALL_LEGEND, TABLE, coloured, steps
from views.grafana.model import Dashboard, Override, Panel, Query
from views.grafana.tiers import rounded

_ITS_TIME = "from=${__data.fields.from_ms}&to=${__data.fields.to_ms}"
_THIS = "var-run=${__data.fields.run:percentencode}"
_OF_A_RUN = (
    to_dashboard(HOT_FUNCTIONS, "This run's hot functions", _THIS, time_range=_ITS_TIME),
    to_dashboard(COMPARISON, "Compare over this run's whole time", "${run:queryparam}", "${baseline:queryparam}",
                 time_range=_ITS_TIME),
    to_page(),
)  # fmt: skip
_COLOURS = (
    Override("this run", {"color": {"mode": "fixed", "fixedColor": "orange"}}),
    Override("baseline", {"color": {"mode": "fixed", "fixedColor": "blue"}}),
)
_DEARER = steps({None: "green", 1.1: "text", 1.2: "orange", 1.5: "red"})


def _over_time(title: str, description: str, x: int, query: str, unit: str) -> Panel:
    return Panel(
        title,
        "timeseries",
        description,
        (x, 4, 8, 9),
        (Query(query),),
        unit=unit,
        defaults={**BY_LABEL, "min": 0},
        custom=LINES,
        overrides=_COLOURS,
        options=SMALL_LEGEND,
    )


_RUNS = Panel(
    "The two runs",
    "table",
    "Click a run for its hot functions, or to choose its whole time. Times of the baseline are moved onto "
    "those of this run.",
    (0, 0, 24, 4),
    (Query(sql.RUNS, "table"),),
    unit="none",
    overrides=(
        Override("^run$", {"links": list(_OF_A_RUN), "custom.minWidth": 240}),
        Override("^(from_ms|to_ms)$", {"custom.hidden": True}),
    ),
    options=TABLE,
)
_SIDES = (
    _over_time("Requests per second", "Requests that ended, of the whole run.", 0, sql.RATES, "reqps"),
    _over_time("p99", "Of the chosen endpoints together, from the scheduled start.", 8, sql.LATENCY, "ms"),
    _over_time("Errors", "Share that failed, of the chosen endpoints' requests.", 16, sql.ERRORS, "percentunit"),
    Panel(
        "CPU per request by function",
        "table",
        "By itself, without what it calls, in the chosen range of both runs; the greatest difference first. Few "
        "samples: little is known.",
        (0, 13, 24, 11),
        (Query(sql.FUNCTIONS, "table"),),
        unit="µs",
        defaults={"decimals": 1},
        overrides=(
            Override("^function$", {"custom.minWidth": 300}),
            coloured("^ratio$", unit="none", decimals=2, thresholds=_DEARER),
            Override("^samples.*", {"unit": "short", "decimals": 0}),
        ),
        options=TABLE,
    ),
    Panel(
        "Endpoints",
        "table",
        "Rate, p99 and errors of each endpoint in the chosen range of both runs.",
        (0, 24, 24, 8),
        (Query(sql.ENDPOINTS, "table"),),
        unit="none",
        defaults={"decimals": 2},
        overrides=(
            Override("^TPS.*", {"unit": "reqps"}),
            Override("^p99, (baseline|this run)$", {"unit": "ms"}),
            Override("^errors.*", {"unit": "percentunit"}),
            coloured("^p99, ratio$", thresholds=_DEARER),
        ),
        options=TABLE,
    ),
    Panel(
        "Differential flame graph",
        "flamegraph",
        "CPU per request, the baseline against this run; red frames take a greater share of it here. Where "
        "everything got dearer alike nothing is red: the table says how much.",
        (0, 32, 24, 16),
        (Query(sql.DIFFERENTIAL, "table"),),
        unit="ns",
        overrides=(Override("value|self", {"unit": "ns"}),),
    ),
)

DASHBOARD = Dashboard(
    uid=COMPARISON,
    title="loadflame: run comparison",
    description="One run beside another, by the time since each began. Two single runs cannot show how much runs "
    "differ by themselves: figures here are figures, and `loadflame diff` judges groups of runs.",
    variables=(
        *STORE_AND_RUN,
        Choice("baseline", "Baseline", sql.BASELINES),
        Choice("later", "Began later by, us", sql.LATER_US, hidden=True),
        *PARTS,
    ),
    annotations=MARKS,
    links=(OtherDashboards(), OwnPage()),
    panels=(_RUNS, *rounded(_SIDES)),
)
