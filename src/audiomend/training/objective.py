"""Denoising score matching with the preconditioning of EDM (Karras et al. 2022, section 5 and table 1).

With s = sigma / sqrt(sigma^2 + sigma_data^2) and c^2 = 1 - s^2 the network sees y / sqrt(sigma^2 +
sigma_data^2), y = x0 + sigma e, and is to give F = (x0 - c^2 y) / (s sigma_data), which has unit variance at
every level.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.networks.patch_unet import Seen

UNKNOWN_SHARE = 0.8  # of the loss of a damaged crop, on the samples that are unknown there
MOST_WEIGHT = 8.0  # of one sample, however few are unknown


@dataclass(frozen=True)
class Batch:
    """Clean crops and what the network is told of them; signals are in units of sigma_data.

    Attributes:
        clean: (batch, time).
        bandwidth: (batch,) over Nyquist, 0 where the network is not told.
        seen: the damaged version; rows without one have `present` 0.
        materials: what each row is, for the log.
    """

    clean: Tensor
    bandwidth: Tensor
    seen: Seen
    materials: tuple[str, ...]


def draw_levels(
    batch: int, mean: float, spread: float, lowest: float, highest: float, generator: torch.Generator
) -> Tensor:
    """ln(sigma / sigma_data) ~ N(mean, spread), clipped, one draw in each of `batch` shares: (batch,)."""
    shares = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    normal = math.sqrt(2) * torch.erfinv((2 * shares - 1).clamp(-0.999999, 0.999999))
    levels = (mean + spread * normal).clamp(math.log(lowest), math.log(highest))
    return levels[torch.randperm(batch, generator=generator)]


def noisy_and_target(clean: Tensor, noise: Tensor, log_level: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled noisy signal and F, both (batch, time), from clean (units of sigma_data) and unit noise."""
    s = torch.sigmoid(2 * log_level).sqrt()[:, None]
    c = torch.sigmoid(-2 * log_level).sqrt()[:, None]
    # y / sqrt(sigma^2 + sd^2) = c x0 / sd + s e, and (x0 - c^2 y) / (s sd) = s x0 / sd - c e.
    return c * clean + s * noise, s * clean - c * noise


def sample_weights(seen: Seen) -> Tensor:
    """(batch, time) weights of mean about 1 that favour unknown samples of damaged crops."""
    share = seen.unknown.mean(-1, keepdim=True)
    damaged = seen.present[:, None] * (share > 0)
    favoured = (1 - UNKNOWN_SHARE) + (UNKNOWN_SHARE * seen.unknown / share.clamp_min(1e-6)).clamp_max(
        MOST_WEIGHT
    )
    return torch.where(damaged > 0, favoured, 1.0)


def errors(network: torch.nn.Module, batch: Batch, log_level: Tensor, noise: Tensor) -> Tensor:
    """(batch,) weighted mean square error of F; 1 is the error of F = 0 on white data."""
    x, target = noisy_and_target(batch.clean, noise, log_level)
    predicted = network(x, log_level, batch.bandwidth, batch.seen)
    return (sample_weights(batch.seen) * (predicted - target).square()).mean(-1)
