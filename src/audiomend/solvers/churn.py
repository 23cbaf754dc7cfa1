"""Churn (Karras et al. 2022, Algorithm 2): before a step, fresh noise raises the noise level."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf, sqrt

from audiomend.processes.base import Process, renoised
from audiomend.solvers.base import Draw, Solver, Stage, State, drawing_later

MOST_CHURN = sqrt(2) - 1  # never more new noise than there is already


def churned(
    solver: Solver,
    churn: float,
    denominator: int | None = None,
    s_tmin: float = 0.0,
    s_tmax: float = inf,
    s_noise: float = 1.0,
) -> Solver:
    """Each step of a solver from t to s begun at (1 + gamma) t, gamma = S_churn / denominator.

    solver: any solver of single steps; a multistep one starts anew each time. CQT-Diff's code with order 1 is
        `churned(first_order(), churn, denominator=steps + 1)`.
    churn: S_churn; steps that start between s_tmin and s_tmax are begun higher, the last one included.
    denominator: the number of steps where None (the paper); CQT-Diff's code has the number of steps plus 1.
    s_noise: standard deviation of the fresh noise.
    """

    def walk(process: Process, levels: Sequence[float]) -> list[Stage]:
        gammas = churn_factors(levels, churn, denominator, s_tmin, s_tmax)
        return [
            replace(stage, step=step)
            for step, ((t, s), gamma) in enumerate(zip(pairwise(levels), gammas, strict=True))
            for stage in _begun_higher(solver, process, t, s, gamma, s_noise)
        ]

    return walk


def churn_factors(
    levels: Sequence[float],
    churn: float,
    denominator: int | None = None,
    s_tmin: float = 0.0,
    s_tmax: float = inf,
) -> list[float]:
    """gamma of each step; arguments as in `churned`."""
    gamma = min(churn / (denominator or len(levels) - 1), MOST_CHURN)
    return [gamma if s_tmin <= t <= s_tmax else 0.0 for t in levels[:-1]]


def _begun_higher(
    solver: Solver, process: Process, t: float, s: float, gamma: float, s_noise: float
) -> list[Stage]:
    t_hat = (1 + gamma) * t
    first, *rest = (drawing_later(stage, 1) for stage in solver(process, [t_hat, s]))

    def enter(state: State, draw: Draw) -> State:
        if gamma == 0:
            return first.enter(State(state.x), draw)
        return first.enter(State(renoised(process, state.x, t, t_hat, s_noise * draw(0))), draw)

    return [replace(first, enter=enter), *rest]
