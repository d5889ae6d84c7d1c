"""Right-sizing in one sentence."""

from analysis import wording
from analysis.bounds.sizing import Sizing
from analysis.finding import Finding

EXTRAPOLATED = 1.05


def right_size(service: str, size: Sizing) -> Finding:
    """What the rate needs, what is there, and how far that is from each other."""
    ends = (None if end is None else wording.cores(end) for end in (size.low, size.high))
    cores = wording.between(wording.cores(size.cores), *ends)
    text = f"At {wording.tps(size.tps)} TPS {service} needs {cores} cores"
    if size.tps > EXTRAPOLATED * size.highest_tps:
        text += f" (reckoned from {wording.tps(size.highest_tps)} TPS, the highest that was measured)"
    busy = f"{size.busy_target:.0%} busy"
    if size.workers is None or size.needed is None:
        text += f"; its host has {size.host_cores}" if size.host_cores else ""
    else:
        has = wording.count(size.workers, "worker")
        if size.too_many > 0:
            does = f"{size.needed} would be {busy} at most"
            text += f"; it has {has}, and {does}: {size.too_many} {'is' if size.too_many == 1 else 'are'} too many"
        elif size.too_many < 0:
            more = wording.count(-size.too_many, "more", "more")
            text += f"; its {has} would be over {busy}: it takes {more} to have headroom"
        else:
            text += f"; its {has} {'is' if size.workers == 1 else 'are'} {busy} at most, which is right"
    evidence = {
        "tps": size.tps,
        "cores": size.cores,
        "cores_low": size.low,
        "cores_high": size.high,
        "workers": size.workers,
        "workers_needed": size.needed,
        "busy_target": size.busy_target,
        "host_cores": size.host_cores,
        "highest_tps": size.highest_tps,
    }
    return Finding("sizing", f"{text}.", evidence=evidence)
