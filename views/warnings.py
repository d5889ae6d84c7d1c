"""What a reader should know before relying on a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis import wording
from analysis.evidence.blocks import Selection
from analysis.evidence.limits import LIMITED_SHARE, Mask
from analysis.wording import count
from views import model
from views.facts import RunFacts
from views.natural import about_traffic, is_observed
from views.profile import ProfileFacts

_SEVERAL_THREADS = 3
_ONE_THREAD_SHARE = 0.8
_UNATTRIBUTED = 0.10
_COVERAGE = 0.97
_AGENT_SHARE = 0.05
_MOST_STAGES = 4
_CLOCK_US = 1_000_000
PYSPY_IN_POOLS = "0.77-1.32"
"""CPU found / CPU true by the truth benchmark, as README's table has it."""


def left_out(selection: Selection) -> tuple[str, ...]:
    """What no finding rests on, one phrase a reason: `12 windows at 320 TPS (a thread over 85% busy)`."""
    windows: Counter[str] = Counter()
    rates: dict[str, set[float]] = {}
    for one in selection.left_out:
        windows[one.reason] += one.windows
        rates.setdefault(one.reason, set()).add(round(one.level_tps))
    phrases = []
    for reason, number in windows.items():
        of = sorted(rates[reason])
        at = f" at {', '.join(f'{rate:g}' for rate in of)} TPS" if len(of) <= 4 else ""
        phrases.append(f"{count(number, 'window')}{at} ({reason})")
    return tuple(phrases)


def warnings_of(
    run: RunFacts,
    profile: ProfileFacts,
    accounting: model.Accounting,
    rows: Sequence[model.LoadRow],
    *,
    by_generator: Mask,
    by_host: Mask,
) -> tuple[str, ...]:
    """One sentence each, the gravest first; the masks are of the windows of the load, which of them were limited."""
    return (
        *_about_end(run),
        *about_traffic(run),
        *_about_data(run, accounting),
        *_about_clocks(run),
        *_about_load(run, by_generator, by_host),
        *_about_stages(rows),
        *_about_users(run),
        *_about_import(run),
        *_about_profile(run, profile),
    )


def _about_end(run: RunFacts) -> list[str]:
    found = []
    if run.note and "imported" not in run.plan:  # of an import more is said below
        found.append(f"{run.note[0].upper()}{run.note[1:]}.")
    for one in run.producers:
        if one["died"]:
            text = f"{one['note'][0].upper()}{one['note'][1:]}" if one["note"] else "A load process died"
            found.append(f"{text} ({one['dropped'] or 0:,} of its {one['scheduled'] or 0:,} arrivals).")
    return found


def _about_data(run: RunFacts, accounting: model.Accounting) -> list[str]:
    found = []
    if not run.reason:
        found.append("The run has not ended (or nobody said so): figures may still change.")
    if accounting.lost:
        found.append(f"{accounting.lost:,} outcomes were lost between the load generator and the store.")
    if accounting.dead_letters:
        found.append(f"{count(accounting.dead_letters, 'message')} could not be read while this run was on.")
    ended = accounting.completed + accounting.failed
    if run.reason and accounting.stored != ended and not accounting.lost:
        found.append(
            f"{accounting.stored:,} outcomes are stored, but {ended:,} requests ended: `loadflame verify` says more."
        )
    return found


def _about_clocks(run: RunFacts) -> list[str]:
    """Of each role the host whose clock was worst: first what was corrected, then what was not."""
    found = []
    for who in ("load", "profiler"):
        ours = [one for one in run.producers if one["role"] == who]
        corrected_us = max((one["clock_correction_us"] for one in ours), key=abs, default=0)
        if abs(corrected_us) > _CLOCK_US:
            side = "behind" if corrected_us > 0 else "ahead of"
            found.append(
                f"The clock of the {who}'s host was {abs(corrected_us) / 1e6:,.1f} s {side} Kafka's, and everything is "
                "told in Kafka's time: have both keep time by NTP."
            )
        known = [one for one in ours if one["clock_residual_us"] is not None]
        left = max(known, key=lambda one: abs(one["clock_residual_us"]), default=None)
        if left is not None and abs(left["clock_residual_us"]) > _CLOCK_US + left["clock_error_us"]:
            found.append(
                f"The {who}'s clock and Kafka's were {abs(left['clock_residual_us']) / 1e6:,.1f} s apart by the end of "
                "the run: load and profile of one window may be of different moments."
            )
    return found


