"""What of a run may be trusted: completeness, lateness, losses, clocks and the checks of delivery."""

from views.grafana import health_sql as sql
from views.grafana.hot_functions import MARKS, STORE_AND_RUN
from views.grafana.links import HEALTH, HOT_FUNCTIONS, OtherDashboards, OwnPage, to_dashboard, to_page
from views.grafana.looks import BY_LABEL, LINES, NOT_ZERO, SMALL_LEGEND, STACKED, STAT, TABLE, coloured, steps
from views.grafana.model import Dashboard, Json, Override, Panel, Query

_BARS: Json = {**STACKED, "drawStyle": "bars", "fillOpacity": 80}
_BACK = (to_dashboard(HOT_FUNCTIONS, "This run's hot functions", "${run:queryparam}"), to_page())
_STATES: Json = {
    "mappings": [
        {
            "type": "value",
            "options": {
                "holds": {"color": "green", "index": 0},
                "broken": {"color": "red", "index": 1},
                "unknown": {"color": "orange", "index": 2},
            },
        }
    ]
}

_COUNTS = (
    Panel(
        "Windows of the range",
        "stat",
        "Missing: between the first and the last one there is. Joined again: a batch came after the window was "
        "closed; not joined yet: it is stored, and the window's figures lack it.",
        (0, 0, 12, 4),
        (Query(sql.WINDOWS, "table"),),
        unit="none",
        defaults={"thresholds": NOT_ZERO},
        overrides=(
            Override("^windows$", {"thresholds": steps({None: "text"}), "links": list(_BACK)}),
            Override("^joined again, late$", {"thresholds": steps({None: "green", 1: "orange"})}),
        ),
        options=STAT,
    ),
    Panel(
        "What was lost, or waited",
        "stat",
        "Of the whole run. Spooled: waited on a producer's disk while Kafka was away, and came late. Dead letters of "
        "nobody: their run cannot be read; those of the range.",
        (12, 0, 12, 4),
        (Query(sql.LOSSES, "table"),),
        unit="none",
        defaults={"thresholds": NOT_ZERO},
        overrides=(Override("^batches spooled$", {"thresholds": steps({None: "green", 1: "orange"})}),),
        options=STAT,
    ),
)

_TIMES = (
    Panel(
        "Lag: from a window's end to its joined record",
        "timeseries",
        "Windows that were joined again after a late batch are left out: their record is as late as the batch.",
        (0, 4, 12, 8),
        (Query(sql.LAG),),
        unit="s",
        defaults={"min": 0},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
    Panel(
        "Windows by what closed them",
        "timeseries",
        "producers: all expected final batches were in. grace: time was up. late: joined again after a late batch.",
        (12, 4, 12, 8),
        (Query(sql.CLOSED_BY),),
        unit="none",
        defaults={**BY_LABEL, "min": 0},
        custom=_BARS,
        overrides=(
            Override("producers", {"color": {"mode": "fixed", "fixedColor": "green"}}),
            Override("grace", {"color": {"mode": "fixed", "fixedColor": "orange"}}),
            Override("late", {"color": {"mode": "fixed", "fixedColor": "red"}}),
        ),
        options=SMALL_LEGEND,
    ),
    Panel(
        "Coverage of the profile",
        "timeseries",
        "Share of the time that the profiler watched (0 where there is no profile), and share of the service's CPU "
        "that it could give to no function.",
        (0, 12, 8, 8),
        (Query(sql.COVERAGE),),
        unit="percentunit",
        defaults={"min": 0, "max": 1},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
    Panel(
        "Sending",
        "timeseries",
        "How late requests were dispatched, p99 of the worst window. Over 10 ms the generator may be the limit.",
        (8, 12, 8, 8),
        (Query(sql.SENDING),),
        unit="ms",
        defaults={"min": 0},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
    Panel(
        "loadflame's own CPU",
        "timeseries",
        "Cores. A load process over 0.9 is busy; what the service waited for a core is the sum over its threads.",
        (16, 12, 8, 8),
        (Query(sql.OWN_CPU),),
        unit="none",
        defaults={"min": 0, "decimals": 2},
        custom=LINES,
        options=SMALL_LEGEND,
    ),
)

_FACTS = (
    Panel(
        "Checks of delivery",
        "table",
        "I0 to I4, as `loadflame verify` found them when the run ended; none of a run that is on, or was never "
        "checked.",
        (0, 20, 10, 9),
        (Query(sql.CHECKS, "table"),),
        unit="none",
        overrides=(coloured("^state$", **_STATES), Override("^(check|state)$", {"custom.width": 80})),
        options=TABLE,
    ),
    Panel(
        "Producers",
        "table",
        "What each load process and agent said when it ended. Clocks are beside Kafka's: behind it is positive.",
        (10, 20, 14, 9),
        (Query(sql.PRODUCERS, "table"),),
        unit="none",
        overrides=(
            Override("^(clock .*|known to)$", {"unit": "ms", "decimals": 1}),
            coloured("^lost$", thresholds=NOT_ZERO),
        ),
        options=TABLE,
    ),
    Panel(
        "Dead letters",
        "table",
        "Messages that could not be read: of this run, and of the range those whose run is not known. `loadflame "
        "dead-letters` shows and replays them.",
        (0, 29, 24, 8),
        (Query(sql.DEAD_LETTERS, "table"),),
        unit="none",
        overrides=(Override("^bytes$", {"unit": "bytes"}), Override("^error$", {"custom.minWidth": 400})),
        options=TABLE,
    ),
)

DASHBOARD = Dashboard(
    uid=HEALTH,
    title="loadflame: pipeline health",
    description="What of a run may be trusted: completeness, lateness, losses, clocks and the checks of delivery.",
    variables=STORE_AND_RUN,
    annotations=MARKS,
    links=(OtherDashboards(), OwnPage()),
    panels=(*_COUNTS, *_TIMES, *_FACTS),
)
