"""Parts of a plan, as they are named on the command line."""

import pytest

from producers.load.plan_errors import PlanError
from producers.load.shards import WHOLE, Shard, parse_shard


def test_shards_count_from_one_for_people() -> None:
    assert parse_shard("2/8") == Shard(1, 8)
    assert parse_shard("1/1") == WHOLE


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_said(text: str) -> None:
    with pytest.raises(PlanError, match="write 2/8 for the second of eight"):
        parse_shard(text)
