"""Heun's second-order method with churn (Karras et al. 2022, Algorithm 2)."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, sqrt

from torch import Tensor

from audiomend.denoisers.base import Estimate, noise_of
from audiomend.processes.base import Process, combine, renoised
from audiomend.solvers.base import Draw, Solver, Stage, State, unchanged

MOST_CHURN = sqrt(2) - 1  # never more new noise than there is already


def heun(
    churn: float = 0.0,
    denominator: int | None = None,
    s_tmin: float = 0.0,
    s_tmax: float = inf,
    s_noise: float = 1.0,
) -> Solver:
    """Two evaluations a step, one in a step that starts or ends without noise.

    churn: S_churn; the noise level is raised by the factor 1 + gamma, gamma = S_churn / denominator, before
        each step that starts between s_tmin and s_tmax, the last one included; 0 solves the ODE.
    denominator: the number of steps where None (the paper); CQT-Diff's code has the number of steps plus 1.
    s_noise: standard deviation of the fresh noise.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        gammas = churn_factors(levels, churn, denominator, s_tmin, s_tmax)
        return [
            stage
            for step, ((t, s), gamma) in enumerate(zip(pairwise(levels), gammas, strict=True))
            for stage in _stages(process, step, t, s, gamma, s_noise)
        ]

    return solver


def churn_factors(
    levels: Sequence[float],
    churn: float,
    denominator: int | None = None,
    s_tmin: float = 0.0,
    s_tmax: float = inf,
) -> list[float]:
    """gamma of each step; arguments as in `heun`."""
    gamma = min(churn / (denominator or len(levels) - 1), MOST_CHURN)
    return [gamma if s_tmin <= t <= s_tmax else 0.0 for t in levels[:-1]]


def _stages(process: Process, step: int, t: float, s: float, gamma: float, s_noise: float) -> list[Stage]:
    t_hat = (1 + gamma) * t
    h = s - t_hat

    def slope(x: Tensor, time: float, estimate: Estimate) -> Tensor:
        noise = noise_of(process, x, time, estimate)
        return combine(process, process.derivatives(time), estimate.clean, noise)

    def churned(state: State, draw: Draw) -> State:
        return State(renoised(process, state.x, t, t_hat, s_noise * draw(0)))

    def finish(state: State, estimate: Estimate, draw: Draw) -> State:  # without noise there is no slope
        return State(combine(process, process.coefficients(s), estimate.clean))

    def euler(state: State, estimate: Estimate, draw: Draw) -> State:
        d = slope(state.x, t_hat, estimate)
        return State(state.x + h * d, memory=(state.x, d))

    def correct(state: State, estimate: Estimate, draw: Draw) -> State:
        x_hat, d = state.memory
        return State(x_hat + h * (d + slope(state.x, s, estimate)) / 2)

    enter = churned if gamma > 0 else unchanged
    if process.coefficients(s).s == 0 or process.coefficients(t_hat).s == 0:
        return [Stage(step, t_hat, s, finish, enter)]
    return [Stage(step, t_hat, s, euler, enter), Stage(step, s, s, correct)]
