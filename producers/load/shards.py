"""A plan that several loads share. Pure."""

import re
from dataclasses import dataclass

from producers.load.plan_errors import PlanError

_FORM = re.compile(r"(\d{1,4})/(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` loads that share a plan, `index` from 0: it has the arrivals k with k % count == index.

    They are due when they are due in the whole, so the shards together are the plan, exactly.
    """

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    @property
    def is_whole(self) -> bool:
        """Whether nobody shares the plan."""
        return self.count == 1


WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """Read `2/8`, the second of eight. Raises PlanError."""
    match = _FORM.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise PlanError(f"shard {text!r} is none; write 2/8 for the second of eight")
    return Shard(int(match[1]) - 1, int(match[2]))
