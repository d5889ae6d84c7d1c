"""Which defects are planted together in one service, and how that service is asked.

A run costs a quarter of a minute beside its load, so defects that leave each other alone share one: each counts as a
run for its kind, and the functions beside them must not be accused. Kept apart is what would hide something else: a
convoy makes every request wait, and what grows with time is no company for a prediction of the limit, which is measured
in a few seconds. A slow branch and a slow downstream have an endpoint each, for the slowest requests of an endpoint
have one explanation.
"""

from dataclasses import dataclass

TOP_TPS, LOWEST_TPS = 200, 25
"""The rates between which services are asked; a growing cost is drawn for the highest."""


@dataclass(frozen=True, slots=True)
class Design:
    """How services are asked, in requests per second and seconds; `limit_s` is how long a twin's limit is measured.

    A drift is told from 20 warm minutes on, of which a tenth is taken for warming up, and the first and the last minute
    are not whole: 23 and a half. As a service that leaks is hardly busy, `together` of them are soaked at once. Who
    waits in a convoy is slow for some 30 ms, so its hold is longer: slow requests are to be seen a few dozen times.
    """

    levels_tps: tuple[int, ...] = (LOWEST_TPS, 50, 100, TOP_TPS)
    visits: int = 4
    each_s: float = 4.0
    settle_s: float = 1.0
    mix_tps: int = 150
    mix_visits: int = 8
    hold_tps: int = 100
    hold_s: float = 64.0
    long_hold_s: float = 112.0
    soak_tps: int = 20
    soak_s: float = 1410.0
    together: int = 4
    pool_tps: int = 150
    pool_s: float = 120.0
    limit_s: float = 8.0

    @property
    def words(self) -> str:
        """For people."""
        rates = ", ".join(map(str, self.levels_tps))
        return (
            f"levels: {rates} requests/s {self.visits} times for {self.each_s:g} s each, in random order; mix: "
            f"{self.mix_tps} requests/s {self.mix_visits} times for {self.each_s:g} s, the endpoints' weights swinging"
            f"; hold: {self.hold_tps} requests/s at random moments for {self.hold_s:g} s; long-hold: for "
            f"{self.long_hold_s:g} s; soak: {self.soak_tps} requests/s for {self.soak_s / 60:g} min, {self.together} "
            f"services at once; pool: {self.pool_tps} requests/s for {self.pool_s / 60:g} min"
        )

    def stage(self, name: str, seed: int) -> dict[str, object]:
        """One stage of a plan."""
        each = {"each": f"{self.each_s:g}s", "settle": f"{self.settle_s:g}s", "seed": seed}
        return {"name": name} | {
            "levels": {"levels": list(self.levels_tps), "visits": self.visits, **each},
            "mix": {"levels": [self.mix_tps], "visits": self.mix_visits, **each, "modulate": True},
            "hold": {"hold": self.hold_tps, "for": f"{self.hold_s:g}s"},
            "long-hold": {"hold": self.hold_tps, "for": f"{self.long_hold_s:g}s"},
            "soak": {"soak": self.soak_tps, "for": f"{self.soak_s:g}s"},
            "pool": {"hold": self.pool_tps, "for": f"{self.pool_s:g}s"},
        }[name]

    def requests(self, stages: tuple[str, ...]) -> int:
        """How many a run of these stages makes."""
        of = {
            "levels": sum(self.levels_tps) * self.visits * self.each_s,
            "mix": self.mix_tps * self.mix_visits * self.each_s,
            "hold": self.hold_tps * self.hold_s,
            "long-hold": self.hold_tps * self.long_hold_s,
            "soak": self.soak_tps * self.soak_s,
            "pool": self.pool_tps * self.pool_s,
        }
        return round(sum(of[name] for name in stages))

    def seconds(self, stages: tuple[str, ...]) -> float:
        """How long a run asks."""
        of = {
            "levels": self.each_s * self.visits * len(self.levels_tps),
            "mix": self.each_s * self.mix_visits,
            "hold": self.hold_s,
            "long-hold": self.long_hold_s,
            "soak": self.soak_s,
            "pool": self.pool_s,
        }
        return sum(of[name] for name in stages)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Services with these defects at once. `rest_us` is what the innocent functions cost together, from and to.

    `threads` is the share of seeds with a server of many threads; the others have one, and are without the kinds
    `threads_only`. `apart`: each defect has an endpoint of its own, else every request meets all of them. `random`:
    requests come at random moments, as of visitors who know nothing of each other, else at even ones.
    """

    kinds: tuple[str, ...]
    stages: tuple[str, ...]
    rest_us: tuple[float, float] = (600.0, 1000.0)
    threads: float = 0.5
    threads_only: frozenset[str] = frozenset()
    apart: bool = False
    random: bool = False


BUNDLES = {
    "scan": Bundle(("superlinear", "linear", "endpoint"), ("levels", "mix"), rest_us=(250.0, 450.0)),
    "garbage": Bundle(("garbage", "cache"), ("levels",)),
    # The branch is to be a part of what the service does, else whoever waits in line sees it as well.
    "tail": Bundle(
        ("branch", "downstream"),
        ("hold",),
        rest_us=(1000.0, 1400.0),
        threads=0.75,
        threads_only=frozenset({"downstream"}),
        apart=True,
        random=True,
    ),
    "convoy": Bundle(("convoy",), ("long-hold",), threads=1.0, random=True),
    "soak": Bundle(("leak", "cache"), ("soak",)),
    # One function that is slower in some of the runs; which ones is the affair of `pool`.
    "pool": Bundle(("slower-10",), ("pool",), rest_us=(3000.0, 3600.0), random=True),
}
