"""What is told of a run as a whole: in the list, at the head of its page, and as bands and marks on its time axis."""

from views.web.shown import RUN, UNIX_US, once

RUN_LIST = once(
    "list of runs",
    f"""
SELECT
    run, service, target, verdict, reason, state, {UNIX_US}(started_at) AS started_us, {UNIX_US}(ended_at) AS ended_us
FROM runs
WHERE {{service:String}} IN ('', service)
ORDER BY started_us DESC, run DESC
LIMIT {{most:UInt32}} OFFSET {{skip:UInt32}}
""",
    {"service": "", "most": 100, "skip": 0},
    ("run", "String", "its id"),
    ("service", "String", "its service"),
    ("target", "String", "the URL that was loaded"),
    ("verdict", "String", "as the report has it; '' until the run was judged"),
    ("reason", "String", "why it ended: finished, aborted; '' until that was said"),
    ("state", "String", "live, ended, or broken off"),
    ("started_us", "Int64", "Unix time of its start"),
    ("ended_us", "Nullable(Int64)", "Unix time of its end; NULL until it was said"),
)

RUN_HEAD = once(
    "head of a run",
    f"""
SELECT
    run, service, target, verdict, reason, started_us, ended_us, state, heard_us, run_window_us AS window_us, engine,
    note, plan, first, last
FROM
(
    SELECT
        run, service, target, verdict, reason, {UNIX_US}(started_at) AS started_us, {UNIX_US}(ended_at) AS ended_us,
        state, {UNIX_US}(heard_at) AS heard_us, window_us AS run_window_us, engine, note, plan
    FROM runs
    WHERE run = {{run:String}}
) AS told
LEFT JOIN
(
    SELECT run, first, last
    FROM spans
    WHERE run = {{run:String}}
) AS joined USING (run)
""",
    RUN,
    ("run", "String", "its id"),
    ("service", "String", "its service"),
    ("target", "String", "the URL that was loaded"),
    ("verdict", "String", "as the report has it; '' until the run was judged"),
    ("reason", "String", "why it ended; '' while it is on"),
    ("started_us", "Int64", "Unix time of its start"),
    ("ended_us", "Nullable(Int64)", "Unix time of its end; NULL until it was said"),
    ("state", "String", "live, ended, or broken off"),
    ("heard_us", "Int64", "Unix time at which anything was heard of it last; its end where that was said"),
    ("window_us", "UInt64", "the length of its windows"),
    ("engine", "String", "of the load"),
    ("note", "String", "what is to be told of its end"),
    ("plan", "String", "as JSON"),
    ("first", "UInt64", "its first joined window; 0 when there is none"),
    ("last", "UInt64", "its last joined window; 0 when there is none"),
)

STAGES = once(
    "stages of a run",
    f"""
SELECT
    label, stage, form, visit, role, {UNIX_US}(starts_at) AS starts_us, {UNIX_US}(ends_at) AS ends_us, settle_us,
    rate_from_tps, rate_to_tps
FROM stages
WHERE run = {{run:String}}
ORDER BY starts_us, label
""",
    RUN,
    ("label", "String", "the segment's own name"),
    ("stage", "String", "the plan's stage"),
    ("form", "String", "ramp, hold, level"),
    ("visit", "UInt64", "which visit of its level, from 0"),
    ("role", "String", "measure, warm-up, cool-down"),
    ("starts_us", "Int64", "Unix time"),
    ("ends_us", "Int64", "Unix time, as planned"),
    ("settle_us", "UInt64", "how long it settles"),
    ("rate_from_tps", "Float64", "requests/s at its start"),
    ("rate_to_tps", "Float64", "requests/s at its end"),
)
