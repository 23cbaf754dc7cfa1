"""Diffusion posterior sampling (Chung et al. 2023): a step against the residual after each step."""

import dataclasses
from collections.abc import Callable

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, noise_of
from audiomend.guidance.gradient import Norm, euclidean, gradient_of, pulled_back
from audiomend.guidance.scale import Scale
from audiomend.processes.base import Process


def dps(
    denoise: Denoiser,
    process: Process,
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    scale: Scale,
    norm: Norm = euclidean,
) -> Denoiser:
    """x_s <- step(x_t) - zeta grad_x ‖y - A(x_0)‖ (algorithm 1): the residual's norm, not its square.

    A solver's step of first order adds a_s x_0 to noise, so the estimate takes the correction divided by a_s
    and the noise stays the one that the unguided estimate implies. One evaluation and one backward pass.

    forward: an operator's `forward`, differentiable.
    observation: y, of the shape that forward gives.
    scale: zeta at each noise level; not relative to it, unlike in `reconstruction`. About 1 for images.
    norm: of the residual y - A(x_0).
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        weight = gradient_of(lambda clean: norm(observation - forward(clean)))
        estimate, gradient = pulled_back(denoise, x, t, s, carry, weight)
        noise = noise_of(process, x, t, estimate)
        before, after = process.coefficients(t), process.coefficients(s)
        step = scale(before.s / before.a) / after.a * gradient
        return dataclasses.replace(estimate, clean=estimate.clean - step, noise=noise)

    return guided
