"""Gradients through a denoiser, row by row: what every guidance that takes them has in common."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.processes.base import Process

Norm = Callable[[Tensor], Tensor]
"""The residual of the observation -> one number for each window and channel."""


def euclidean(residual: Tensor) -> Tensor:
    """(..., m) -> (...), the 2-norm; its gradient at 0 is 0."""
    return torch.linalg.vector_norm(residual, dim=-1)


def pulled_back(
    denoise: Denoiser,
    x: Tensor,
    t: float,
    s: float,
    carry: object,
    weight: Callable[[Tensor], Tensor],
) -> tuple[Estimate, Tensor]:
    """One evaluation and one backward pass: the estimate, and J^T weight(x_0) with J = dx_0/dx.

    With the gradient of a loss with respect to x_0 as weight, J^T of it is the gradient with respect to x.
    Rows of x that the denoiser keeps apart stay apart.

    weight: x_0 (..., time) -> (..., time), without gradient.
    """
    with torch.inference_mode(False), torch.enable_grad():
        state = x.detach().clone().requires_grad_()  # a clone, since inference tensors take no gradient
        estimate = denoise(state, t, s, carry)
        clean = estimate.clean
        (gradient,) = torch.autograd.grad(clean, state, weight(clean.detach()))
    noise = None if estimate.noise is None else estimate.noise.detach()
    return dataclasses.replace(estimate, clean=clean.detach(), noise=noise), gradient


def gradient_of(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """x_0 -> d loss / d x_0, where loss gives one number for each row; it is summed. In any mode of torch."""

    def weight(clean: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            leaf = clean.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(leaf).sum(), leaf)
        return gradient

    return weight


def relative_level(process: Process, t: float) -> tuple[float, float]:
    """a and sigma = s / a: x / a is the state of the variance-exploding process at noise level sigma."""
    c = process.coefficients(t)
    return c.a, c.s / c.a


def row_norm(x: Tensor) -> Tensor:
    """(..., time) -> (..., 1), the 2-norm of each window and channel."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
