"""Guidance by projection: the estimate is replaced by the nearest signal that fits the observation."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, noise_of
from audiomend.processes.base import Process


def projected(
    denoise: Denoiser,
    project: Callable[[Tensor, Tensor], Tensor],
    observation: Tensor,
    keep_noise: Process | None = None,
) -> Denoiser:
    """x_0 <- project(x_0, observation); one evaluation, no gradient.

    project: an operator's `project`.
    observation: what the operator made of the clean signal; its shape is the operator's affair.
    keep_noise: the process of the walk, to keep the noise that the unprojected estimate implies (DDNM, Wang
        et al. 2023, for a linear operator with project = x + A^+ (y - A x)); None: the projected one's.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        noise = None if keep_noise is None else noise_of(keep_noise, x, t, estimate)
        return replace(estimate, clean=project(estimate.clean, observation), noise=noise)

    return guided
