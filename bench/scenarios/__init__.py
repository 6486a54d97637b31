"""The questions that are asked: one module each. A scenario gets a Stage and returns plain rows for the results."""

from __future__ import annotations

from bench.scenarios import (
    fairness,
    growing,
    latency,
    memory,
    movement,
    profile,
    rados,
    requests,
    slow_calls,
    slow_neighbour,
)
from bench.scenarios.scenario import Choices, Scenario

__all__ = ["SCENARIOS", "Choices", "Scenario"]

SCENARIOS: dict[str, Scenario] = {
    **movement.SCENARIOS,
    "requests": requests.SCENARIO,
    "latency": latency.SCENARIO,
    "fairness": fairness.SCENARIO,
    "memory": memory.SCENARIO,
    "pages": growing.SCENARIO,
    "growth": growing.SCENARIO,
    **slow_calls.SCENARIOS,
    slow_neighbour.NAME: slow_neighbour.SCENARIO,
    **rados.SCENARIOS,
    **profile.SCENARIOS,
}
