"""The samplers of the Schroedinger bridge as SGMSE's code has them (after Jukić et al. 2024).

Their exact forms are `first_order(0)` and `first_order("ancestral")`. The published ones add 1e-8 to
variances that they divide by. In the stochastic one this changes nothing that float32 could show; in the
ordinary one it adds 0.02 (50 steps) to 0.05 (5 steps) of the anchor in the first step, where the true
variance is 0. Networks were measured with it.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from audiomend.denoisers.base import Estimate
from audiomend.errors import UsageError
from audiomend.processes.base import Process
from audiomend.processes.sbve import SBVE
from audiomend.solvers.base import Draw, Solver, Stage, State

EPS = 1e-8


def bridge_ode() -> Solver:
    """x_s = p x_t + q x_0 + r anchor, the ordinary equation solved for a constant estimate.

    With sigma^2 and rest^2 the variances before and after a time, EPS added to the latter, V their sum:
    p = sigma_s rest_s / (sigma_t rest_t), q = (rest_s^2 - rest_t rest_s sigma_s / sigma_t) / V and
    r = (sigma_s^2 - sigma_t sigma_s rest_s / rest_t) / V, with EPS added to what is divided by.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        bridge = _bridge(process)
        return [_ode_stage(bridge, step, t, s) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def bridge_sde() -> Solver:
    """x_s = m x_t + (1 - m) x_0 + sqrt(v_s (1 - m)) e', m = v_s / (v_t + EPS), v the variance before a time.

    The last step gets no noise, at whatever time it ends; SGMSE's ends at 1e-4.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        bridge, last = _bridge(process), len(levels) - 2
        return [_sde_stage(bridge, step, t, s, step == last) for step, (t, s) in enumerate(pairwise(levels))]

    return solver


def _bridge(process: Process) -> SBVE:
    if not isinstance(process, SBVE):
        raise UsageError(f"A bridge's solver walks the process SBVE only, not {type(process).__name__}.")
    return process


def _ode_stage(bridge: SBVE, step: int, t: float, s: float) -> Stage:
    (v_t, w_t), (v_s, w_s) = bridge.variances(t), bridge.variances(s)
    total = v_t + w_t + EPS
    sigma_t, sigma_s, rest_t, rest_s = sqrt(v_t), sqrt(v_s), sqrt(w_t + EPS), sqrt(w_s + EPS)
    p = sigma_s * rest_s / (sigma_t * rest_t + EPS)
    q = (rest_s**2 - rest_t * rest_s * sigma_s / (sigma_t + EPS)) / total
    r = (sigma_s**2 - sigma_t * sigma_s * rest_s / (rest_t + EPS)) / total

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        # in the first step p and r are about 5000 and cancel: together, they keep the precision of x
        x = p * (state.x - bridge.anchor) + (p + r) * bridge.anchor + q * estimate.clean
        return State(x)

    return Stage(step, t, s, leave)


def _sde_stage(bridge: SBVE, step: int, t: float, s: float, last: bool) -> Stage:
    (v_t, _), (v_s, _) = bridge.variances(t), bridge.variances(s)
    m = v_s / (v_t + EPS)

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        x = m * state.x + (1 - m) * estimate.clean
        return State(x if last else x + sqrt(v_s * (1 - m)) * draw(0))

    return Stage(step, t, s, leave)
