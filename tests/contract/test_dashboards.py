"""Every SQL text for Grafana runs on the engine, macros expanded as the data source does, and feeds what it is for.

One store for the whole module: a run, its baseline 1000 s before, and a database in which there is nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.events import CheckOutcome, FindingMade, RunChecked, RunJudged, RunStarted
from schemas.stacks import fold, frame, unfold
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.embedded import EmbeddedReader
from sinks.migrate import migrate
from sinks.sketch_sql import quantile_ms
from sinks.store import DeadLetter, StoredBatch
from tests.support.batches import WINDOW, WINDOW_US, Sample, stack_batch
from tests.support.grafana_macros import ALL, Value, expanded
from tests.support.grafana_sql import CHOICES, SOME, every_sql
from tests.support.joined import joined_window
from tests.support.synthetic import Stage, Synthetic, shop_costs
from views.grafana import alert_rules, comparison_sql, health_sql, hot_functions, hot_functions_sql, sql, tiers
from views.grafana.choices import Choice
from views.grafana.export import DASHBOARDS, files

FOLDER = Path(__file__).parents[2] / "views" / "grafana"
NUMBERS = re.compile(r"^(Nullable\()?U?(Int|Float)\d+\)?$")
CELL = re.compile(r"^(LowCardinality\(|Nullable\()*(String|U?Int\d+|Float\d+|DateTime64\(6, 'UTC'\)|Bool)\)*$")
TEXT = ("String", "LowCardinality(String)")
TIME = re.compile(r"^DateTime(64\(\d, 'UTC'\))?$")
START = datetime.fromtimestamp(WINDOW, UTC)
SECONDS = 80
FIRST = {"run-1": WINDOW, "run-0": WINDOW - 1000}
"""The first window of each run."""
WHOLE = (START, START + timedelta(seconds=SECONDS))
LONG = (START - timedelta(hours=3), START + timedelta(seconds=SECONDS))
"""So long that minutes answer."""
ONE_POINT_S = 10 * 365 * 86_400
NOTHING = (datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 1, 2, tzinfo=UTC))
ODD = "walk; it's \\ odd"


@dataclass(frozen=True, slots=True)
class Store:
    client: Client
    empty: Client
    reader: EmbeddedReader


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("grafana")
    with (
        closing(open_client(f"chdb://{folder}")) as client,
        closing(open_client(f"chdb://{folder}?database=empty")) as empty,
    ):
        migrate(client)
        migrate(empty)
        fill(ClickHouseStore(client))
        with closing(EmbeddedReader(folder, client.database or "")) as reader:
            yield Store(client, empty, reader)


def fill(store: ClickHouseStore) -> None:
    Synthetic(timeouts_per_s=8, dropped_per_s=4, unprofiled_windows=2).write(store)
    Synthetic(run="run-0", first_window=FIRST["run-0"], costs=shop_costs(sweep_us=2.0)).write(store)
    odd = stack_batch([Sample(fold([frame(ODD, "odd.py")])), Sample("")], window=WINDOW + 5, producer="odd", final=True)
    store.write_batches([StoredBatch(odd, 0, 9_000)])  # stored, and not joined yet
    # Made from fewer batches than the one that is there, as after a worker was wound back: no sum has it.
    store.write_windows([joined_window(run="run-1", window=WINDOW + 7, batches_covered=1)])
    store.write_minutes(store.unmade_minutes())
    at_us = (WINDOW + SECONDS) * WINDOW_US
    store.write_events(
        [
            RunJudged(run_id="run-1", verdict="failed"),
            FindingMade(run_id="run-1", kind="growth", summary="sweep grows", function="sweep", finding="growth/sweep"),
            RunChecked(
                run_id="run-1",
                checks=[CheckOutcome(name=f"I{n}", ok=ok, sentence="x") for n, ok in enumerate((True, False, None))],
            ),
        ],
        [at_us] * 3,
    )
    # Told while the run was on; and again, which moves nothing.
    early = FindingMade(run_id="run-1", kind="hot", summary="rank is hot", finding="hot/rank")
    later = early.model_copy(update={"revision": 2, "summary": "rank is hotter"})
    store.write_events([early, later], [at_us - 20 * WINDOW_US, at_us + 5 * WINDOW_US])
    store.write_dead_letters(
        [DeadLetter("t", 0, n, "bad", at_us, 9, run_id=run) for n, run in enumerate(("run-1", "run-0", ""))]
    )


def asked(
    client: Client, text: str, span: tuple[datetime, datetime] = WHOLE, interval_s: int = 1, **choices: Value
) -> list[dict[str, Any]]:
    """The rows of a text, by the names of their columns."""
    found = client.query(expanded(text, start=span[0], end=span[1], interval_s=interval_s, **{**CHOICES, **choices}))
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def stacks(client: Client, seconds: Sequence[int] = range(SECONDS), run: str = "run-1") -> list[tuple[str, int]]:
    """CPU in us by folded stack of a run, as the store has it by window."""
    return list(
        client.query(
            "SELECT stack, sum(cpu_us) "
            "FROM stacks_within(run = {run:String}, first = {first:UInt64}, last = {last:UInt64}) "
            "LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE run = {run:String}) AS texts "
            "USING (stack_id) GROUP BY stack",
            {"run": run, "first": FIRST[run] + seconds[0], "last": FIRST[run] + seconds[-1]},
        ).result_rows
    )


def columns(client: Client, text: str, **choices: Value) -> dict[str, str]:
    """Names and types of a text's columns; the engine tells them also when there is no row."""
    plain = expanded(text, start=WHOLE[0], end=WHOLE[1], **{**CHOICES, **choices})
    return {row[0]: row[1] for row in client.query(f"DESCRIBE TABLE ({plain})").result_rows}


