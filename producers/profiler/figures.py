"""What can be counted of an agent while it watches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """An agent at one moment. `coverage` is of the last window: the part of it in which instances were sampled, as
    the mean over them; None before the first one, and when there was no instance. `cpu_us` is of agent and samplers.
    """

    windows: int
    samples: int
    instances: int
    rate_hz: int
    coverage: float | None
    cpu_us: int
