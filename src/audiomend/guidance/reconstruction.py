"""Reconstruction guidance (Ho et al. 2022) as CQT-Diff has it (Moliner et al. 2023): as coded and as printed.

The paper prints score - xi(sigma) G with G = grad_x ‖y - A(x_0)‖² and xi(sigma) = xi' √N / (sigma ‖G‖²). The
released code takes the gradient of the plain norm and divides by the first power of ‖G‖, so that the estimate
moves by an RMS of xi' sigma whatever the residual is. These are two methods.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.guidance.gradient import (
    Norm,
    euclidean,
    gradient_of,
    pulled_back,
    relative_level,
    row_norm,
)
from audiomend.guidance.scale import Scale
from audiomend.processes.base import Process

FLOOR = 1e-6  # of the code's denominator


def reconstruction(
    denoise: Denoiser,
    process: Process,
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    scale: Scale,
    limit: float = math.inf,
    norm: Norm = euclidean,
) -> Denoiser:
    """x_0 <- x_0 - sigma² xi' g / (sigma ‖g‖ / √N + 1e-6), g = grad_x ‖y - A(x_0)‖: as coded.

    One evaluation and one backward pass. Each window and channel is normalised by itself. Followed by
    `replaced` it is the code's "data consistency" with guidance, in its order.

    Args:
        forward: an operator's `forward`, differentiable.
        observation: y, of the shape that forward gives.
        scale: xi' at each noise level.
        limit: the largest magnitude of an element of g, to which it is cut after its norm was taken; the code
            has 1 for filters and none for gaps and clipping. It is not in the paper.
        norm: of the residual y - A(x_0). For phase retrieval the code takes the spectral norm of the matrix
            of magnitudes, `spectral`.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        weight = gradient_of(lambda clean: norm(observation - forward(clean)))
        estimate, gradient = pulled_back(denoise, x, t, s, carry, weight)
        a, sigma = relative_level(process, t)
        gradient = a * gradient
        rms = row_norm(gradient) / math.sqrt(x.shape[-1])
        step = sigma**2 * scale(sigma) / (sigma * rms + FLOOR) * gradient.clamp(-limit, limit)
        return dataclasses.replace(estimate, clean=estimate.clean - step, noise=None)

    return guided


def reconstruction_as_printed(
    denoise: Denoiser,
    process: Process,
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    scale: Scale,
    norm: Norm = euclidean,
) -> Denoiser:
    """x_0 <- x_0 - sigma xi' √N G / ‖G‖², G = grad_x ‖y - A(x_0)‖² (eq. 4 and below it), 0 where G is 0.

    The smaller the residual the further it moves the estimate: shown for comparison. Arguments as in
    `reconstruction`.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        weight = gradient_of(lambda clean: norm(observation - forward(clean)).square())
        estimate, gradient = pulled_back(denoise, x, t, s, carry, weight)
        a, sigma = relative_level(process, t)
        gradient = a * gradient
        energy = row_norm(gradient).square()
        step = sigma * scale(sigma) * math.sqrt(x.shape[-1]) * gradient / energy
        step = torch.where(energy > 0, step, 0.0)
        return dataclasses.replace(estimate, clean=estimate.clean - step, noise=None)

    return guided


def spectral(residual: Tensor) -> Tensor:
    """(..., bins, frames) -> (...), the largest singular value."""
    return torch.linalg.matrix_norm(residual, ord=2)