PANELS = [
    pytest.param(panel.kind, query, id=f"{dashboard.uid}/{panel.title}/{place}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for place, query in enumerate(panel.queries)
]


def test_the_files_are_current() -> None:
    for name, text in files().items():
        assert (FOLDER / name).read_text() == text, "run `make dashboards`"
    assert {path.name for path in (FOLDER / "dashboards").iterdir()} == {
        name.split("/")[1] for name in files() if name.startswith("dashboards/")
    }


@pytest.mark.parametrize(("kind", "query"), PANELS)
def test_columns_are_what_the_panel_needs_with_rows_and_without(store: Store, kind: str, query: Any) -> None:
    assert query.format == ("time series" if kind == "timeseries" else "table")
    for client, choices in ((store.client, {}), (store.empty, SOME)):
        found = columns(client, query.sql, **choices)
        names, kinds = list(found), list(found.values())
        match kind:
            case "timeseries":
                assert (names[0], kinds[0]) == ("time", "DateTime('UTC')")
                numbers = kinds[1:]
                if names[1] == "label":  # one number of each label, which LongToWide makes a series
                    assert kinds[1] in TEXT
                    assert len(numbers := kinds[2:]) == 1
                assert all(NUMBERS.match(one) for one in numbers)
            case "flamegraph":
                right = ["valueRight", "selfRight"] if "valueRight" in found else []
                assert names == ["label", "level", "value", "self", *right]
                assert kinds == ["String"] + ["Int64"] * (len(found) - 1)
            case "stat":
                assert all(NUMBERS.match(one) for one in kinds)
            case "table":
                assert all(CELL.match(one) for one in kinds)


@pytest.mark.parametrize(("kind", "query"), PANELS)
def test_every_panel_is_answered_whatever_is_chosen(store: Store, kind: str, query: Any) -> None:
    for client, span, choices in (
        (store.client, WHOLE, {}),
        (store.client, WHOLE, SOME),
        (store.client, NOTHING, {}),
        (store.empty, WHOLE, {**dict.fromkeys(CHOICES, ""), "later": "0"}),
    ):
        found = asked(client, query.sql, span, **choices)
        if kind == "timeseries":
            times = [row["time"] for row in found]
            assert times == sorted(times)
            assert len({(row["time"], row.get("label")) for row in found}) == len(found)
        if kind == "flamegraph":
            check_tree(found)
        if kind == "stat":
            assert len(found) == 1


@pytest.mark.parametrize(("kind", "query"), PANELS)
def test_a_range_so_long_that_minutes_answer_has_the_same_sums(store: Store, kind: str, query: Any) -> None:
    short, long = (asked(store.client, query.sql, span, interval_s=ONE_POINT_S) for span in (WHOLE, LONG))
    assert len(short) == len(long)
    for by_window, by_minute in zip(short, long, strict=True):
        assert by_minute == {
            name: pytest.approx(value) if isinstance(value, float) else value for name, value in by_window.items()
        }


def test_the_range_before_ends_where_the_minutes_of_a_long_range_begin(store: Store) -> None:
    # The run's second 40 is the first of a minute: all of it is in a range that has a part of it, the rest before.
    assert (START + timedelta(seconds=40)).second == 0
    exact = (START + timedelta(seconds=40), START + timedelta(seconds=80))
    inside = START + timedelta(seconds=55)
    for text in (hot_functions_sql.FUNCTIONS, hot_functions.DIFFERENTIAL):
        short, long = (asked(store.client, text, span) for span in (exact, (inside, inside + timedelta(hours=2))))
        assert short
        assert long == [
            {name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()}
            for row in short
        ]


@pytest.mark.parametrize(
    ("what", "by_window", "by_minute"),
    [
        ("load", ["windows", "windows"], ["minutes"]),
        ("endpoints", ["endpoints", "windows"], ["minute_endpoints", "minutes"]),
        ("functions", ["functions", "windows"], ["minute_functions", "minutes"]),
        ("stacks", ["samples", "samples", "batches", "windows"], ["minute_stacks", "minutes"]),
    ],
)
def test_of_windows_and_minutes_only_those_are_read_that_answer(
    store: Store, what: Any, by_window: list[str], by_minute: list[str]
) -> None:
    held = dict(
        store.client.query(
            "SELECT table, sum(rows) FROM system.parts WHERE active AND database = {name:String} GROUP BY table",
            {"name": store.client.database},
        ).result_rows
    )
    for span, tables in ((WHOLE, by_window), (LONG, by_minute)):
        text = f"SELECT * FROM {tiers.CHOSEN.rows(what, tiers.POINTS)}"
        plain = expanded(text, start=span[0], end=span[1], **CHOICES)
        read = store.reader.ask(plain, "Null", tag="", settings={}).read_rows
        assert 0 < read <= sum(held[f"{table}_stored"] for table in tables)


def check_tree(found: Sequence[dict[str, Any]]) -> None:
    """One root, depth first, and no frame less than itself and what is below it."""
    assert [row["level"] for row in found].count(0) == 1
    assert (found[0]["label"], found[0]["level"]) == ("total", 0)
    for before, after in pairwise(found):
        assert 1 <= after["level"] <= before["level"] + 1
    for value, own in (("value", "self"), ("valueRight", "selfRight")):
        if value not in found[0]:
            continue
        for place, row in enumerate(found):
            children = 0
            for below in found[place + 1 :]:
                if below["level"] <= row["level"]:
                    break
                children += below[value] if below["level"] == row["level"] + 1 else 0
            assert row[value] >= row[own] + children  # narrow frames are pruned


def test_marks_have_a_time_and_words(store: Store) -> None:
    for dashboard in DASHBOARDS:
        for mark in dashboard.annotations:
            for client in (store.client, store.empty):
                found = columns(client, mark.query.sql)
                assert TIME.match(found["time"])
                assert (found["text"], found["tags"]) == ("String", "String")
            assert mark.query.format == "table"


@pytest.mark.parametrize("tier", tiers.TIERS, ids=lambda tier: tier.name)
def test_minutes_are_chosen_for_ranges_that_are_longer_than_windows_answer_for(store: Store, tier: tiers.Tier) -> None:
    for longer_s, answers in ((0, "window"), (1, "minute")):
        span = (START, START + timedelta(seconds=tier.raw_s + longer_s))
        assert asked(store.client, tier.sql, span) == [{"tier": answers}]
        text = f"${{{tier.name}:raw}}"
        assert expanded(text, start=span[0], end=span[1]) == answers


def test_what_stands_in_a_text_without_quotes_is_nobody_s_to_choose() -> None:
    unquoted = {name for text in every_sql().values() for name in re.findall(r"\$\{(\w+):raw\}", text)}
    assert unquoted == {choice.name for choice in tiers.HIDDEN}
    for dashboard in DASHBOARDS:
        for one in dashboard.variables:
            if isinstance(one, Choice) and one.name in unquoted:
                assert (one.hidden, one.follows_range) == (True, True)


def test_choices_are_text_and_follow_one_another(store: Store) -> None:
    for name, text in every_sql().items():
        if "/choice/" in name:
            assert set(columns(store.empty, text).values()) <= set(TEXT)
            assert len(columns(store.empty, text)) <= 2
    assert asked(store.client, sql.SERVICES) == [{"service": "shop"}]
    runs = {row["run"]: row["label"] for row in asked(store.client, sql.RUNS)}
    assert list(runs) == ["run-1", "run-0"]
    assert runs["run-1"].endswith(" · failed")
    assert asked(store.client, sql.RUNS, service="other") == []
    assert [row["endpoint"] for row in asked(store.client, sql.ENDPOINTS)] == ["checkout", "search"]
    assert asked(store.client, sql.FUNCTIONS)[0] == {"label": "sweep (shop.py)"}
    assert [row["run"] for row in asked(store.client, comparison_sql.BASELINES)] == ["run-0"]


def test_rates_and_errors_are_what_the_windows_say(store: Store) -> None:
    found = asked(store.client, hot_functions_sql.RATES)
    sums = store.client.query(
        "SELECT sum(scheduled), sum(completed + failed), sum(failed + dropped) FROM windows WHERE run = 'run-1'"
    ).result_rows[0]
    assert sum(row["offered"] for row in found) == pytest.approx(sums[0])
    assert sum(row["achieved"] for row in found) == pytest.approx(sums[1])
    assert sum(row["failed or dropped"] for row in found) == pytest.approx(sums[2])
    assert sums[2] > 0
    errors = asked(store.client, hot_functions_sql.ERRORS, interval_s=3600)
    failed, ended = store.client.query(
        "SELECT sum(failed), sum(completed + failed) FROM windows WHERE run = 'run-1'"
    ).result_rows[0]
    assert {row["label"] for row in errors} == {"search", "checkout"}
    assert min(row["errors"] for row in errors) <= failed / ended <= max(row["errors"] for row in errors)


@pytest.mark.parametrize("endpoint", [ALL, ["search"], ["search", "checkout"]], ids=str)
@pytest.mark.parametrize("interval_s", [1, 30])
def test_latency_is_that_of_the_sketch(store: Store, endpoint: Value, interval_s: int) -> None:
    where = "1=1" if endpoint == ALL else f"endpoint IN {tuple(endpoint)}"
    truth = store.client.query(
        f"SELECT toStartOfInterval(toDateTime(starts_at), INTERVAL {interval_s} second) AS time, {quantile_ms(0.5)}, "
        f"{quantile_ms(0.99)} FROM endpoints WHERE run = 'run-1' AND {where} GROUP BY time ORDER BY time"
    ).result_rows
    found = asked(store.client, hot_functions_sql.LATENCY, interval_s=interval_s, endpoint=endpoint)
    assert [tuple(row.values()) for row in found] == truth


def test_cpu_per_second_adds_up_to_the_functions_cpu_and_tells_the_hottest_apart(store: Store) -> None:
    found = asked(store.client, hot_functions_sql.CPU_PER_SECOND)
    total_s = store.client.query("SELECT sum(self_cpu_us) / 1e6 FROM functions WHERE run = 'run-1'").result_rows[0][0]
    assert sum(row["cpu"] for row in found) == pytest.approx(total_s, rel=1e-6)
    assert any(row["label"] == "sweep (shop.py)" for row in found)
    one = asked(store.client, hot_functions_sql.CPU_PER_SECOND, function=["sweep (shop.py)"])
    assert {row["label"] for row in one} == {"sweep (shop.py)"}
    assert [row for row in found if row["label"] == "sweep (shop.py)"] == one
    few = hot_functions_sql.CPU_PER_SECOND
    for place in (hot_functions_sql.HOT, hot_functions_sql.HOT + 1):
        few = re.sub(rf"\b{place}\b", str(place - hot_functions_sql.HOT + 2), few)
    grouped = asked(store.client, few)
    assert {row["label"] for row in grouped} == {"sweep (shop.py)", "rank (shop.py)", "all other functions"}
    assert sum(row["cpu"] for row in grouped) == pytest.approx(total_s, rel=1e-6)


def test_cpu_per_request_of_the_planted_function_grows_with_the_rate(store: Store) -> None:
    rates = {row["time"]: row["TPS"] for row in asked(store.client, hot_functions_sql.TPS)}
    found = asked(store.client, hot_functions_sql.CPU_PER_REQUEST)
    sweep = {row["time"]: row["cpu"] for row in found if row["label"] == "sweep (shop.py)"}
    low = [cpu for time, cpu in sweep.items() if rates[time] <= min(rates.values()) * 1.2]
    high = [cpu for time, cpu in sweep.items() if rates[time] >= max(rates.values()) * 0.8]
    assert sum(high) / len(high) > 3 * sum(low) / len(low)


def test_the_table_of_functions_is_beside_the_range_before(store: Store) -> None:
    second_half = (START + timedelta(seconds=40), START + timedelta(seconds=80))
    first_half = (START, START + timedelta(seconds=39))
    now = {row["function"]: row for row in asked(store.client, hot_functions_sql.FUNCTIONS, second_half)}
    before = {row["function"]: row for row in asked(store.client, hot_functions_sql.FUNCTIONS, first_half)}
    assert next(iter(now)) == "sweep (shop.py)"
    assert sum(row["share"] for row in now.values()) == pytest.approx(1)
    for name, row in now.items():
        assert row["in the range before"] == pytest.approx(before[name]["CPU per request"])
        assert row["times as much"] == pytest.approx(row["CPU per request"] / row["in the range before"])
    assert asked(store.client, hot_functions_sql.FUNCTIONS, first_half)[0]["times as much"] is None


def pruned_by(share: float, text: str) -> str:
    """A flame graph without the nodes that are narrower than that."""
    return text.replace(f"{sql.PRUNED_SHARE} * any", f"{share} * any")


def test_the_flame_graph_holds_all_cpu_and_names_frames_as_they_are(store: Store) -> None:
    found = asked(store.client, pruned_by(1e-6, hot_functions.FLAME_GRAPH))
    assert found[0]["value"] == sum(us for _, us in stacks(store.client)) * 1000
    labels = {row["label"] for row in found}
    assert {frame(ODD, "odd.py"), "(unattributed)", "sweep (shop.py)"} <= labels
    whole = {row["label"]: row["value"] for row in found if row["label"] == "sweep (shop.py)"}
    search, checkout = (row["value"] for row in found if row["label"] == "sweep (shop.py)")
    assert whole
    assert search != checkout  # one name, two callers: two frames
    assert asked(store.client, hot_functions.FLAME_GRAPH, NOTHING) == [
        {"label": "total", "level": 0, "value": 0, "self": 0}
    ]


def test_the_flame_graph_is_the_tree_that_the_stacks_make(store: Store) -> None:
    ns: dict[tuple[str, ...], int] = {}
    own: dict[tuple[str, ...], int] = {}
    for stack, us in stacks(store.client):
        path = ("total", *(unfold(stack) or ("(unattributed)",)))
        for depth in range(1, len(path) + 1):
            ns[path[:depth]] = ns.get(path[:depth], 0) + us * 1000
        own[path] = own.get(path, 0) + us * 1000
    for share, fewer in ((1e-6, False), (sql.PRUNED_SHARE, True), (0.3, True)):
        text = pruned_by(share, hot_functions.FLAME_GRAPH)
        kept = [path for path in sorted(ns) if ns[path] >= share * ns["total",]]
        assert [tuple(row.values()) for row in asked(store.client, text)] == [
            (path[-1], len(path) - 1, ns[path], own.get(path, 0)) for path in kept
        ]
        assert (len(kept) < len(ns)) == fewer


def test_a_differential_graph_leaves_out_what_is_narrow_in_the_width_of_both_sides(store: Store) -> None:
    half = (START + timedelta(seconds=40), START + timedelta(seconds=80))

    def pruned(share: float) -> list[dict[str, Any]]:
        return asked(store.client, pruned_by(share, hot_functions.DIFFERENTIAL), half)

    def width(row: dict[str, Any]) -> int:
        return int(row["value"] + row["valueRight"])

    everything, some = pruned(0), pruned(0.05)
    check_tree(some)
    # Figures are cut to whole ns, by which a frame on the border may be either.
    border = 0.05 * width(everything[0])
    assert {row["label"] for row in everything if width(row) > border + 4} <= {row["label"] for row in some}
    assert all(width(row) > border - 4 for row in some)
    assert 1 < len(some) < len(everything)


def test_paths_are_in_the_order_of_their_frames(store: Store) -> None:
    path: list[str] = []
    paths = []
    for row in asked(store.client, hot_functions.FLAME_GRAPH):
        path = [*path[: row["level"]], row["label"]]
        paths.append(path)
    assert paths == sorted(paths)


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        (hot_functions.DIFFERENTIAL, ("run-1", range(40))),
        (comparison_sql.DIFFERENTIAL, ("run-0", range(40, SECONDS))),
    ],
    ids=["the range before", "the baseline"],
)
def test_the_differential_has_each_side_per_request(store: Store, text: str, beside: tuple[str, range]) -> None:
    found = asked(store.client, text, (START + timedelta(seconds=40), START + timedelta(seconds=80)))
    counts = []
    for column, (run, seconds) in (("value", beside), ("valueRight", ("run-1", range(40, SECONDS)))):
        us = sum(us for _, us in stacks(store.client, seconds, run))
        ((requests,),) = store.client.query(
            f"SELECT sum(completed + failed) FROM windows WHERE run = '{run}' AND instances > 0 "
            f"AND window - {FIRST[run]} BETWEEN {seconds[0]} AND {seconds[-1]}"
        ).result_rows
        assert found[0][column] == pytest.approx(us * 1000 / requests, rel=1e-6)
        counts.append(requests)
    assert counts[0] != counts[1], "else nobody sees whose requests they are"


