"""Every SQL text by which reports read which endpoint's requests the sampled threads served."""

from views.queries import BLOCKS, IN_BLOCKS, OF_BLOCK, Query

SERVED = Query("samples joined with requests", "SELECT samples FROM served(run = {run:String})", {"run": "run-1"})
ENDED = Query(
    "requests that ended",
    "SELECT endpoint, groupArray(block) AS blocks, groupArray(done) AS requests FROM ("
    f"SELECT endpoint, {OF_BLOCK} AS block, sum(completed + failed) AS done FROM endpoints_within{IN_BLOCKS} "
    "WHERE block >= 0 GROUP BY endpoint, block) GROUP BY endpoint ORDER BY endpoint",
    BLOCKS,
)
PAID = Query(
    "stacks by endpoint",
    "SELECT stack, endpoint, blocks, samples, cpu_us FROM ("
    "SELECT stack_id, endpoint, groupArray(block) AS blocks, groupArray(seen) AS samples, groupArray(us) AS cpu_us "
    f"FROM (SELECT stack_id, endpoint, {OF_BLOCK} AS block, sum(samples) AS seen, sum(cpu_us) AS us "
    f"FROM paid_within{IN_BLOCKS} WHERE block >= 0 GROUP BY stack_id, endpoint, block) "
    "GROUP BY stack_id, endpoint) AS counted "
    "LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE run = {run:String}) AS texts USING (stack_id) "
    "ORDER BY stack, endpoint",
    BLOCKS,
)
ALL: tuple[Query, ...] = (SERVED, ENDED, PAID)
