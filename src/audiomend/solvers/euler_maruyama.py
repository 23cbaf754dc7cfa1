"""The Euler-Maruyama step of the reverse-time stochastic equation (Song et al. 2021, eq. 6)."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from audiomend.denoisers.base import Estimate, noise_of
from audiomend.processes.base import Process, sde
from audiomend.solvers.base import Draw, Solver, Stage, State


def euler_maruyama(dt: float | None = None) -> Solver:
    """x_s = x_t - (f - g^2 score) dt + g sqrt(dt) e', f = alpha x + beta anchor, score = -e / s_t.

    In SGMSE it is the predictor "reverse_diffusion". Milstein's method adds half of g dg/dx (dw^2 - dt),
    which is nothing here, where g is a function of time alone: the two are one, of strong order 1. The step
    to s = 0 gets no noise.

    dt: the time that every step covers, whatever the times: the older code of SGMSE and StoRM has 1 / steps;
        None: from time to time.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        return [
            _stage(process, step, t, s, t - s if dt is None else dt)
            for step, (t, s) in enumerate(pairwise(levels))
        ]

    return solver


def _stage(process: Process, step: int, t: float, s: float, dt: float) -> Stage:
    equation, c, after = sde(process, t), process.coefficients(t), process.coefficients(s)

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        drift = equation.alpha * state.x + equation.g2 / c.s * noise_of(process, state.x, t, estimate)
        if process.anchor is not None:
            drift = drift + equation.beta * process.anchor
        x = state.x - dt * drift
        return State(x + sqrt(equation.g2 * dt) * draw(0) if after.s > 0 else x)

    return Stage(step, t, s, leave)
