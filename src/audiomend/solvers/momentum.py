"""Plug-and-play with momentum: the most accurate single signal rather than a draw from the posterior."""

from collections.abc import Sequence
from itertools import pairwise

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process, combine
from audiomend.solvers.base import Draw, Solver, Stage, State


def momentum(m: float, kappa: float, stride: float = 1.0) -> Solver:
    """z' = z + stride (D - z) + m (z - z_previous), x_s = a_s z' + b_s anchor + kappa s_s e', e' fresh noise.

    Heavy-ball iteration (Polyak 1964) towards the point that the denoiser leaves alone. Where D is a Wiener
    filter and the known samples are put back, that point is the Gaussian estimate of the unknown ones, and
    the iteration converges for every stride below 2 (1 + m). The first step has no z and takes D.

    m: share of the last move that is made again.
    kappa: share of the noise level that is really added; below 1 the state carries less noise than the
        denoiser is told. m = 0, stride = 1, kappa = 1 is `first_order(1)`.
    stride: of the way to the new estimate; above 1 goes beyond it.

    The step to s = 0 gives the estimate itself.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        def stage(step: int, t: float, s: float) -> Stage:
            after = process.coefficients(s)

            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                if after.s == 0:
                    return State(combine(process, after, estimate.clean))
                if not state.memory:
                    moved = before = estimate.clean
                else:
                    before, earlier = state.memory
                    moved = before + stride * (estimate.clean - before) + m * (before - earlier)
                return State(combine(process, after, moved, kappa * draw(0)), memory=(moved, before))

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver
