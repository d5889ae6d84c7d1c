"""The SQL by which slow requests are compared with ordinary ones; it sees views only, as `views.queries` does."""

from schemas.censoring import UNANSWERED_SQL
from views.placing import AMONG, AMONG_SQL
from views.queries import Query

_PLACE = {"run": "run-1", **AMONG}
_LEVEL = {**_PLACE, "stages": ["hold"]}
_HERE = f"(run = {{run:String}}, first = {{first:UInt64}}, last = {{last:UInt64}}) WHERE {AMONG_SQL}"
# From dispatch to completion: what the service could do something about.
_TOOK = "toInt64(assumeNotNull(latency_us)) - toInt64(dispatch_lag_us) AS took"
_JUDGED = f"(isNull(error) OR error = '' OR {UNANSWERED_SQL})"
_OF_LEVEL = f"FROM requests_within{_HERE} AND stage IN {{stages:Array(String)}} AND isNotNull(latency_us) AND {_JUDGED}"
_WALL = f"FROM samples_within{_HERE} AND mode = 'wall'"
_AT_US, _SCHEDULED_US = "toUnixTimestamp64Micro(sampled_at)", "toUnixTimestamp64Micro(scheduled_at)"


def _of_endpoint(name: str, otherwise: int) -> str:
    """What a parameter says of a row's endpoint; looked up for each name of a block, not for each row."""
    return f"transform(endpoint, {{endpoints:Array(String)}}, {{{name}:Array(Int64)}}, toInt64({otherwise}))"


TOOK = Query(
    "how long requests took",
    # By bucket of the sketch.
    f"WITH {_TOOK} SELECT endpoint, toInt32(ceil(log(greatest(took, 1)) / log({{gamma:Float64}}) - 1e-9)) AS bucket, "
    f"count() AS requests {_OF_LEVEL} GROUP BY endpoint, bucket ORDER BY endpoint, bucket",
    {**_LEVEL, "gamma": 1.02},
)
INTERVALS = Query(
    "intervals of requests",
    # Of some endpoints, slow ones and the middle half at once: `side` is twice the place of the endpoint, counted from
    # 0, and one more for slow ones. Where there are too many a fair part of them, always the same.
    f"WITH {_TOOK}, took > {_of_endpoint('slow_us', 0)} AS is_slow "
    f"SELECT toUInt16({_of_endpoint('sides', 0)} + is_slow) AS side, "
    f"{_SCHEDULED_US} + toInt64(dispatch_lag_us) AS starts_us, starts_us + took AS ends_us "
    f"{_OF_LEVEL} AND endpoint IN {{endpoints:Array(String)}} "
    f"AND (is_slow OR (took > {_of_endpoint('low_us', 0)} AND took <= {_of_endpoint('high_us', 0)})) "
    f"AND intHash64({_SCHEDULED_US}) % if(is_slow, {_of_endpoint('thin_slow', 1)}, {_of_endpoint('thin_middle', 1)}) "
    "= 0",
    {
        **_LEVEL,
        "endpoints": ["search"],
        "sides": [0],
        "slow_us": [100_000],
        "low_us": [5_000],
        "high_us": [9_000],
        "thin_slow": [1],
        "thin_middle": [1],
    },
)
EVERYONE = Query(
    "intervals of all requests",
    # By the place of the endpoint, -1 for those that are not compared. A fair part is another than that of
    # `INTERVALS`: else those of a group would weigh more among all.
    f"WITH {_TOOK} SELECT toInt16({_of_endpoint('places', -1)}) AS place, "
    f"{_SCHEDULED_US} + toInt64(dispatch_lag_us) AS starts_us, starts_us + took AS ends_us "
    f"{_OF_LEVEL} AND intHash64({_SCHEDULED_US} + 1) % {{thin:UInt64}} = 0",
    {**_LEVEL, "endpoints": ["search"], "places": [0], "thin": 1},
)
TICK_ROWS = Query("rows of ticks", f"SELECT count() AS found {_WALL}", _PLACE)
TICKS = Query(
    "ticks of the wall clock",
    f"SELECT cityHash64(instance) AS process, {_AT_US} AS at_us, weight_us, stack_id "
    f"{_WALL} AND intHash64({_AT_US}) % {{thin:UInt64}} = 0",
    {**_PLACE, "thin": 1},
)
TEXTS = Query(
    "texts of stacks",
    "SELECT stack_id, any(stack) AS stack FROM stack_texts "
    "WHERE run = {run:String} AND stack_id IN {stacks:Array(UInt64)} GROUP BY stack_id",
    {"run": "run-1", "stacks": [1]},
)
ALL: tuple[Query, ...] = (TOOK, INTERVALS, EVERYONE, TICK_ROWS, TICKS, TEXTS)
