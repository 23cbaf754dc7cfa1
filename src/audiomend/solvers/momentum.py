"""Plug-and-play with momentum: the most accurate single signal rather than a draw from the posterior."""

from collections.abc import Sequence
from itertools import pairwise

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process, combine
from audiomend.solvers.base import Draw, Solver, Stage, State


def momentum(m: float, kappa: float) -> Solver:
    """x_s = a_s (D + m (D - D_previous)) + b_s anchor + kappa s_s e', e' fresh noise.

    m: how far the estimate is carried on in the direction of its last change; 0.7 to 0.95 served clipping.
    kappa: share of the noise level that is really added; below 1 the state carries less noise than the
        denoiser is told. m = 0, kappa = 1 is `first_order(1)`. The step to s = 0 gives the estimate itself.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        def stage(step: int, t: float, s: float) -> Stage:
            after = process.coefficients(s)

            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                clean = estimate.clean
                if after.s == 0:
                    return State(combine(process, after, clean))
                for previous in state.memory:  # none in the first step
                    clean = clean + m * (clean - previous)
                return State(combine(process, after, clean, kappa * draw(0)), memory=(estimate.clean,))

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver
