"""What can be counted of a load while it runs."""

from dataclasses import dataclass

from schemas.watching import Durations

LAG_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """A load at one moment, from its first arrival on. `dispatch_lags` are of the requests in published windows."""

    scheduled: int
    sent: int
    completed: int
    failed: int
    dropped: int
    in_flight: int
    dispatch_lags: Durations
