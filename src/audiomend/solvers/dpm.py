"""DPM-Solver++(2M) (Lu et al. 2022): exponential integration in lambda = ln(a / s), two steps long."""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, expm1, inf, isinf, log, sqrt

from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process, centred, combine
from audiomend.solvers.base import Draw, Solver, Stage, State


def dpm_pp_2m(sde: bool = False) -> Solver:
    """x_s = (s_s / s_t) x_t - a_s (e^-h - 1) ((1 + 1/2r) D - 1/2r D_previous), r = h_previous / h.

    Written for x without its anchor. A step without history and one that starts or ends at s = 0, where h is
    infinite, are of first order.

    sde: solve the reverse stochastic equation instead (SDE-DPM-Solver++(2M)): with e^-2h for e^-h, x_t
        times another e^-h and fresh noise of s_s sqrt(1 - e^-2h).
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        steps = lambda_steps(process, levels)

        def stage(step: int, t: float, s: float) -> Stage:
            weight = extrapolation(steps, step)

            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                clean = estimate.clean
                if weight > 0 and state.memory:
                    (previous,) = state.memory
                    clean = clean + weight * (clean - previous)
                noise = draw(0) if sde else None
                return State(exponential_step(process, state.x, t, s, clean, noise), memory=(estimate.clean,))

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def exponential_step(
    process: Process, x: Tensor, t: float, s: float, clean: Tensor, noise: Tensor | None = None
) -> Tensor:
    """The step from x (..., time) at time t to time s that is exact for a constant estimate x_0 = clean.

    noise: standard normal (..., time) for the reverse stochastic equation; None: the ordinary one.
    """
    c, after = process.coefficients(t), process.coefficients(s)
    if c.s == 0:  # x is the anchor and knows nothing of the noise to come
        return combine(process, after, clean, noise)
    h = half_log_snr(process, s) - half_log_snr(process, t)
    if noise is None:
        stepped = after.s / c.s * centred(process, x, t) - after.a * expm1(-h) * clean
    else:
        stepped = after.s / c.s * exp(-h) * centred(process, x, t) - after.a * expm1(-2 * h) * clean
        stepped = stepped + after.s * sqrt(-expm1(-2 * h)) * noise
    return stepped if process.anchor is None else stepped + after.b * process.anchor


def half_log_snr(process: Process, t: float) -> float:
    """lambda = ln(a / s); infinite where s = 0: -inf at a bridge's start, where a = 0 too."""
    c = process.coefficients(t)
    if c.a == 0:
        return -inf
    return log(c.a / c.s) if c.s > 0 else inf


def lambda_steps(process: Process, levels: Sequence[float]) -> list[float]:
    """h of each step: by how much lambda grows; a step from or to s = 0 has an infinite one."""
    return [half_log_snr(process, s) - half_log_snr(process, t) for t, s in pairwise(levels)]


def extrapolation(steps: Sequence[float], step: int) -> float:
    """1/2r = h / (2 h_previous), the weight of D - D_previous; 0 where the step is of first order."""
    return 0.0 if step == 0 or isinf(steps[step]) else steps[step] / (2 * steps[step - 1])
