"""The rows of "Music Restoration using Unsupervised Diffusion Models" (Hernandez-Olivan et al. 2024).

Its tables compare RG, RG + DC, RG with a scale that changes with time + DC, PIGDM + DC and the third with
RePaint's cycles (RP), which are a sampler's affair. DC is replacement, y + x_0 - A(x_0), after the guidance.
"""

import math
from typing import Protocol, runtime_checkable

from torch import Tensor

from audiomend.denoisers.base import Denoiser
from audiomend.guidance.gradient import Norm, euclidean
from audiomend.guidance.pseudo_inverse import pigdm, pseudo_inverse
from audiomend.guidance.reconstruction import reconstruction
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Scale
from audiomend.operators import Forward
from audiomend.processes.base import Process


@runtime_checkable
class Invertible(Forward, Protocol):
    """A damage with a pseudo-inverse: every linear one, HardClip and Quantize."""

    def pinv(self, y: Tensor) -> Tensor: ...


def rg(
    denoise: Denoiser,
    process: Process,
    operator: Forward,
    observation: Tensor,
    scale: Scale,
    limit: float = math.inf,
    norm: Norm = euclidean,
) -> Denoiser:
    """Row "RG": reconstruction guidance as CQT-Diff's code has it. `Constant` in all rows but those of δρ."""
    return reconstruction(denoise, process, operator.forward, observation, scale, limit, norm)


def rg_dc(
    denoise: Denoiser,
    process: Process,
    operator: Forward,
    observation: Tensor,
    scale: Scale,
    limit: float = math.inf,
    norm: Norm = euclidean,
) -> Denoiser:
    """Rows "RG + DC" and, with a scale that changes with time, "RG δρ + DC"."""
    guided = rg(denoise, process, operator, observation, scale, limit, norm)
    return replaced(guided, operator.forward, observation)


def pigdm_dc(denoise: Denoiser, process: Process, operator: Invertible, observation: Tensor) -> Denoiser:
    """Row "PIGDM + DC"."""
    correction = pseudo_inverse(operator.forward, operator.pinv, observation)
    return replaced(pigdm(denoise, process, correction), operator.forward, observation)
