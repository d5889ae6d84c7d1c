"""The on-call dashboard: TPS versus hot function, on one time axis, and the flame graph of the chosen range."""

from views.grafana import hot_functions_sql as sql
from views.grafana.choices import Choice, PageAddress, Store
from views.grafana.links import COMPARISON, HEALTH, HOT_FUNCTIONS, OtherDashboards, OwnPage, to_dashboard, to_page
from views.grafana.looks import (
    BY_LABEL,
    LEGEND,
    LINES,
    SMALL_LEGEND,
    STACKED,
    TABLE,
    TPS_ON_THE_RIGHT,
    coloured,
    steps,
)
from views.grafana.model import Annotations, Dashboard, Override, Panel, Query
from views.grafana.sql import ENDPOINTS, FUNCTIONS, RUNS, SERVICES, differential, flame_graph
from views.grafana.tiers import BEFORE, HIDDEN, rounded

FLAME_GRAPH = flame_graph()
DIFFERENTIAL = differential(BEFORE)

STORE_AND_RUN = (Store(), PageAddress(), Choice("service", "Service", SERVICES), Choice("run", "Run", RUNS))
PARTS = (
    *HIDDEN,
    Choice("endpoint", "Endpoint", ENDPOINTS, many=True, follows_range=True),
    Choice("function", "Function", FUNCTIONS, many=True, follows_range=True),
)
MARKS = (
    Annotations("Stages", "rgba(120, 160, 220, 0.4)", Query(sql.STAGES, "table")),
    Annotations("Ends", "purple", Query(sql.ENDS, "table")),
    Annotations("Findings", "orange", Query(sql.FINDINGS, "table")),
)

_ONE_FUNCTION = to_dashboard(
    HOT_FUNCTIONS, "Only this function", "${run:queryparam}", "var-function=${__value.raw:percentencode}"
)
_GO_ON = (
    to_dashboard(COMPARISON, "Compare this run with another", "${run:queryparam}"),
    to_dashboard(HEALTH, "May this be trusted? Pipeline health", "${run:queryparam}"),
    to_page(),
)

_RED = (
    Panel(
        "Rate",
        "timeseries",
        "Offered: arrivals that fell due. Achieved: requests that ended. Of the whole run, whatever endpoint is "
        "chosen.",
        (0, 0, 8, 8),
        (Query(sql.RATES),),
        unit="reqps",
        defaults={"links": list(_GO_ON)},
        custom=LINES,
        overrides=(Override("failed.*", {"color": {"mode": "fixed", "fixedColor": "red"}}),),
        options=SMALL_LEGEND,
    ),
    Panel(
        "Errors",
        "timeseries",
        "Share of the requests that failed, of those that ended, by endpoint. What was dropped was never sent, and "
        "stands under Rate.",
        (8, 0, 8, 8),
        (Query(sql.ERRORS),),
        unit="percentunit",
        defaults={**BY_LABEL, "min": 0},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
    Panel(
        "Duration",
        "timeseries",
        "Latency of the chosen endpoints together, from the scheduled start, to 1%. Requests that were dropped are "
        "not in it.",
        (16, 0, 8, 8),
        (Query(sql.LATENCY),),
        unit="ms",
        defaults={"min": 0},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
)

_FUNCTIONS = (
    Panel(
        "Hot functions: CPU per second",
        "timeseries",
        "Cores that each function keeps busy by itself, stacked; dashed: requests per second. CPU is the kernel's; "
        "the shares are the samples'. Windows without a profile are left out.",
        (0, 8, 24, 10),
        (Query(sql.CPU_PER_SECOND), Query(sql.TPS)),
        unit="none",
        defaults={**BY_LABEL, "min": 0, "decimals": 2},
        custom={**STACKED, "axisLabel": "cores"},
        overrides=(TPS_ON_THE_RIGHT,),
        options=LEGEND,
    ),
    Panel(
        "Hot functions: CPU per request",
        "timeseries",
        "Flat lines are healthy. A line that follows the dashed request rate is the function that will stop the "
        "service.",
        (0, 18, 24, 9),
        (Query(sql.CPU_PER_REQUEST), Query(sql.TPS)),
        unit="µs",
        defaults={**BY_LABEL, "min": 0},
        custom=LINES,
        overrides=(TPS_ON_THE_RIGHT,),
        options=LEGEND,
    ),
    Panel(
        "Functions of the range",
        "table",
        "CPU by itself and with what it calls, beside the range before, which is as long. Small samples say little: "
        "a function seen n times is known to about one part in the root of n.",
        (0, 27, 24, 10),
        (Query(sql.FUNCTIONS, "table"),),
        unit="none",
        defaults={"decimals": 2},
        overrides=(
            Override("^function$", {"links": [_ONE_FUNCTION], "custom.minWidth": 300}),
            Override(
                "^share$",
                {"unit": "percentunit", "custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1},
            ),
            Override("^(CPU per request|with callees|in the range before)$", {"unit": "µs"}),
            coloured("^times as much$", thresholds=steps({None: "green", 1.2: "orange", 1.5: "red"})),
            Override("^samples$", {"unit": "short", "decimals": 0}),
        ),
        options=TABLE,
    ),
)

_FLAMES = (
    Panel(
        "Flame graph of the range",
        "flamegraph",
        "CPU of the chosen time range: the kernel's, shared by the samples; width is time on a core.",
        (0, 37, 24, 16),
        (Query(FLAME_GRAPH, "table"),),
        unit="ns",
        overrides=(Override("value|self", {"unit": "ns"}),),
    ),
    Panel(
        "Against the range before",
        "flamegraph",
        "CPU per request: the range before, as long as this one, is the baseline; red frames take a greater share "
        "now. Their colour is of shares, so where everything got dearer alike nothing is red: the table above says "
        "how much.",
        (0, 53, 24, 16),
        (Query(DIFFERENTIAL, "table"),),
        unit="ns",
        overrides=(Override("value|self", {"unit": "ns"}),),
    ),
)

DASHBOARD = Dashboard(
    uid=HOT_FUNCTIONS,
    title="loadflame: TPS versus hot function",
    description="Request rate and latency above, CPU by function below, on one time axis. Drag over a time range: the "
    "flame graphs are of just that range, and of the one before.",
    variables=(*STORE_AND_RUN, *PARTS),
    annotations=MARKS,
    links=(OtherDashboards(), OwnPage()),
    panels=(*rounded((*_RED, *_FUNCTIONS, *_FLAMES)),),
)
