"""A tight short-time Fourier transform, circular in time, with phases that stand still.

Each frame is weighted by the square root of a Hann window and referred to one absolute time:

    X[n, k] = g sum_j x[j] w[j - n H + W/2] exp(-2 pi i k j / W),        0 <= k <= W/2

so that a stationary partial turns slowly from frame to frame in the bin nearest to it. The factor g makes
the real and the imaginary part of white unit noise have unit variance. With all W/2 + 1 bins the inverse is
exact; bins that are not kept count as 0.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Stft:
    """Short-time Fourier transform of circular signals whose length is a multiple of `window`.

    Attributes:
        window: frame length W in samples, a multiple of `hop`.
        hop: samples H from frame to frame; W / H is at least 2 and a power of two.
        bins: how many of the W/2 + 1 bins are kept, counted from 0 Hz.
    """

    window: int
    hop: int
    bins: int

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) real -> (..., time / hop, bins) complex."""
        frames = circular_frames(x, self.window, self.hop) * _window(self.window, self.hop, x.dtype, x.device)
        spectrum = torch.fft.rfft(frames)[..., : self.bins]
        return spectrum * self._rotation(spectrum)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """(..., frames, bins) complex -> (..., frames * hop) real."""
        spectrum = spectrum * self._rotation(spectrum).conj()
        frames = torch.fft.irfft(spectrum, n=self.window)
        weighted = frames * (_window(self.window, self.hop, frames.dtype, frames.device) * (self.hop / 2))
        return circular_overlap_add(weighted, self.hop)

    def _rotation(self, spectrum: Tensor) -> Tensor:
        table = _rotation_table(self.window, self.hop, self.bins, spectrum.dtype, spectrum.device)
        return table.repeat(spectrum.shape[-2] * self.hop // self.window, 1)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept must serve walks with gradient too
def _window(window: int, hop: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # The squares sum to 2 / hop over the frames that cover a sample: unit variance for white unit noise,
    # and hop / 2 times the adjoint is the inverse.
    hann = torch.hann_window(window, periodic=True, dtype=torch.float64)
    return (hann * (2 / hann.sum())).sqrt().to(dtype).to(device)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _rotation_table(window: int, hop: int, bins: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """exp(-2 pi i k s / W) for the frames' first samples s = n H - W/2, one period of n: (W / H, bins)."""
    starts = torch.arange(window // hop, dtype=torch.float64) * hop - window // 2
    turns = starts[:, None] * torch.arange(bins, dtype=torch.float64) / window
    return torch.polar(torch.ones_like(turns), -2 * math.pi * (turns % 1.0)).to(dtype).to(device)


def circular_frames(x: Tensor, window: int, hop: int) -> Tensor:
    """(..., time) -> (..., time / hop, window): frame n is centred on sample n * hop, circular."""
    half = window // 2
    padded = torch.cat((x[..., -half:], x, x[..., : window - half - hop]), dim=-1)
    return padded.unfold(-1, window, hop)


class _OverlapAdd(torch.autograd.Function):
    # Written out because autograd would fill one full-size tensor of zeros for every slice.
    @staticmethod
    def forward(ctx: Any, frames: Tensor, hop: int) -> Tensor:
        ctx.hop, ctx.window = hop, frames.shape[-1]
        window = frames.shape[-1]
        pieces = frames.unflatten(-1, (window // hop, hop))
        total = pieces[..., 0, :].clone()
        for r in range(1, window // hop):
            total[..., r:, :] += pieces[..., :-r, r, :]
            total[..., :r, :] += pieces[..., -r:, r, :]
        return total.flatten(-2).roll(-(window // 2), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return circular_frames(grads[0], ctx.window, ctx.hop), None


def circular_overlap_add(frames: Tensor, hop: int) -> Tensor:
    """(..., time / hop, window) -> (..., time): the adjoint of `circular_frames`."""
    return _OverlapAdd.apply(frames, hop)  # pyright: ignore[reportReturnType]
