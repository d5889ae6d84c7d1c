"""Which request a thread served at the moment of a sample, as the service's own middleware tells. Pure.

A sample belongs to an endpoint when its thread ran, at its time, for requests of that endpoint and of no other. Where
none did (a server reads, a thread rests, a task of its own works), or where requests of several endpoints may have (two
tasks of which one was told of without its steps), nobody knows, and nothing is guessed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from producers.context.notes import Stretch
from producers.endpoint_names import FewNames, endpoint_of

MOST_ENDPOINTS = 500
MOST_STRETCHES = 400_000
"""Kept of all processes together: some 30 MB. What comes beyond is not known of."""
UNKNOWN = ""
_Stretches = defaultdict[tuple[int, int], list[Stretch]]


class Served:
    """Takes what is told, in any order and as often as it is; asked once all of a time is told, and told to forget.

    What the load of the run `run_id` asked for has the plan's names, as its requests have, and goes before all else.
    """

    def __init__(self, run_id: str = "") -> None:
        self._run_id = run_id
        self._loaded: _Stretches = defaultdict(list)
        self._others: _Stretches = defaultdict(list)
        self._names = FewNames(MOST_ENDPOINTS)
        self._kept = 0
        self.dropped = 0

    def tell(self, pid: int, ran: Iterable[Stretch], ahead_us: int = 0) -> None:
        """What threads of a process did, by a clock than which the one of samples is so much ahead."""
        for one in ran:
            if self._kept >= MOST_STRETCHES:
                self.dropped += 1
                continue
            self._kept += 1
            if one.asked is not None and one.asked[0] == self._run_id:
                name, kept = one.asked[1], self._loaded
            else:
                method, _, path = one.endpoint.partition(" ")
                name, kept = endpoint_of(method, path), self._others
            begin_us, end_us = one.begin_us + ahead_us, one.end_us + ahead_us
            kept[pid, one.thread].append(Stretch(one.thread, begin_us, end_us, self._names.known(name)))

    def endpoints(self, pid: int, threads: Sequence[int], times_us: Sequence[int]) -> list[str]:
        """The endpoint of each sample of a process, by its thread and its time; UNKNOWN where nobody knows."""
        found = [UNKNOWN] * len(threads)
        by_thread = sorted(zip(threads, times_us, range(len(threads)), strict=True))
        for thread, samples in groupby(by_thread, itemgetter(0)):
            left = [(at_us, place) for _, at_us, place in samples]
            for kept in (self._loaded, self._others):
                if stretches := kept.get((pid, thread)):
                    _place(stretches, left, found)
                    left = [(at_us, place) for at_us, place in left if found[place] == UNKNOWN]
        return found

    def forget(self, before_us: int) -> None:
        """No sample of before that time is asked for again."""
        for kept in (self._loaded, self._others):
            for key, stretches in list(kept.items()):
                left = [one for one in stretches if one.end_us > before_us]
                self._kept -= len(stretches) - len(left)
                if left:
                    kept[key] = left
                else:
                    del kept[key]


def _place(stretches: Sequence[Stretch], samples: Sequence[tuple[int, int]], found: list[str]) -> None:
    """Set the endpoint of each sample (time, place in `found`), in order of time, from the stretches of its thread."""
    begins = sorted(stretches, key=itemgetter(1))
    ends = sorted(stretches, key=itemgetter(2))
    running: Counter[str] = Counter()
    begun = over = 0
    for at_us, place in samples:
        while begun < len(begins) and begins[begun].begin_us <= at_us:
            running[begins[begun].endpoint] += 1
            begun += 1
        while over < len(ends) and ends[over].end_us <= at_us:
            running[ends[over].endpoint] -= 1
            if not running[ends[over].endpoint]:
                del running[ends[over].endpoint]
            over += 1
        if len(running) == 1:
            found[place] = next(iter(running))