def test_a_differential_without_anything_beside_has_one_side(store: Store) -> None:
    alone = asked(store.client, hot_functions.DIFFERENTIAL, WHOLE)
    assert {row["value"] for row in alone} == {0}
    assert alone[0]["valueRight"] > 0


def test_a_run_beside_its_baseline_is_by_the_time_since_each_began(store: Store) -> None:
    found = asked(store.client, comparison_sql.RATES)
    sides = {
        side: {row["time"]: row["value"] for row in found if row["label"] == side} for side in ("this run", "baseline")
    }
    assert sides["this run"].keys() == sides["baseline"].keys()
    assert len(sides["this run"]) == SECONDS
    ratio = {round(sides["this run"][time] / sides["baseline"][time], 2) for time in sides["this run"]}
    assert ratio == {1.0, round(328 / 320, 2)}  # the same plan and seed; timeouts at the top only
    functions = {row["function"]: row for row in asked(store.client, comparison_sql.FUNCTIONS)}
    assert next(iter(functions)) == "sweep (shop.py)"
    assert functions["sweep (shop.py)"]["ratio"] == pytest.approx(2, rel=0.1)
    assert functions["rank (shop.py)"]["ratio"] == pytest.approx(1, rel=0.1)
    ((later,),) = (row.values() for row in asked(store.client, comparison_sql.LATER_US))
    assert later == CHOICES["later"]
    assert asked(store.client, comparison_sql.LATER_US, baseline="nobody") == [{"later": "0"}]
    runs = asked(store.client, comparison_sql.RUNS)
    assert [row["side"] for row in runs] == ["this run", "baseline"]
    assert [(row["to_ms"] - row["from_ms"]) / 1000 for row in runs] == [SECONDS, SECONDS]
    part = (START + timedelta(seconds=10), START + timedelta(seconds=19))
    assert {row["time"] for row in asked(store.client, comparison_sql.RATES, part)} == {
        (part[0] + timedelta(seconds=n)).replace(tzinfo=None) for n in range(10)
    }


