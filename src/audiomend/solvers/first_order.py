"""First order: the one transition that nearly all diffusion samplers share."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Literal

from audiomend.denoisers.base import Estimate, noise_of
from audiomend.errors import UsageError
from audiomend.processes.base import Process, combine
from audiomend.solvers.base import Draw, Solver, Stage, State


def first_order(freshness: float | Literal["ancestral"] = 0.0) -> Solver:
    """x_s = a_s x_0 + b_s anchor + s_s (sqrt(1 - f^2) e + f e'), e' fresh noise.

    freshness: f from 0 to 1. 0 is DDIM, the first-order solution of the probability-flow ODE (Song et al.
        2021); 1 renews all noise (multistep consistency sampling, Song et al. 2023); "ancestral" is the exact
        reverse of the process, f^2 = 1 - rho^2 with rho = a_t s_s / (a_s s_t) (DDPM, Ho et al. 2020).

    Raises:
        UsageError: if the freshness is out of range.
    """
    if freshness != "ancestral" and not 0 <= freshness <= 1:
        raise UsageError(f'A freshness of {freshness} is neither a number from 0 to 1 nor "ancestral".')

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        def stage(step: int, t: float, s: float) -> Stage:
            after = process.coefficients(s)
            f = ancestral_freshness(process, t, s) if freshness == "ancestral" else freshness

            def leave(state: State, estimate: Estimate, draw: Draw) -> State:
                noise = noise_of(process, state.x, t, estimate)
                if f > 0 and after.s > 0:
                    noise = sqrt(1 - f**2) * noise + f * draw(0)
                return State(combine(process, after, estimate.clean, noise))

            return Stage(step, t, s, leave)

        return [stage(step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def ancestral_freshness(process: Process, t: float, s: float) -> float:
    """f of the exact reverse of the process from time t to s <= t; it adds noise of deviation f s_s."""
    before, after = process.coefficients(t), process.coefficients(s)
    if before.s == 0:  # at the start of a bridge, where rho tends to 0
        return 1.0
    rho = before.a * after.s / (after.a * before.s)
    return sqrt(1 - rho**2)
