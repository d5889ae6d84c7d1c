"""A plan for those who have none yet: a short probe of the URL, then four levels over an eightfold range."""

from urllib.parse import urlsplit

from producers.load.plan import Plan
from producers.load.probe import probe_rate

TOP_SHARE = 0.6
"""The highest level as a share of what the probe got through: busy enough to show growth, short of saturation."""
LEVELS = 4
VISITS, VISIT_S = 4, 6


async def made_up_plan(url: str, allow_hosts: tuple[str, ...], max_tps: float) -> Plan:
    """Probe `url` for about two seconds and plan levels below what it got through. Raises TargetError."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    base = f"{parts.scheme}://{parts.netloc}"
    top_tps = TOP_SHARE * await probe_rate(base, path, allow_hosts, max_tps)
    levels = [_two_digits(top_tps / 2**step) for step in reversed(range(LEVELS))]
    return Plan.model_validate(
        {
            "target": base,
            "service": parts.netloc,
            "stages": [{"name": "levels", "levels": levels, "visits": VISITS, "each": f"{VISIT_S}s"}],
            "requests": [{"name": "root" if path == "/" else path.strip("/")[:60], "path": path}],
        }
    )


def _two_digits(tps: float) -> float:
    """A rate that people can remember; at least 1."""
    return max(1.0, float(f"{tps:.2g}"))