def test_endpoints_stand_side_by_side_with_the_sketchs_p99(store: Store) -> None:
    found = {row["endpoint"]: row for row in asked(store.client, comparison_sql.ENDPOINTS)}
    for run, side in (("run-1", "this run"), ("run-0", "baseline")):
        for endpoint, ended, failed, p99 in store.client.query(
            f"SELECT endpoint, sum(completed + failed), sum(failed), {quantile_ms(0.99)} FROM endpoints "
            f"WHERE run = '{run}' GROUP BY endpoint"
        ).result_rows:
            assert found[endpoint][f"TPS, {side}"] == pytest.approx(ended / SECONDS)
            assert found[endpoint][f"errors, {side}"] == pytest.approx(failed / ended)
            assert found[endpoint][f"p99, {side}"] == pytest.approx(p99)


def test_health_counts_what_is_missing_late_and_lost(store: Store) -> None:
    (windows,) = asked(store.client, health_sql.WINDOWS)
    assert windows == {
        "windows": SECONDS,
        "missing": 0,
        "without a profile": 2,
        "joined again, late": 0,
        "late, not joined yet": 1,
    }
    (losses,) = asked(store.client, health_sql.LOSSES, (START, START + timedelta(seconds=SECONDS + 1)))
    assert (losses["dead letters"], losses["dead letters of nobody"]) == (1, 1)
    states = [(row["check"], row["state"]) for row in asked(store.client, health_sql.CHECKS)]
    assert states == [("I0", "holds"), ("I1", "broken"), ("I2", "unknown")]
    assert [row["producer"] for row in asked(store.client, health_sql.PRODUCERS)] == ["load-1"]
    letters = asked(store.client, health_sql.DEAD_LETTERS, (START, START + timedelta(seconds=SECONDS + 1)))
    assert {row["run"] for row in letters} == {"run-1", "(not known)"}
    closed = asked(store.client, health_sql.CLOSED_BY, interval_s=3600)
    assert [(row["label"], row["windows"]) for row in closed] == [("producers", SECONDS)]


