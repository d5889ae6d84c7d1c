"""The verdict on a run: whether it may be judged at all, and then whether it held its thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.evidence.limits import LIMITED_SHARE

Verdict = Literal["passed", "failed", "inconclusive", "generator-limited", "host-limited", "aborted"]


@dataclass(frozen=True, slots=True)
class Course:
    """What the verdict rests on. `reason` is that of the run's end, empty while it has not ended: because it is on, or
    `is_broken_off`.

    `windows` are those of the load, of which some are limited; `lost_rows` are outcomes that never reached the store;
    of the `load_processes` some `died`; `thresholds` says of each whether it held, None when it could not be judged;
    `broken` are the delivery invariants that do not hold, a sentence each.
    """

    reason: str
    windows: int
    generator_limited: int
    host_limited: int
    ended_requests: int
    lost_rows: int
    thresholds: Sequence[bool | None]
    load_processes: int = 1
    died: int = 0
    broken: Sequence[str] = ()
    is_broken_off: bool = False
    observed: bool = False
    """Whether nobody sent the requests: there was no plan to go through."""


def judge(course: Course) -> tuple[Verdict, str]:
    """The verdict and why, in one sentence.

    A run that the generator or the host limited says nothing of the service, so that comes before its thresholds; a
    broken threshold comes before missing data, because what is missing cannot mend it.
    """
    verdict, why = _untrusted(course) or _unfit(course) or _judged(course)
    return verdict, why


def _untrusted(course: Course) -> tuple[Verdict, str] | None:
    if course.reason == "aborted":
        return "aborted", "the run was ended before its plan was through"
    if course.reason == "error":
        return "inconclusive", "a part of loadflame failed during the run"
    if course.broken:
        more = f"; and {len(course.broken) - 1} more" if len(course.broken) > 1 else ""
        return "inconclusive", f"not every outcome is accounted for: {course.broken[0]}{more}"
    return None


def _unfit(course: Course) -> tuple[Verdict, str] | None:
    if course.died:
        # What was not sent is no failure of the service, so this comes before thresholds on what was dropped.
        return "inconclusive", f"{course.died} of {course.load_processes} load processes died, so part was not sent"
    if not course.windows or not course.ended_requests:
        return "inconclusive", "no request ended, so there is nothing to judge"
    for verdict, count in _limited(course):
        if count > LIMITED_SHARE * course.windows:
            return verdict, f"{count} of {course.windows} windows were {verdict}"
    return None


def _limited(course: Course) -> tuple[tuple[Verdict, int], ...]:
    return ("generator-limited", course.generator_limited), ("host-limited", course.host_limited)


def _judged(course: Course) -> tuple[Verdict, str]:
    broken = sum(held is False for held in course.thresholds)
    if broken or course.reason == "broken":
        early = ", which ended the run before its plan was through" if course.reason == "broken" else ""
        return "failed", f"{max(broken, 1)} of {len(course.thresholds)} thresholds did not hold{early}"
    if not course.reason:
        silent = "the run was broken off: nobody said its end, and nothing more was heard of it"
        return "inconclusive", silent if course.is_broken_off else "the run has not ended"
    if course.lost_rows:
        return "inconclusive", f"{course.lost_rows} outcomes were lost on the way to the store"
    open_ = sum(held is None for held in course.thresholds)
    if open_:
        return "inconclusive", f"{open_} of {len(course.thresholds)} thresholds could not be judged"
    if not course.thresholds:
        through = "traffic was observed, not loaded" if course.observed else "the run went through"
        return "passed", f"{through}; it set no thresholds"
    return "passed", f"{len(course.thresholds)} of {len(course.thresholds)} thresholds held"
