"""Work as services do it, as source text: each a body that is given `key` and leaves `result`, a short string.

The costs are those of one step on a slow core of 2026: sizes are drawn by them, and nothing else rests on them.
"""

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Work:
    """`us_a_step` microseconds for each of `{steps}` steps of a body."""

    us_a_step: float
    text: str

    def body(self, us: float) -> str:
        """The body that takes about so long."""
        return dedent(self.text).strip().replace("{steps}", str(max(1, round(us / self.us_a_step))))


WORKS = {
    "hashing": Work(
        0.62,
        """
        digest = key.encode()
        for number in range({steps}):
            digest = hashlib.sha256(digest + b"%d" % number).digest()
        result = digest.hex()[:8]
        """,
    ),
    "json": Work(
        2.25,
        """
        rows = [{"number": number, "key": key, "cents": number * 7 % 13} for number in range({steps})]
        result = json.dumps(json.loads(json.dumps(rows)))[-8:]
        """,
    ),
    "sorting": Work(
        0.42,
        """
        rows = [(number * 7919 % 1009, key) for number in range({steps})]
        rows.sort(reverse=True)
        result = str(rows[0][0])
        """,
    ),
    "strings": Work(
        0.36,
        """
        page = "".join([f"<li>{number * 7 % 13} {key}</li>" for number in range({steps})])
        result = page[-8:]
        """,
    ),
    "counting": Work(
        0.50,
        """
        counts = {}
        for number in range({steps}):
            word = key + str(number % 37)
            counts[word] = counts.get(word, 0) + 1
        result = max(counts, key=counts.__getitem__)
        """,
    ),
    "scanning": Work(
        0.09,
        """
        total = 0
        for number in range({steps}):
            total += CATALOGUE[number % 500]
        result = str(total)
        """,
    ),
}
SCAN_US = WORKS["scanning"].us_a_step
