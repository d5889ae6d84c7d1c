"""Which runs come next: those of which least was run, of what it takes, that still fit into the time.

As many are made at once as the machine has cores for, about equally long ones. The pool's have it to themselves, and so
have those whose twin is asked for its limit as well.

Runs that could not be judged are made up for, but do not hold up the others: on a busy machine they may be many.
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


def next_tasks(
    results: Sequence[Result], design: Design, left_s: float, *, first_seed: int = 1, only: Collection[str] = ()
) -> list[Task]:
    """The runs to be made at once; none when nothing is left that fits into the time."""
    goals = [goal for goal in GOALS if (not only or goal.bundle in only) and _lasts_s(goal, results, design) <= left_s]
    tasks: list[Task] = []
    room = design.cores
    while True:
        fit = [
            goal
            for goal in goals
            if done(goal, results) + _among(goal, tasks) < goal.runs
            and _cores(goal, results, design) <= room
            and (not tasks or _last_alike(goal.bundle, tasks[0].bundle, design))
        ]
        asked = [*(one.task for one in results), *tasks]
        goal = min(fit, key=lambda goal: _among(goal, asked) / goal.runs, default=None)
        if goal is None:
            return tasks
        tasks.append(_following(goal, results, asked, first_seed))
        room = round(room - _cores(goal, results, design), 3)


def _predicts(goal: Goal, results: Sequence[Result]) -> bool:
    predicted = sum(one.twin_tps is not None for one in results)
    return (goal.bundle, goal.side) == ("scan", "planted") and predicted < PREDICTIONS


def to_predict(task: Task, results: Sequence[Result]) -> bool:
    """Whether a run's prediction is still to be held against what the twin does."""
    return any(_counts(goal, task) and _predicts(goal, results) for goal in GOALS)


def _cores(goal: Goal, results: Sequence[Result], design: Design) -> float:
    return design.cores if _predicts(goal, results) else BUNDLES[goal.bundle].cores


def _lasts_s(goal: Goal, results: Sequence[Result], design: Design) -> float:
    twin_s = TWIN_S if _predicts(goal, results) else 0.0
    return design.seconds(BUNDLES[goal.bundle].stages) + BESIDE_S + twin_s


def _last_alike(bundle: str, other: str, design: Design) -> bool:
    shorter_s, longer_s = sorted(design.seconds(BUNDLES[one].stages) for one in (bundle, other))
    return longer_s <= 2 * shorter_s


def _among(goal: Goal, tasks: Sequence[Task]) -> int:
    return sum(_counts(goal, task) for task in tasks)


def _following(goal: Goal, results: Sequence[Result], asked: Sequence[Task], first_seed: int) -> Task:
    if goal.bundle == "pool":
        seed, side = turn_of(done(goal, results))
        return Task("pool", seed, side, turn=_among(goal, asked))
    seed = max((one.seed for one in asked if _counts(goal, one)), default=first_seed - 1) + 1
    side = "clean" if seed % SOAKED_CLEAN == 0 else "planted"
    return Task(goal.bundle, seed, side if goal.side == "all" else goal.side)


def seconds_of(goal: Goal, results: Sequence[Result], design: Design) -> float:
    """What a run of it takes of the machine's time: as those before, else as reckoned."""
    took = [one.took_s for one in results if _counts(goal, one.task)]
    return median(took) if took else _lasts_s(goal, results, design) * _cores(goal, results, design) / design.cores


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
