"""The join: a window's request outcomes beside its stack samples, as one record.

A pure function of the batches, whatever their order: sums are of whole numbers, and per instance before they are
added, so that recomputing a window from the store gives the same record to the last microsecond. No step is taken per
row: rows are handled as columns, and texts through the codes of their dictionaries.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import cast

import numpy as np

from schemas.batches import Batch
from schemas.censoring import unanswered
from schemas.joined import ClosedBy, JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.precision import UNKNOWN_US
from schemas.rows import RequestFacts, StackFacts
from schemas.sketch import Sketch, buckets_of
from schemas.stacks import split_frame, unfold

Function = tuple[str, str]
"""Function and file."""

_BUCKETS = 2048
"""More than a latency of 32 bits can have buckets (see `schemas.sketch`)."""
_ROOM = 1 << 16
"""So many codes may be counted however few rows there are."""


def join_window(
    run_id: str, window: int, window_us: int, requests: Sequence[Batch], stacks: Sequence[Batch], *, closed_by: ClosedBy
) -> JoinedWindow:
    """Join the batches of one window; `requests` and `stacks` are all that is known of it, each batch once.

    Agents on one host see the same processes of ours there, so the most that one saw counts; agents that do not tell
    are older, and then load and agents are taken for all.
    """
    facts = [cast("RequestFacts", batch.facts) for batch in requests]
    endpoints = _endpoints(requests)
    instances = _instances(stacks)
    functions, samples, unattributed_us = _functions(instances.values())
    watched = [_total(batches) for batches in instances.values()]
    generator_cpu_us = sum(fact.generator_cpu_us for fact in facts)
    agent_cpu_us = sum(_stack_facts(batch).agent_cpu_us for batch in stacks)
    return JoinedWindow(
        run_id=run_id,
        window=window,
        window_us=window_us,
        batches_covered=len(requests) + len(stacks),
        closed_by=closed_by,
        scheduled=sum(fact.scheduled for fact in facts),
        sent=sum(fact.sent for fact in facts),
        dropped=sum(fact.dropped for fact in facts),
        in_flight=sum(fact.in_flight for fact in facts),
        completed=sum(endpoint.completed for endpoint in endpoints),
        failed=sum(endpoint.failed for endpoint in endpoints),
        generator_cpu_us=generator_cpu_us,
        busiest_generator_us=_most_of_a_producer(requests, "generator_cpu_us"),
        dispatch_lag_p99_us=_p99(_column(requests, "dispatch_lag_us")),
        instances=len(instances),
        covered_us=sum(fact.covered_us for fact in watched) // max(len(watched), 1),
        samples=samples,
        cpu_us=sum(fact.cpu_us for fact in watched),
        unattributed_us=unattributed_us,
        busiest_thread_us=max((fact.busiest_thread_us for fact in watched), default=0),
        run_queue_us=sum(fact.run_queue_us for fact in watched),
        agent_cpu_us=agent_cpu_us,
        own_cpu_us=_most_of_a_producer(stacks, "own_cpu_us") or generator_cpu_us + agent_cpu_us,
        host_cpu_us=_most_of_a_producer(stacks, "host_cpu_us"),
        endpoints=endpoints,
        functions=functions,
    )


def _most_of_a_producer(batches: Iterable[Batch], fact: str) -> int:
    """The most that one producer has of a fact: those of its batches add up."""
    of_producer: Counter[str] = Counter()
    for batch in batches:
        of_producer[batch.header.key.producer_id] += getattr(batch.facts, fact)
    return max(of_producer.values(), default=0)


def _endpoints(requests: Sequence[Batch]) -> tuple[JoinedEndpoint, ...]:
    """Outcomes by stage and endpoint, ordered by their names."""
    stages, stage_codes = _codes(requests, "stage")
    names, name_codes = _codes(requests, "endpoint")
    groups, members = _grouped(stage_codes * len(names) + name_codes, len(stages) * len(names))
    failed = _valid(requests, "error")
    failures = np.bincount(members[failed], minlength=len(groups))
    answers = np.bincount(members[~failed], minlength=len(groups))
    in_vain = np.concatenate([np.zeros(0, np.bool_), *(unanswered(batch.rows) for batch in requests)])
    waited = np.bincount(members[in_vain], minlength=len(groups))
    sent, received = (_sums(members, _column(requests, name), len(groups)) for name in ("bytes_sent", "bytes_received"))
    latencies_us = _column(requests, "latency_us")
    timed = latencies_us != UNKNOWN_US
    sketches = _sketches(members[timed], latencies_us[timed], len(groups))
    found = [
        JoinedEndpoint(
            stage=stages[group // len(names)],
            endpoint=names[group % len(names)],
            completed=int(answers[at]),
            failed=int(failures[at]),
            unanswered=int(waited[at]),
            bytes_sent=int(sent[at]),
            bytes_received=int(received[at]),
            latency=sketches[at],
        )
        for at, group in enumerate(groups.tolist())
    ]
    return tuple(sorted(found, key=lambda endpoint: (endpoint.stage, endpoint.endpoint)))


def _sums(members: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Sums per group in whole numbers: those of floats would depend on the order of the rows."""
    sums = np.zeros(groups, np.uint64)
    np.add.at(sums, members, values)
    return sums


