"""A network made a denoiser: by EDM's preconditioning, or from a prediction of the noise as in DDPM."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate

Network = Callable[[Tensor, Tensor], Tensor]
"""(x of unit variance (batch, time), ln(sigma / sigma_data) (batch,)) -> F (batch, time)."""


def preconditioned(network: Network, sigma_data: float) -> Denoiser:
    """D(x; sigma) = c_skip x + c_out F(c_in x), and c_noise = ln(sigma / sigma_data).

    With v = sigma^2 + sd^2: c_skip = sd^2 / v, c_out = sigma sd / sqrt(v), c_in = 1 / sqrt(v) (Karras et al.
    2022, eq. 7 and table 1).
    """

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        del s, carry
        total = math.hypot(t, sigma_data)
        level = torch.full(x.shape[:1], math.log(t / sigma_data), device=x.device)
        predicted = network(x / total, level)
        return Estimate((sigma_data / total) ** 2 * x + (t * sigma_data / total) * predicted)

    return denoise


def noise_predicting(network: Network, betas: Sequence[float]) -> Denoiser:
    """D(x; sigma) = x - sigma e(x / sqrt(1 + sigma^2), step), for a network of DDPM (Ho et al. 2020, eq. 4).

    Args:
        network: takes x_i = sqrt(a_i) x_0 + sqrt(1 - a_i) e and the step i, (batch,), and gives e.
        betas: of its steps; a_i is the product of 1 - beta up to i, so that sigma_i^2 = 1 / a_i - 1. Between
            steps i is interpolated over ln sigma; beyond them it is the nearest.
    """
    kept = np.cumprod(1 - np.asarray(betas))
    log_levels = np.log(1 / kept - 1) / 2

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        del s, carry
        step = float(np.interp(math.log(t), log_levels, np.arange(len(kept))))
        predicted = network(x / math.hypot(1, t), torch.full(x.shape[:1], step, device=x.device))
        return Estimate(x - t * predicted)

    return denoise
