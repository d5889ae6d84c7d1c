"""What bounds a service, in sentences: at a rate that it did not hold, and as its users become more."""

from analysis import wording
from analysis.bounds.bottleneck import Bottleneck, Cause
from analysis.bounds.scalability import Scalability
from analysis.finding import Finding

_REMEDIES: dict[Cause, str] = {
    "generator": "use more load processes, or another machine",
    "own": "run the load on another machine",
    "cpu": "more processes, or less CPU per request, lift it",
    "thread": "spread its work over more threads or processes",
    "host": "give it a host of its own",
    "waiting": "more cores would not help: look at wall-clock stacks for what it waits for",
}


def what_limits(service: str, found: Bottleneck) -> Finding:
    """What kept a rate from getting through."""
    rates = f"{wording.tps(found.achieved_tps)} of {wording.tps(found.tps)} TPS"
    cores = wording.cores(found.cores)
    used = f"{cores} of {wording.cores(found.of_cores)} cores" if found.of_cores else f"{cores} cores"
    if found.cause in ("generator", "own"):
        text = f"At {wording.tps(found.tps)} TPS {service} was not the limit but {found.limited_by}"
    else:
        text = f"What limits {service} where {rates} got through, with {used} in use: {found.limited_by}"
    evidence = {
        "cause": found.cause,
        "offered_tps": found.tps,
        "achieved_tps": found.achieved_tps,
        "cores": found.cores,
        "cores_there": found.of_cores,
    }
    return Finding("limit", f"{text}; {_REMEDIES[found.cause]}.", evidence=evidence)


def how_it_scales(service: str, found: Scalability) -> Finding:
    """Where more users get no more answers."""
    ends = (wording.tps(end) for end in (found.peak_tps_low, found.peak_tps_high))
    tps = wording.between(wording.tps(found.peak_tps), *ends)
    users = wording.between(
        *(f"{value:.0f}" for value in (found.peak_users, found.peak_users_low, found.peak_users_high))
    )
    text = (
        f"{service} gives most, {tps} TPS, with {users} users at once, and less with more (scalability law: contention "
        f"{found.contention:.2g}, coherence {found.coherence:.2g}, from {found.levels} numbers of users)."
    )
    evidence = {name: getattr(found, name) for name in Scalability.__slots__}
    return Finding("scalability", text, evidence=evidence)