def test_a_run_that_was_broken_off_is_told_wherever_runs_are(store: Store) -> None:
    started = RunStarted(
        run_id="killed", service="bench", target="t", started_at_us=WINDOW * WINDOW_US, window_us=WINDOW_US,
        partitions=1, engine="wire", plan={},
    )  # fmt: skip
    ClickHouseStore(store.client).write_events([started], [(WINDOW + 9) * WINDOW_US])
    try:
        (chosen,) = asked(store.client, sql.RUNS, service="bench")
        assert chosen["label"].endswith(" · broken off")
        (end,) = asked(store.client, hot_functions_sql.ENDS, run="killed")
        heard_at = (START + timedelta(seconds=9)).replace(tzinfo=None)
        assert (end["time"], end["text"]) == (heard_at, "Run broken off")
        (run,) = (row for row in asked(store.client, comparison_sql.RUNS, run="killed") if row["side"] == "this run")
        assert (run["verdict"], run["to_ms"] - run["from_ms"]) == ("broken off", 9_000)
    finally:
        store.client.command("DELETE FROM events_stored WHERE run = 'killed'")


def test_stages_ends_and_findings_are_marked(store: Store) -> None:
    stages = asked(store.client, hot_functions_sql.STAGES)
    assert len(stages) == 16
    assert all(row["time"] < row["timeEnd"] for row in stages)
    inside = (START + timedelta(seconds=2), START + timedelta(seconds=3))
    assert [row["text"] for row in asked(store.client, hot_functions_sql.STAGES, inside)] == ["map[0]"]
    (end,) = asked(store.client, hot_functions_sql.ENDS)
    assert end["text"] == "Run finished: failed"
    assert asked(store.client, hot_functions_sql.ENDS, inside) == []
    early, at_end = asked(store.client, hot_functions_sql.FINDINGS)
    assert (early["text"], early["time"]) == ("hot: rank is hotter", end["time"] - timedelta(seconds=20))
    assert (at_end["text"], at_end["time"]) == ("growth: sweep grows", end["time"])