def _about_load(run: RunFacts, by_generator: Mask, by_host: Mask) -> list[str]:
    load, found = run.windows.at(run.load), []
    elsewhere = "run the load on another machine"
    if is_observed(run):
        elsewhere = "have stream processor and store on another machine (--broker, --store)"
    for limited, who, remedy in (
        (by_generator, "the load generator could not keep its schedule", "use another machine or more load processes"),
        (by_host, "the service waited for cores that loadflame was using", elsewhere),
    ):
        number = int(limited.sum())
        if number:
            much = number > LIMITED_SHARE * len(load)
            first = int(np.flatnonzero(limited)[0])
            at_s = (load.starts_us[first] - load.starts_us[0]) / 1e6
            tps = load.scheduled[first] * 1e6 / load.window_us[first]
            text = (
                f"In {number} of {len(load)} windows {who}, first {at_s:.0f} s into the load "
                f"at {wording.tps(tps)} TPS; findings leave them out"
            )
            found.append(f"{text}, and the run may not be judged: {remedy}." if much else f"{text}.")
    return found


def _about_stages(rows: Sequence[model.LoadRow]) -> list[str]:
    names = [row.stage for row in rows if row.limited]
    if not names:
        return []
    some = ", ".join(names[:_MOST_STAGES]) + (f" and {len(names) - _MOST_STAGES} more" if names[_MOST_STAGES:] else "")
    return [f"No capacity is drawn from {some}: generator or host was the limit there, or at a lower rate before."]


def _about_users(run: RunFacts) -> list[str]:
    stages = [str(stage["name"]) for stage in run.plan.get("stages") or () if "users" in stage]
    if not stages:
        return []
    where = " and ".join(stages)
    text = f"In {where} users waited for their answers (closed model), so a stall shows in few requests"
    return [f"{text}: take percentiles from stages with a rate."]


def _about_import(run: RunFacts) -> list[str]:
    imported = run.plan.get("imported")
    if not isinstance(imported, dict):
        return []
    tool, lines, unknown = imported.get("tool"), imported.get("lines"), imported.get("unknown_lines")
    text = (
        f"Imported from {tool}: latency is its own and counts from when it sent, not from a schedule, so what waited "
    )
    found = [f"{text}in {tool} is not in it (coordinated omission)."]
    if unknown:
        found.append(f"{unknown:,} of {lines:,} lines of the imported file were not understood.")
    return found


def _about_profile(run: RunFacts, profile: ProfileFacts) -> list[str]:
    load = run.windows.at(run.load)
    if not len(load):
        return []
    if not load.instances.any():
        return ["There is no profile of this run: name the process with --pid, --name or -- COMMAND."]
    found = []
    without = int((load.instances == 0).sum())
    if without:
        found.append(f"{without} of {len(load)} windows have no profile.")
    coverage = float((load.covered_us / load.window_us).clip(0, 1)[load.instances > 0].mean())
    if coverage < _COVERAGE:
        found.append(f"The profiler watched {coverage:.0%} of the time.")
    found += [_of_thread_pool(one) for one in run.instances if _is_thread_pool(one) and one["backend"] == "py-spy"]
    unattributed = float(load.unattributed_us.sum() / max(load.cpu_us.sum(), 1))
    if unattributed > _UNATTRIBUTED:
        found.append(f"{unattributed:.0%} of the service's CPU time could not be given to a function.")
    agent = float(load.agent_cpu_us.sum() / load.window_us.sum())
    if agent > _AGENT_SHARE:
        found.append(f"The profiler itself took {agent:.0%} of a core.")
    if load.samples.sum() and not profile.stacks.total.sum():
        found.append("The raw samples are gone from the store, so growth is not told.")
    return found


def _is_thread_pool(instance: Mapping[str, Any]) -> bool:
    several = instance["threads"] >= _SEVERAL_THREADS
    return several and bool(instance["busiest_thread_us"] < _ONE_THREAD_SHARE * instance["cpu_us"])


def _of_thread_pool(instance: Mapping[str, Any]) -> str:
    several = f"{instance['instance']} has {instance['threads']} threads"
    return (
        f"py-spy gives functions of a thread pool {PYSPY_IN_POOLS} times the CPU that they use ({several}): "
        "take their shares as rough, and prefer --backend austin."
    )
