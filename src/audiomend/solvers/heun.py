"""Heun's second-order method with churn (Karras et al. 2022, Algorithm 2)."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from torch import Tensor

from audiomend.denoisers.base import Estimate, noise_of
from audiomend.processes.base import Process, combine
from audiomend.solvers.base import Draw, Solver, Stage, State
from audiomend.solvers.churn import churned


def heun(
    churn: float = 0.0,
    denominator: int | None = None,
    s_tmin: float = 0.0,
    s_tmax: float = inf,
    s_noise: float = 1.0,
) -> Solver:
    """Two evaluations a step, one in a step that starts or ends without noise.

    churn: S_churn, 0 solves the ordinary equation; it and the other arguments are those of `churned`.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        return [
            stage for step, (t, s) in enumerate(pairwise(levels)) for stage in _stages(process, step, t, s)
        ]

    return churned(solver, churn, denominator, s_tmin, s_tmax, s_noise) if churn > 0 else solver


def _stages(process: Process, step: int, t: float, s: float) -> list[Stage]:
    h = s - t

    def slope(x: Tensor, time: float, estimate: Estimate) -> Tensor:
        noise = noise_of(process, x, time, estimate)
        return combine(process, process.derivatives(time), estimate.clean, noise)

    def finish(state: State, estimate: Estimate, draw: Draw) -> State:  # without noise there is no slope
        return State(combine(process, process.coefficients(s), estimate.clean))

    def euler(state: State, estimate: Estimate, draw: Draw) -> State:
        d = slope(state.x, t, estimate)
        return State(state.x + h * d, memory=(state.x, d))

    def correct(state: State, estimate: Estimate, draw: Draw) -> State:
        before, d = state.memory
        return State(before + h * (d + slope(state.x, s, estimate)) / 2)

    if process.coefficients(s).s == 0 or process.coefficients(t).s == 0:
        return [Stage(step, t, s, finish)]
    return [Stage(step, t, s, euler), Stage(step, s, s, correct)]