def test_a_rule_gives_texts_as_labels_and_one_number(store: Store) -> None:
    for rule in alert_rules.RULES:
        for client in (store.client, store.empty):
            kinds = list(columns(client, rule.sql).items())
            assert all(kind in TEXT for _, kind in kinds[:-1])
            assert [name for name, _ in kinds[:2]] == ["run", "service"]
            assert kinds[-1][1] == "Float64"
        assert asked(store.empty, rule.sql) == []


def fired(client: Client, uid: str, now: datetime) -> list[str]:
    rule = next(one for one in alert_rules.RULES if one.uid == uid)
    span = (now - timedelta(seconds=rule.looks_back_s), now)
    found = asked(client, rule.sql, span)
    return [row["run"] for row in found if list(row.values())[-1] > rule.above]


def test_rules_fire_for_what_they_are_about_and_an_idle_system_is_silent(store: Store) -> None:
    end = WHOLE[1]
    assert fired(store.client, "loadflame-error-rate", end) == ["run-1"]
    assert fired(store.client, "loadflame-p99", end) == ["run-1"]
    for rule in alert_rules.RULES:
        assert fired(store.client, rule.uid, end + timedelta(hours=2)) == []
        assert rule.as_json()["noDataState"] == "OK"


def test_a_rule_reads_rows_of_the_time_only_that_it_looks_back(store: Store) -> None:
    for rule in alert_rules.RULES:
        text = expanded(rule.sql, start=WHOLE[0], end=WHOLE[1])
        plan = "\n".join(line for (line,) in store.client.query(f"EXPLAIN indexes = 1 {text}").result_rows)
        reads = plan.split("ReadFromMergeTree (")[1:]
        assert len(reads) > 1
        by_run = [read for read in reads if "events_stored" not in read and "by_time" not in read]
        # The view of runs asks when one that has not ended was heard of last.
        assert len(by_run) <= rule.sql.count("FROM runs"), plan


