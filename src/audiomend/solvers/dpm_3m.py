"""DPM-Solver++(3M): exponential integration in lambda = ln(a / s), three steps long (Lu et al. 2022)."""

from collections.abc import Sequence
from itertools import pairwise
from math import expm1, isinf

from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process
from audiomend.solvers.base import Draw, Solver, Stage, State
from audiomend.solvers.dpm import exponential_step, extrapolation, lambda_steps


def dpm_pp_3m(sde: bool = False) -> Solver:
    """The step that is exact for the parabola in lambda through this estimate and the last two.

    The published code takes half of the parabola's curvature, which leaves order 2; here it is the whole.
    With one estimate in memory the step is that of 2M; a step without history and one that starts or ends
    at s = 0 are of first order. The error of the first step stays in the result: small where the walk starts
    from noise, of order 2 where the estimate changes from the start.

    sde: solve the reverse stochastic equation, as in `dpm_pp_2m`.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        steps = lambda_steps(process, levels)

        def stage(step: int, t: float, s: float) -> Stage:
            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                clean = _effective(steps, step, estimate.clean, state.memory, sde)
                noise = draw(0) if sde else None
                memory = (estimate.clean, *state.memory[:1])
                return State(exponential_step(process, state.x, t, s, clean, noise), memory)

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def _effective(
    steps: Sequence[float], step: int, clean: Tensor, earlier: Sequence[Tensor], sde: bool
) -> Tensor:
    """The constant estimate (..., time) that takes a step as far as the extrapolated ones do.

    clean, earlier: the estimate at the step's start and those before it, the latest first.
    """
    h = steps[step]
    if not earlier or isinf(h):
        return clean
    if len(earlier) == 1:
        return clean + extrapolation(steps, step) * (clean - earlier[0])
    before, long_before = steps[step - 1] / h, steps[step - 2] / h
    slope = (clean - earlier[0]) / before
    curvature = (slope - (earlier[0] - earlier[1]) / long_before) / (before + long_before)
    first, second = _moments(2 * h if sde else h)
    return clean + first * (slope + before * curvature) + second * curvature


def _moments(h: float) -> tuple[float, float]:
    """The means of u and u^2 over a step, 0 <= u <= 1, weighted by e^(h u)."""
    share = -expm1(-h)
    mean = 1 / share - 1 / h
    return mean, 1 / share - 2 * mean / h
