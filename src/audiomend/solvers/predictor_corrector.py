"""Predictor-corrector sampling (Song et al. 2021): Langevin steps at each time, then the step to the next."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor

from audiomend.denoisers.base import Estimate, noise_of
from audiomend.processes.base import Process
from audiomend.solvers.base import Draw, Solver, Stage, State, drawing_later


def predictor_corrector(
    predictor: Solver,
    snr: float = 0.5,
    corrections: int = 1,
    size: Literal["annealed", "langevin"] = "annealed",
) -> Solver:
    """`corrections` times x <- x + eps score + sqrt(2 eps) e' at time t, then the predictor from t to s.

    predictor: any solver but `repainted`, which goes around this one; the published ones have
        `euler_maruyama()`, or no stages at all. A multistep one starts anew each time.
    snr: 0.5 for SGMSE at 16 and 48 kHz, 0.33 for its dereverberation, 0.16 in Song et al.
    size: "annealed": eps = 2 (snr s_t)^2 (SGMSE's "ald"); "langevin": eps = 2 (snr |e'| / |score|)^2
        (Algorithms 4 and 5), with norms over all axes but the first and their means over the first one, which
        needs the whole signal.
    """

    def solver(process: Process, levels: Sequence[float]) -> list[Stage]:
        groups = groupby(predictor(process, levels), key=lambda stage: stage.step)
        predictions = {step: list(group) for step, group in groups}
        stages: list[Stage] = []
        for step, t in enumerate(levels[:-1]):
            stages += [_correction(process, step, t, snr, number, size) for number in range(corrections)]
            stages += [drawing_later(stage, corrections) for stage in predictions.get(step, [])]
        return stages

    return solver


def _correction(
    process: Process, step: int, t: float, snr: float, number: int, size: Literal["annealed", "langevin"]
) -> Stage:
    level = process.coefficients(t).s

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        if level == 0:  # at the start of a bridge there is nothing to correct
            return State(state.x)
        fresh, score = draw(number).expand_as(state.x), -noise_of(process, state.x, t, estimate) / level
        ratio = level if size == "annealed" else _norm(fresh) / _norm(score)
        return State(state.x + 2 * (snr * ratio) ** 2 * score + 2 * snr * ratio * fresh)

    return Stage(step, t, t, leave, whole=size == "langevin")


def _norm(x: Tensor) -> Tensor:
    """The mean of the norms of x[0], x[1], ..."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1).mean()
