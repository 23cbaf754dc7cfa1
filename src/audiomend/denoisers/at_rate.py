"""A denoiser of one sample rate for states of another: the prior's rate is its own affair.

White noise of deviation sigma at rate r has deviation sigma sqrt(r_p / r) in the same band at the prior's
rate r_p. A window is resampled by its discrete Fourier transform, so that down after up is the identity and
known samples, which are put in place at the file's rate, stay exact.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate


def at_rate(
    prior: Denoiser,
    length: int,
    prior_length: int,
    above: Denoiser,
    fill: Callable[[], Tensor],
) -> Denoiser:
    """The prior for windows of `length` samples at the file's rate.

    Args:
        prior: takes (batch, prior_length); its rate is the file's times prior_length / length.
        length, prior_length: both cover the same time.
        above: denoiser at the file's rate for the band above the prior's Nyquist frequency.
        fill: standard normal noise, broadcast to (batch, prior_length); its upper band takes the place that a
            file of a lower rate leaves empty.
    """
    if length == prior_length:
        return prior
    shared = (min(length, prior_length) + 1) // 2  # bins below both Nyquist frequencies

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        ratio = math.sqrt(prior_length / length)
        spectrum = torch.fft.rfft(x, norm="ortho")
        if prior_length > length:
            inner = torch.fft.rfft(fill().expand(x.shape[0], -1) * (t * ratio), norm="ortho")
        else:
            inner = spectrum.new_zeros(x.shape[0], prior_length // 2 + 1)
        inner[..., :shared] = spectrum[..., :shared] * ratio
        state = torch.fft.irfft(inner, n=prior_length, norm="ortho")
        estimate = prior(state, t * ratio, s * ratio, carry)
        clean = torch.fft.rfft(estimate.clean, norm="ortho")[..., :shared] / ratio
        outer = torch.fft.rfft(above(x, t, s).clean, norm="ortho") if length > prior_length else spectrum * 0
        outer[..., :shared] = clean
        return Estimate(torch.fft.irfft(outer, n=length, norm="ortho"), carry=estimate.carry)

    return denoise
