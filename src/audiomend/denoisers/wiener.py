"""The empirical Wiener estimate: a denoiser that needs no training.

It shrinks each bin of a short-time spectrum by what its own power and its neighbours in time say of the
signal there, and is the mean of a short and a long window. The baseline of every table, and the prior above
the Nyquist frequency of a trained one.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.networks.wiener_gain import wiener_gain
from audiomend.transforms.stft import Stft

SECONDS = (0.046, 0.186)  # of the two windows


def wiener(rate: float, sigma_data: float) -> Denoiser:
    """Denoiser for signals of any length at `rate` samples per second and RMS sigma_data."""
    transforms = [_transform(rate, seconds) for seconds in SECONDS]

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        del s, carry
        longest = max(transform.window for transform in transforms)
        padded = F.pad(x, (0, -x.shape[-1] % longest))
        level = torch.tensor(math.log(t / sigma_data), device=x.device)
        estimates = [_shrunk(transform, padded / t, level) for transform in transforms]
        return Estimate(torch.stack(estimates).mean(0)[..., : x.shape[-1]] * t)

    return denoise


def _transform(rate: float, seconds: float) -> Stft:
    window = 2 ** max(3, round(math.log2(rate * seconds)))
    return Stft(window, window // 4, window // 2 + 1)


def _shrunk(transform: Stft, x: Tensor, level: Tensor) -> Tensor:
    spectrum = transform.forward(x)
    power = spectrum.real.square() + spectrum.imag.square()
    return transform.inverse(spectrum * wiener_gain(power, level))
