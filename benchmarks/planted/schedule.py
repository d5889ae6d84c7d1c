"""Which run comes next: the one of which least was run, of what it takes, that still fits into the time.

Runs that could not be judged are made up for, but do not hold up the others: on a busy machine they may be many. Two at
once, on two cores, make each other's generators late and could not be judged either.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.figures import clean_runs
from benchmarks.planted.pool import RUNS, turn_of
from benchmarks.planted.results import Result, Task

BESIDE_S, TWIN_S = 28.0, 25.0
"""What a run takes beside the time of its load, and what measuring the limit of a twin takes, until runs tell."""
PREDICTIONS = 12
SOAKED_CLEAN = 16
"""Of so many services that are soaked one is clean."""


@dataclass(frozen=True, slots=True)
class Goal:
    """So many runs that can be judged of the services of a bundle, with their defects or without."""

    bundle: str
    side: str
    runs: int

    @property
    def words(self) -> str:
        """For people."""
        return self.bundle if self.side == "planted" else f"{self.bundle}, {self.side}"


GOALS = (
    # A third of the services that scan has a growth of 1.4; a quarter of the tails has one thread, and no downstream.
    Goal("scan", "planted", 45),
    Goal("garbage", "planted", 30),
    Goal("tail", "planted", 40),
    Goal("convoy", "planted", 30),
    Goal("scan", "clean", 30),
    Goal("garbage", "clean", 25),
    Goal("tail", "clean", 27),
    Goal("convoy", "clean", 16),
    # A sixteenth of what is soaked is clean: with those above 100 services. A half of the pool's runs is clean as well,
    # ten of one service, and not among them.
    Goal("soak", "all", 32),
    Goal("pool", "all", 3 * RUNS),
)
"""What a whole campaign is: 30 runs a defect, 100 services without one, and three services compared."""


def done(goal: Goal, results: Sequence[Result]) -> int:
    """Runs that count."""
    return sum(one.judged and _counts(goal, one.task) for one in results)


def _counts(goal: Goal, task: Task) -> bool:
    return task.bundle == goal.bundle and goal.side in ("all", task.side)


def seconds_of(goal: Goal, results: Sequence[Result], design: Design) -> float:
    """What a run of it takes: as those before, else as reckoned."""
    took = [one.took_s for one in results if _counts(goal, one.task)]
    reckoned = design.seconds(BUNDLES[goal.bundle].stages) + BESIDE_S
    return median(took) if took else reckoned / batch_of(goal, design)


def batch_of(goal: Goal, design: Design) -> int:
    """How many services are run at once."""
    return design.together if goal.bundle == "soak" else 1


def next_tasks(
    results: Sequence[Result], design: Design, left_s: float, *, first_seed: int = 1, only: Collection[str] = ()
) -> list[Task]:
    """The runs to be made at once; none when nothing is left that fits into the time."""
    fit = [
        goal
        for goal in GOALS
        if (not only or goal.bundle in only)
        and done(goal, results) < goal.runs
        and seconds_of(goal, results, design) * batch_of(goal, design) <= left_s
    ]
    goal = min(fit, key=lambda goal: sum(_counts(goal, one.task) for one in results) / goal.runs, default=None)
    if goal is None:
        return []
    if goal.bundle == "pool":
        seed, side = turn_of(done(goal, results))
        return [Task("pool", seed, side, turn=sum(one.task.bundle == "pool" for one in results))]
    seeds = [one.task.seed for one in results if _counts(goal, one.task)]
    following = max(seeds, default=first_seed - 1) + 1
    return [
        Task(goal.bundle, seed, _side(goal, seed)) for seed in range(following, following + batch_of(goal, design))
    ]  # fmt: skip


def _side(goal: Goal, seed: int) -> str:
    if goal.side != "all":
        return goal.side
    return "clean" if seed % SOAKED_CLEAN == 0 else "planted"


def to_predict(task: Task, results: Sequence[Result]) -> bool:
    """Whether a run's prediction is still to be held against what the twin does."""
    predicted = sum(one.twin_tps is not None for one in results)
    return task.bundle == "scan" and task.side == "planted" and predicted < PREDICTIONS


def minutes_left(results: Sequence[Result], design: Design) -> dict[Goal, float]:
    """Minutes of machine that what is left of each goal takes."""
    return {
        goal: max(0, goal.runs - done(goal, results)) * seconds_of(goal, results, design) / 60 for goal in GOALS
    }  # fmt: skip


def progress(results: Sequence[Result]) -> str:
    """How far each kind is, in one line."""
    kinds = Counter(
        f"{plant.kind} {plant.effect:g}" for one in results if one.judged for plant in one.plants
    )  # fmt: skip
    each = ", ".join(f"{name}: {count}" for name, count in sorted(kinds.items()))
    goals = ", ".join(f"{goal.words} {done(goal, results)}/{goal.runs}" for goal in GOALS)
    clean = sum(one.judged for one in clean_runs(results))
    return f"{goals}; clean in all {clean}/100; defects seen: {each or 'none'}"