def test_a_run_that_is_on_and_not_joined_is_lag_and_one_that_ended_is_none(store: Store) -> None:
    on = Synthetic(
        run="run-on", first_window=WINDOW + 50_000, stages=[Stage("hold", "hold", "hold", 5, 50)], reason=None
    )
    on.write(ClickHouseStore(store.client))
    last = datetime.fromtimestamp(WINDOW + 50_005, UTC)
    assert fired(store.client, "loadflame-pipeline-lag", last + timedelta(seconds=20)) == []
    assert fired(store.client, "loadflame-pipeline-lag", last + timedelta(seconds=40)) == ["run-on"]
    assert fired(store.client, "loadflame-pipeline-lag", last + timedelta(seconds=1000)) == []
    assert fired(store.client, "loadflame-pipeline-lag", WHOLE[1] + timedelta(seconds=60)) == []


def test_a_function_that_got_dearer_is_found_and_one_at_a_lower_rate_is_not(store: Store) -> None:
    first = WINDOW + 100_000
    low, high = 10, 30

    def costs(tps: float, stack: str, cost: Callable[[float], float]) -> float:
        return 10 * cost(tps) * (tps / low if "sweep" in stack else 1)

    grows = {stack: partial(costs, stack=stack, cost=cost) for stack, cost in shop_costs(planted=False).items()}
    for run, before, after in (("run-dearer", low, high), ("run-slower", high, low)):
        stages = [Stage("before", "before", "hold", 60, before), Stage("after", "after", "hold", 300, after)]
        written = ClickHouseStore(store.client)
        Synthetic(run=run, first_window=first, stages=stages, costs=grows).write(written)
        written.write_minutes(written.unmade_minutes())
    now = datetime.fromtimestamp(first + 360, UTC)
    rule = next(one for one in alert_rules.RULES if one.uid == "loadflame-function-cost")
    found = asked(store.client, rule.sql, (now - timedelta(seconds=rule.looks_back_s), now))
    dear = {(row["run"], row["function"]) for row in found if row["times"] > rule.above}
    assert dear == {("run-dearer", "sweep (shop.py)")}
    assert "run-slower" not in {row["run"] for row in found}


def test_variables_are_quoted_and_only_as_the_data_source_can_take_them_out() -> None:
    for name, text in every_sql().items():
        for variable in re.findall(r"\$\{?(\w+)[^}]?", text):
            known = variable.startswith("__") or variable in CHOICES or variable in {one.name for one in tiers.HIDDEN}
            assert known, f"{name}: {variable}"
        # The second argument of $__conditionalAll is the one place for a variable without quotes.
        rest = re.sub(
            r"\$\{\w+:singlequote\}|\$\{rows_of_sketches:raw\}_|_by_\$\{tier_of_\w+:raw\}"
            r"|\$\{__(from|to):date:seconds\}|\$__\w+|, \$\w+\)",
            "",
            text,
        )
        assert "$" not in rest, f"{name}: {rest}"
        assert "[[" not in text  # Grafana's old way to write a variable


def test_no_text_of_a_dashboard_holds_a_secret_and_the_only_address_is_that_of_our_page() -> None:
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard.as_json())
        assert "password" not in text
        assert set(re.findall(r"\w+://[^\"/]*", text)) == {"http://127.0.0.1:8790"}
