"""Guidance by replacement, as published for CQT-Diff (Moliner et al. 2023) under "data consistency"."""

import dataclasses
from collections.abc import Callable

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate


def replaced(denoise: Denoiser, forward: Callable[[Tensor], Tensor], observation: Tensor) -> Denoiser:
    """x_0 <- y + x_0 - A(x_0); the projection on A x = y only where A is an orthogonal projection itself.

    forward: an operator's `forward`, (..., time) -> (..., time).
    observation: y, (..., time).
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        clean = observation + estimate.clean - forward(estimate.clean)
        return dataclasses.replace(estimate, clean=clean, noise=None)

    return guided
