"""UniPC of order 2 with B(h) = e^-h - 1, "bh2" (Zhao et al. 2023): a predictor and a free corrector."""

from collections.abc import Sequence
from itertools import pairwise
from math import expm1

from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process
from audiomend.solvers.base import Draw, Solver, Stage, State
from audiomend.solvers.dpm import exponential_step, extrapolation, lambda_steps


def unipc() -> Solver:
    """Each evaluation corrects the step that led to it, then predicts the next as DPM-Solver++(2M) does.

    The evaluation at the predicted state stands in for one at the corrected state, so that the corrector
    costs nothing. The state after the last step is not corrected.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        steps = lambda_steps(process, levels)

        def stage(step: int, t: float, s: float) -> Stage:
            weight = extrapolation(steps, step)

            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                x, clean = state.x, estimate.clean
                if state.memory:
                    x_before, *earlier = state.memory
                    corrected = _corrected(steps[:step], clean, earlier)
                    x = exponential_step(process, x_before, levels[step - 1], t, corrected)
                predicted = clean
                if weight > 0 and state.memory:
                    predicted = clean + weight * (clean - state.memory[1])
                return State(exponential_step(process, x, t, s, predicted), (x, clean, *state.memory[1:2]))

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def _corrected(steps: Sequence[float], clean: Tensor, earlier: Sequence[Tensor]) -> Tensor:
    """The constant estimate that takes the last of the steps right, given the one at its end.

    steps: h of the steps so far; clean: the estimate (..., time) after the last of them; earlier: the one
    before it and, where there is one in memory, that of one step before.
    """
    h, before = steps[-1], earlier[0]
    if len(earlier) == 1:
        return (before + clean) / 2
    r = -steps[-2] / h
    b = expm1(-h)
    phi_2 = b / -h - 1
    phi_3 = phi_2 / -h - 1 / 2
    rho_1 = (phi_2 - 2 * phi_3) / b / (1 - r)  # [[1, 1], [r, 1]] rho = [phi_2, 2 phi_3] / b
    rho_2 = phi_2 / b - rho_1
    return before + rho_1 / r * (earlier[1] - before) + rho_2 * (clean - before)
