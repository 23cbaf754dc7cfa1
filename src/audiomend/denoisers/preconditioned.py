"""A network made a denoiser by EDM's preconditioning (Karras et al. 2022, eq. 7 and table 1)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate

Network = Callable[[Tensor, Tensor], Tensor]
"""(x of unit variance (batch, time), ln(sigma / sigma_data) (batch,)) -> F (batch, time)."""


def preconditioned(network: Network, sigma_data: float) -> Denoiser:
    """D(x; sigma) = c_skip x + c_out F(c_in x), with c_noise = ln(sigma / sigma_data).

    With v = sigma^2 + sd^2: c_skip = sd^2 / v, c_out = sigma sd / sqrt(v), c_in = 1 / sqrt(v).
    """

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        del s, carry
        total = math.hypot(t, sigma_data)
        level = torch.full(x.shape[:1], math.log(t / sigma_data), device=x.device)
        predicted = network(x / total, level)
        return Estimate((sigma_data / total) ** 2 * x + (t * sigma_data / total) * predicted)

    return denoise
