"""Runs that nobody loaded: a production service under the traffic that it has anyway.

Such a run has no schedule and no offered rate; its latencies are those of whoever told of its requests, if they did.
"""

from views import model
from views.facts import RunFacts

PLAN_KEY = "observed"
HOW_TO_TIME = (
    "put $request_time behind nginx's format, or %(D)s behind gunicorn's and say --unit us, or take the middleware"
)


def is_observed(run: RunFacts) -> bool:
    """Whether its requests were seen, not sent."""
    return PLAN_KEY in run.plan


def has_schedule(run: RunFacts) -> bool:
    """Whether its requests were due at times that somebody could be late for."""
    return "imported" not in run.plan and not is_observed(run)


def about_traffic(run: RunFacts) -> list[str]:
    """What to know of such a run before relying on its report."""
    told = run.plan.get(PLAN_KEY)
    if not isinstance(told, dict):
        return []
    by = f"{told.get('by')} {told.get('from')}"
    text = f"Observed, not loaded: these are requests that came by themselves, as {by} tells. Rate, mix and hour moved "
    found = [f"{text}together, so what is said of functions was seen together with the traffic, not caused by it."]
    ended = sum(one.completed + one.failed for one in run.endpoints)
    timed = sum(one.latencies.count for one in run.endpoints)
    if ended and not timed:
        found.append(f"No latency is known: {by} has no durations; {HOW_TO_TIME}.")
    elif timed < ended:
        found.append(f"Of {ended - timed:,} of {ended:,} requests no latency is known: percentiles are of the others.")
    return found


def endpoints_note(run: RunFacts, note: str, *, seen: bool) -> str:
    """What is said of endpoints that pay for functions: how far it was `seen`, else why it is not known."""
    if is_observed(run) and note and not seen:
        told = run.plan.get(PLAN_KEY)
        if isinstance(told, dict) and told.get("by") == "middleware" and run.instances:
            if any(one["backend"] == "py-spy" for one in run.instances):
                why = "py-spy does not say when it took a sample; take austin (`--backend austin`)"
            else:
                why = "none was taken on a thread while it served a request that the middleware told of"
            return f"Which endpoint pays for a function is not known: no sample is joined with a request, for {why}."
        return (
            "Which endpoint pays for a function is not identifiable from plain traffic: the service's own middleware "
            "tells (`loadflame observe --socket` with --pid or --name), or `loadflame run` with a `modulate` stage, "
            "against a copy of the service."
        )
    return note


def accounted(told: model.Accounting) -> str:
    """Where every request went that was seen to end."""
    return f"{told.scheduled:,} seen to end = {told.completed:,} answered + {told.failed:,} failed"
