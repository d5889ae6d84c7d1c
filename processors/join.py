"""The join: a window's request outcomes beside its stack samples, as one record.

A pure function of the batches, whatever their order: sums are of whole numbers, and per instance before they are
added, so that recomputing a window from the store gives the same record to the last microsecond.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import pyarrow as pa

from schemas.batches import Batch
from schemas.joined import ClosedBy, JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.rows import REQUESTS, STACKS, RequestFacts, StackFacts
from schemas.sketch import Sketch
from schemas.stacks import split_frame, unfold

Function = tuple[str, str]
"""Function and file."""


def join_window(
    run_id: str, window: int, window_us: int, requests: Sequence[Batch], stacks: Sequence[Batch], *, closed_by: ClosedBy
) -> JoinedWindow:
    """Join the batches of one window; `requests` and `stacks` are all that is known of it, each batch once."""
    facts = [cast("RequestFacts", batch.facts) for batch in requests]
    table = pa.Table.from_batches([batch.rows for batch in requests], schema=REQUESTS)
    endpoints = _endpoints(table)
    instances = _instances(stacks)
    functions, samples, unattributed_us = _functions(instances.values())
    watched = [_total(batches) for batches in instances.values()]
    everyone = _total(stacks)
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
        generator_cpu_us=sum(fact.generator_cpu_us for fact in facts),
        dispatch_lag_p99_us=_p99(table["dispatch_lag_us"].to_numpy()),
        instances=len(instances),
        covered_us=sum(fact.covered_us for fact in watched) // max(len(watched), 1),
        samples=samples,
        cpu_us=sum(fact.cpu_us for fact in watched),
        unattributed_us=unattributed_us,
        busiest_thread_us=max((fact.busiest_thread_us for fact in watched), default=0),
        run_queue_us=sum(fact.run_queue_us for fact in watched),
        agent_cpu_us=everyone.agent_cpu_us,
        endpoints=endpoints,
        functions=functions,
    )


def _endpoints(table: pa.Table) -> tuple[JoinedEndpoint, ...]:
    """Outcomes by stage and endpoint, ordered by their names."""
    if not table.num_rows:
        return ()
    stages, stage_codes = _codes(table, "stage")
    names, name_codes = _codes(table, "endpoint")
    groups = stage_codes.astype(np.int64) * len(names) + name_codes
    failed = ~table["error"].combine_chunks().is_null().to_numpy(zero_copy_only=False)
    latency_us = table["latency_us"].to_numpy()
    sent, received = table["bytes_sent"].to_numpy(), table["bytes_received"].to_numpy()
    found = []
    for group in np.unique(groups).tolist():
        rows = groups == group
        failures = int(failed[rows].sum())
        found.append(
            JoinedEndpoint(
                stage=stages[group // len(names)],
                endpoint=names[group % len(names)],
                completed=int(rows.sum()) - failures,
                failed=failures,
                bytes_sent=int(sent[rows].sum()),
                bytes_received=int(received[rows].sum()),
                latency=Sketch.of(latency_us[rows]),
            )
        )
    return tuple(sorted(found, key=lambda endpoint: (endpoint.stage, endpoint.endpoint)))


def _codes(table: pa.Table, name: str) -> tuple[list[str], np.ndarray]:
    """A dictionary column as its distinct texts and one code a row; batches bring dictionaries of their own."""
    column = table[name].unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    return column.dictionary.to_pylist(), column.indices.to_numpy()


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


def _total(batches: Iterable[Batch]) -> StackFacts:
    """Facts of several batches: the figures add up, and parts that were split off carry none."""
    facts = [_stack_facts(batch) for batch in batches]
    sums = ("cpu_us", "busiest_thread_us", "run_queue_us", "covered_us", "agent_cpu_us")
    return StackFacts(**{name: sum(getattr(fact, name) for fact in facts) for name in sums})


@dataclass(slots=True)
class _Tally:
    """Samples and time of a function, by itself and with what it called; `us` is sampled time, then CPU."""

    self_samples: int = 0
    total_samples: int = 0
    self_us: int = 0
    total_us: int = 0


def _functions(instances: Iterable[list[Batch]]) -> tuple[tuple[JoinedFunction, ...], int, int]:
    """Functions with their samples and CPU, the number of CPU samples, and the CPU that could not be placed."""
    found: dict[tuple[str, str, str], _Tally] = defaultdict(_Tally)
    all_samples, unattributed_us = 0, 0
    for batches in instances:
        service = max(_stack_facts(batch).service for batch in batches)
        cpu_us = _total(batches).cpu_us
        stacks = _cpu_stacks(batches)
        weight_us = sum(us for _, us in stacks.values())
        all_samples += sum(samples for samples, _ in stacks.values())
        _, nowhere_us = stacks.pop("", (0, 0))
        unattributed_us += round(cpu_us * nowhere_us / weight_us) if weight_us else cpu_us
        for function, tally in _by_function(stacks).items():
            sums = found[service, *function]
            sums.self_samples += tally.self_samples
            sums.total_samples += tally.total_samples
            sums.self_us += round(cpu_us * tally.self_us / weight_us)
            sums.total_us += round(cpu_us * tally.total_us / weight_us)
    functions = tuple(
        JoinedFunction(*key, tally.self_samples, tally.total_samples, tally.self_us, tally.total_us)
        for key, tally in sorted(found.items(), key=lambda item: item[0])
    )
    return functions, all_samples, unattributed_us


def _cpu_stacks(batches: Iterable[Batch]) -> dict[str, tuple[int, int]]:
    """Distinct stacks of the samples that were on a CPU: how many, and the time they stand for."""
    table = pa.Table.from_batches([batch.rows for batch in batches], schema=STACKS)
    if not table.num_rows:
        return {}
    modes, mode_codes = _codes(table, "mode")
    texts, codes = _codes(table, "stack")
    on_cpu = np.isin(mode_codes, [code for code, mode in enumerate(modes) if mode == "cpu"])
    codes, weights = codes[on_cpu], table["weight_us"].to_numpy()[on_cpu]
    samples = np.bincount(codes, minlength=len(texts))
    times_us = np.zeros(len(texts), dtype=np.int64)
    np.add.at(times_us, codes, weights)
    seen = np.flatnonzero(samples).tolist()
    return {texts[code]: (int(samples[code]), int(times_us[code])) for code in seen}


def _by_function(stacks: dict[str, tuple[int, int]]) -> dict[Function, _Tally]:
    found: dict[Function, _Tally] = defaultdict(_Tally)
    for text, (samples, us) in stacks.items():
        leaf, functions = _functions_of(text)
        found[leaf].self_samples += samples
        found[leaf].self_us += us
        for function in functions:
            found[function].total_samples += samples
            found[function].total_us += us
    return found


@lru_cache(maxsize=1 << 15)
def _functions_of(stack: str) -> tuple[Function, frozenset[Function]]:
    """The running function of a stack, and every function on it once, however deep it recursed."""
    functions = [split_frame(label) for label in unfold(stack)]
    return functions[-1], frozenset(functions)
