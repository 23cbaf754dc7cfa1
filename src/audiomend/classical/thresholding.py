"""Declipping by a threshold that falls in one transform of the whole signal.

By turns the signal goes to one whose spectrum is sparse and to the nearest one that agrees with the clipped
samples, by Douglas and Rachford's splitting, of which A-SPADE's alternating directions are another form
(Kitić, Bertin, Gribonval, "Sparsity and cosparsity for audio declipping", LVA/ICA 2015). Sparse means above a
threshold, one for all frames, since clipped frames are the loud ones, that falls by a constant factor. So no
bins have to be counted, and shrinkage by neighbours (Siedenburg, Kowalski, Dörfler, ICASSP 2014) can
stand for the selection. The transform is the leanest tight one, half-overlapping frames of √Hann without
zero-padding: a step costs an eighth of one in A-SPADE's published frames.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from audiomend.classical.level import level_gain
from audiomend.classical.social_sparsity import ALONE, local_power, wiener
from audiomend.operators.hard_clip import HardClip
from audiomend.transforms.stft import circular_frames, circular_overlap_add


@dataclass(frozen=True)
class Thresholding:
    """How the threshold falls.

    Attributes:
        window: frame length in samples, even.
        first, last: greatest and least threshold, relative to coefficients of a signal of the level `rms`.
        steps: how many there are, evenly spaced in their logarithm.
        around: frames and bins whose mean power decides about each bin, odd numbers.
        hard: bins are kept whole or not at all; else shrunk as in empirical Wiener filtering.
        rms: level that where it begins is brought to before; None leaves it.
    """

    window: int = 8192
    first: float = 2.0
    last: float = 4e-3
    steps: int = 150
    around: tuple[int, int] = ALONE
    hard: bool = True
    rms: float | None = 0.15

    def schedule(self) -> Tensor:
        return torch.logspace(math.log10(self.first), math.log10(self.last), self.steps, dtype=torch.float64)


USUAL = Thresholding()
SOFT = Thresholding(last=2e-2, around=(3, 1), hard=False)
FINISH = replace(SOFT, first=6e-2, last=2e-3)  # for a good start


def thresholded(
    observation: Tensor, clip: HardClip, settings: Thresholding, start: Tensor | None = None
) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) real, clipped.
        clip: its levels.
        start: (..., time) the signal to begin at; None is the observation.

    Returns:
        (..., time) of its dtype, equal to it between the levels.
    """
    low, high = clip.levels(observation)
    lower = torch.where(observation <= low, -math.inf, observation)
    upper = torch.where(observation >= high, math.inf, observation)
    return bounded(observation if start is None else start, lower, upper, settings)


def bounded(x: Tensor, lower: Tensor, upper: Tensor, settings: Thresholding) -> Tensor:
    """A sparse signal between bounds, equal where a sample is known: (..., time), from x on."""
    gain = level_gain(x, settings.rms)
    time, window = x.shape[-1], settings.window
    more = window + -time % window  # keeps the end apart from the beginning, which the transform joins
    signal, least, most = (pad(part * gain, (0, more)) for part in (x, lower, upper))
    taken = torch.zeros_like(analysis(signal, window))
    for threshold in settings.schedule().tolist():
        taken += analysis(signal, window)
        share = shares(local_power(taken, settings.around), threshold, settings.hard)
        signal = synthesis(taken * (2 * share - 1), window).clamp_(least, most)
        taken *= 1 - share
    return (signal[..., :time] / gain).clamp(lower, upper)


def analysis(x: Tensor, window: int) -> Tensor:
    """(..., time) real, circular, time a multiple of the window -> (..., frames, window / 2 + 1) complex.

    A tight Gabor frame of least redundancy: hop window / 2, window channels, a window of √Hann.
    """
    return torch.fft.rfft(
        circular_frames(x, window, window // 2) * _taper(window, x.dtype, x.device), norm="ortho"
    )


def synthesis(z: Tensor, window: int) -> Tensor:
    """(..., frames, window / 2 + 1) complex -> (..., time) real: `analysis`' adjoint and a left inverse."""
    frames = torch.fft.irfft(z, n=window, norm="ortho")
    return circular_overlap_add(frames.mul_(_taper(window, frames.dtype, frames.device)), window // 2)


def shares(power: Tensor, threshold: float, hard: bool) -> Tensor:
    """What is kept of each bin: 0 or 1 as it is below or above the threshold, or the Wiener share."""
    if hard:
        return (power >= threshold**2).to(power.dtype)
    return wiener(power, threshold)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _taper(window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(window, dtype=torch.float64, device=device).sqrt().to(dtype)