def _sketches(members: np.ndarray, latencies_us: np.ndarray, groups: int) -> list[Sketch]:
    pairs, counts = _counted(members * _BUCKETS + buckets_of(latencies_us), groups * _BUCKETS)
    bounds = np.searchsorted(pairs, np.arange(groups + 1) * _BUCKETS).tolist()
    buckets, numbers = (pairs % _BUCKETS).tolist(), counts.tolist()
    return [Sketch(tuple(buckets[start:end]), tuple(numbers[start:end])) for start, end in pairwise(bounds)]


def _counted(codes: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes in order, and how many rows have each; all are below `bound`.

    By counting, which takes a tenth of the time that sorting does, unless there are far more codes than rows.
    """
    if bound > max(_ROOM, 4 * len(codes)):
        return np.unique(codes, return_counts=True)
    counts = np.bincount(codes, minlength=bound)
    distinct = np.flatnonzero(counts)
    return distinct, counts[distinct]


def _grouped(codes: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes in order, and for each row the place of its code among them; see `_counted`."""
    if bound > max(_ROOM, 4 * len(codes)):
        return np.unique(codes, return_inverse=True)
    there = np.bincount(codes, minlength=bound) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def _column(batches: Iterable[Batch], name: str) -> np.ndarray:
    """A column of numbers of all batches."""
    return np.concatenate([np.zeros(0, np.uint32), *(batch.rows[name].to_numpy() for batch in batches)])


def _valid(batches: Iterable[Batch], name: str) -> np.ndarray:
    """Where a column of all batches is not null."""
    parts = (batch.rows[name].is_valid().to_numpy(zero_copy_only=False) for batch in batches)
    return np.concatenate([np.zeros(0, np.bool_), *parts])


def _codes(batches: Iterable[Batch], name: str) -> tuple[list[str], np.ndarray]:
    """A column of texts of all batches: the distinct ones, and the code of one for each row.

    Not left to Arrow: it keeps a text apart that stands twice in a dictionary, and its 16-bit indices are too short
    for the texts of many batches together.
    """
    code_of: dict[str, int] = {}
    parts = [np.zeros(0, np.int64)]
    for batch in batches:
        column = batch.rows[name]
        codes = [code_of.setdefault(text, len(code_of)) for text in column.dictionary.to_pylist()]
        parts.append(np.array(codes, np.int64)[column.indices.to_numpy()])
    return list(code_of), np.concatenate(parts)


def _p99(values: np.ndarray) -> int:
    return int(np.percentile(values, 99, method="higher")) if len(values) else 0


def _instances(stacks: Iterable[Batch]) -> dict[tuple[str, str], list[Batch]]:
    """Batches by agent and process; an agent without a process to watch tells of none."""
    found: dict[tuple[str, str], list[Batch]] = defaultdict(list)
    for batch in stacks:
        if _stack_facts(batch).instance:
            found[batch.header.key.producer_id, _stack_facts(batch).instance].append(batch)
    return dict(found)


def _stack_facts(batch: Batch) -> StackFacts:
    return cast("StackFacts", batch.facts)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Facts of one process in a window: the sums of its batches, for parts that were split off carry none."""

    cpu_us: int
    busiest_thread_us: int
    run_queue_us: int
    covered_us: int


def _total(batches: Iterable[Batch]) -> _Watched:
    facts = [_stack_facts(batch) for batch in batches]
    return _Watched(
        cpu_us=sum(fact.cpu_us for fact in facts),
        busiest_thread_us=sum(fact.busiest_thread_us for fact in facts),
        run_queue_us=sum(fact.run_queue_us for fact in facts),
        covered_us=sum(fact.covered_us for fact in facts),
    )


def _functions(instances: Iterable[list[Batch]]) -> tuple[tuple[JoinedFunction, ...], int, int]:
    """Functions with their samples and CPU, the number of CPU samples, and the CPU that could not be placed."""
    found: dict[tuple[str, str, str], list[int]] = {}
    all_samples, unattributed_us = 0, 0
    for batches in instances:
        service = max(_stack_facts(batch).service for batch in batches)
        cpu_us = _total(batches).cpu_us
        stacks = _cpu_stacks(batches)
        weight_us = sum(us for _, us in stacks.values())
        all_samples += sum(samples for samples, _ in stacks.values())
        _, nowhere_us = stacks.pop("", (0, 0))
        # Samples that stand for no time say who ran, but not for how long.
        unattributed_us += round(cpu_us * nowhere_us / weight_us) if weight_us else cpu_us
        for function, (self_samples, total_samples, self_us, total_us) in _by_function(stacks):
            sums = found.setdefault((service, *function), [0, 0, 0, 0])
            sums[0] += self_samples
            sums[1] += total_samples
            if weight_us:
                sums[2] += round(cpu_us * self_us / weight_us)
                sums[3] += round(cpu_us * total_us / weight_us)
    functions = tuple(JoinedFunction(*key, *sums) for key, sums in sorted(found.items()))
    return functions, all_samples, unattributed_us


def _cpu_stacks(batches: Sequence[Batch]) -> dict[str, tuple[int, int]]:
    """Distinct stacks of the samples that were on a CPU: how many, and the time they stand for."""
    modes, mode_codes = _codes(batches, "mode")
    texts, codes = _codes(batches, "stack")
    on_cpu = np.isin(mode_codes, [code for code, mode in enumerate(modes) if mode == "cpu"])
    codes, weights = codes[on_cpu], _column(batches, "weight_us")[on_cpu]
    samples = np.bincount(codes, minlength=len(texts))
    times_us = _sums(codes, weights, len(texts))
    return {texts[code]: (int(samples[code]), int(times_us[code])) for code in np.flatnonzero(samples).tolist()}


def _by_function(stacks: dict[str, tuple[int, int]]) -> Iterable[tuple[Function, tuple[int, ...]]]:
    """Each function with its samples and the time that they stand for: samples by itself and with what it called, then
    both times in us.
    """
    parsed = [_functions_of(text) for text in stacks]
    code_of: defaultdict[str, int] = defaultdict()
    code_of.default_factory = code_of.__len__
    leaves = np.array([code_of[leaf] for leaf, _ in parsed], np.int64)
    members = np.array([code_of[function] for _, functions in parsed for function in functions], np.int64)
    lengths = [len(functions) for _, functions in parsed]
    columns = np.array(list(stacks.values()), np.uint64).reshape(-1, 2).T  # samples, us
    sums: list[list[int]] = [
        _sums(codes, np.repeat(column, repeats), len(code_of)).tolist()
        for column in columns
        for codes, repeats in ((leaves, 1), (members, lengths))
    ]
    return zip(map(_function_of, code_of), zip(*sums, strict=True), strict=True)


_function_of = lru_cache(maxsize=1 << 12)(split_frame)


@lru_cache(maxsize=1 << 12)  # the same few thousand stacks come in every window
def _functions_of(stack: str) -> tuple[str, tuple[str, ...]]:
    """The running function of a stack, and every function on it once, however deep it recursed.

    Each as a label that always names a file, if an empty one: a text is looked up three times as fast as a pair. In a
    tuple, for thousands are remembered, and a set takes six times the memory.
    """
    labels = [sys.intern("{} ({})".format(*split_frame(label))) for label in unfold(stack)]
    return labels[-1], tuple(dict.fromkeys(labels))
