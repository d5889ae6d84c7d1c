"""The body of a planted function, with its defect and without: the two differ in the lines of the defect only.

Every one ends in a scan of `steps` entries, which is where the CPU goes. `result` is left as in `work`.
"""

from dataclasses import dataclass
from string import Template
from textwrap import dedent

from benchmarks.planted.bundles import LOWEST_TPS, TOP_TPS
from benchmarks.planted.work import SCAN_US

_SCAN = """
total = 0
for number in range(steps):
    total += entries[number % len(entries)]
result = str(total)
"""


@dataclass(frozen=True, slots=True)
class Defect:
    """Lines of a body: what both twins do `before`, then those of one. `entries` is what the scan goes over."""

    planted: str
    clean: str
    before: str = ""
    entries: str = "entries = CATALOGUE"


_RECENT = """
now = time.monotonic()
with guard:
    recent.append(now)
    while recent[0] < now - 1.0:
        recent.popleft()
    entries = list(recent)
"""
# Lists of a second are kept, as sessions are, and all of them are looked through whenever garbage is collected.
_SESSIONS = """
now = time.monotonic()
session = [[number] for number in range($whole)]
with guard:
    sessions.append((now, session))
    while sessions[0][0] < now - 1.0:
        sessions.popleft()
    turn = next(turns)
steps = $steps
"""
DEFECTS = {
    # As long as the last second has requests, to a power; the twin costs at every rate what it does at the lowest.
    "superlinear": Defect("steps = int($scale * len(entries) ** $power)", "steps = $flat", _RECENT, entries=""),
    "garbage": Defect("if turn % 4 == 0:\n    gc.collect()", "", _SESSIONS),
    "convoy": Defect("with guard:\n    time.sleep($wait_s)", "time.sleep($wait_s)", "steps = $steps"),
    "cache": Defect("cached.append(key)\nsteps = $steps + int(len(cached) * $each)", "steps = $steps"),
    "linear": Defect("steps = $steps", "steps = $few"),
    "endpoint": Defect("steps = $dear if key.startswith('$endpoint-') else $steps", "steps = $steps"),
    "branch": Defect("steps = $long if random.random() < 0.02 else $steps", "steps = $steps"),
    "downstream": Defect(
        "ask_downstream($whole if random.random() < 0.05 else 1)", "ask_downstream(1)", "steps = $steps"
    ),
    "leak": Defect("kept.append(page)", "", "page = key.encode() * ($bytes // len(key))\nsteps = $steps"),
    "slower-10": Defect("steps = $dear", "steps = $steps"),
    "slower-30": Defect("steps = $dear", "steps = $steps"),
}


def body(kind: str, effect: float, us: float, *, endpoint: str, requests: int, clean: bool) -> str:
    """The lines of a planted function's body that takes about `us` microseconds (a growing one at the highest rate).

    `endpoint` is the dear one of the kind "endpoint"; after so many `requests` a cache has its effect.
    """
    defect, steps, power = DEFECTS[kind], us / SCAN_US, effect - 1
    text = "\n".join(
        filter(None, (defect.before.strip(), defect.entries, defect.clean if clean else defect.planted, _SCAN.strip()))
    )
    if kind != "superlinear":
        return Template(dedent(text)).substitute(
            steps=round(steps),
            few=round(0.2 * steps),
            dear=round(effect * steps),
            long=round(effect * 1e3 / SCAN_US),
            wait_s=f"{effect / 1e3:g}",
            each=f"{power * steps / requests:.5f}",
            whole=round(effect),
            bytes=round(effect * 1024),
            endpoint=endpoint,
        )
    return Template(dedent(text)).substitute(
        scale=f"{steps * float(TOP_TPS) ** -power:.4f}",
        power=f"{power:.2f}",
        flat=round(steps * (LOWEST_TPS / TOP_TPS) ** power),
    )
