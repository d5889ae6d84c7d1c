"""From a draft to a plan: the levels, the target, and the notes on both."""

from urllib.parse import urlsplit

from pydantic import ValidationError

from producers.load.drafts.draft import Draft, DraftError
from producers.load.modulation import mix_stages
from producers.load.plan import Plan
from producers.load.plan_errors import sentence
from schemas.hosts import is_loopback

TARGET = "http://127.0.0.1:8000"
LEVELS_TPS = (5.0, 10.0, 20.0, 40.0)
VISITS, VISIT_S = 4, 8
MIX_VISIT_S = 4
_FEW_ENDPOINTS = 6
_LEAST_PEAK_TPS, _MOST_PEAK_TPS = 8.0, 1e6


def planned(draft: Draft, *, target: str | None, service: str | None, origin: str = "") -> tuple[Plan, list[str]]:
    """The plan of a draft, and all notes on it.

    `target` and `service` are the user's, None to take what the draft names; `origin` is where the draft was fetched
    from, "" if it was not. Raises DraftError when target or service do not fit.
    """
    notes = list(draft.notes)
    base = target or origin or draft.target or TARGET
    if not (target or origin or draft.target):
        notes.append(f"no host is named, so the target is {TARGET}; see --target")
    elif not target and origin and draft.target not in ("", origin):
        notes.append(f"the document names {draft.target}, but the target is where it came from; see --target")
    elif not target and not is_loopback(urlsplit(draft.target or origin).hostname or ""):
        notes.append(f"the target {base} is another machine; give your own with --target, or allow it when you run")
    levels = _levels(draft, notes)
    endpoints = len(draft.requests)
    mixes = mix_stages(endpoints, levels[-2], visits=8 if endpoints <= _FEW_ENDPOINTS else 16, each=f"{MIX_VISIT_S}s")
    try:
        plan = Plan.model_validate(
            {
                "target": base,
                "service": service or draft.service,
                "stages": [{"name": "levels", "levels": levels, "visits": VISITS, "each": f"{VISIT_S}s"}, *mixes],
                "requests": draft.requests,
                "thresholds": ["errors < 1%"],
            }
        )
    except ValidationError as error:
        raise DraftError(f"makes no plan: {sentence(error, Plan)}") from error
    return plan, notes


def _levels(draft: Draft, notes: list[str]) -> tuple[float, ...]:
    if draft.seen is None:
        notes.append("no rates are known, so the levels are modest ones; adapt them to what the service should bear")
        return LEVELS_TPS
    if draft.seen.peak_tps < _LEAST_PEAK_TPS:
        notes.append("the peak is low, so the levels go beyond it: 1 to 8 requests per second")
    top_tps = min(max(draft.seen.peak_tps, _LEAST_PEAK_TPS), _MOST_PEAK_TPS)
    return tuple(float(f"{top_tps / 2**step:.2g}") for step in (3, 2, 1, 0))
