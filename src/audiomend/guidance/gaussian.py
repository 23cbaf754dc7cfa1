"""Exact guidance for a linear operator with Gaussian noise, where the estimate's uncertainty is known."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate


def conditioned(
    denoise: Denoiser,
    matrix: Tensor,
    observation: Tensor,
    noise_level: float,
    covariance: Callable[[float], Tensor],
) -> Denoiser:
    """x_0 <- x_0 + V A^T (A V A^T + sigma_y^2 I)^-1 (y - A x_0): the mean of x_0 given x_t and y = A x_0 + n.

    It equals x_0 + (s^2 / a) grad log p(y | x_t), since V = (s^2 / a) dx_0/dx_t (Tweedie's second formula).
    The matrices are dense: for short signals and for tests.

    matrix: (m, time) A.
    observation: (..., m) y.
    noise_level: sigma_y > 0, standard deviation of n.
    covariance: t -> V (time, time), the covariance of x_0 given x_t.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        v = covariance(t)
        innovation = matrix @ v @ matrix.T + noise_level**2 * torch.eye(len(matrix), dtype=v.dtype)
        gain = torch.linalg.solve(innovation, matrix @ v)  # transposed, (m, time)
        residual = observation - estimate.clean @ matrix.T
        return dataclasses.replace(estimate, clean=estimate.clean + residual @ gain, noise=None)

    return guided
