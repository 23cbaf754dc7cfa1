"""Declipping by the mean of estimates that err in different ways.

A falling threshold in short frames, which follow a voice, and in long ones, which resolve the partials of a
tone; a shrinkage by neighbours; one that starts from the mean of these; and, at best, one by descent. Where
the errors of estimates are about as large and not alike, that of their mean is smaller; and a mean of
consistent signals is consistent, since these are a convex set. Where few partials hold all of the sound, as
those of a piano do, social sparsity descends from that mean: 1 to 5 dB better there, and worse elsewhere.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from audiomend.classical import social_sparsity
from audiomend.classical.social_sparsity import SocialSparsity, ss_pew
from audiomend.classical.thresholding import (
    DESCENT,
    FINISH,
    SOFT,
    USUAL,
    Thresholding,
    descended,
    thresholded,
)
from audiomend.operators.hard_clip import HardClip

SPARSE, DENSE = 0.014, 0.019  # density of spectra that take the descent's full weight, and none
SWEPT = 0.6  # that weight
SWEEP = social_sparsity.DEFAULT
SHORT_SWEEP = replace(SWEEP, last=1e-4, thresholds=300, most_momentum=0.98)


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        hard, soft: (times shorter than the window, weight) of each estimate by a hard threshold and by
            shrinkage.
        finish: weight of the shrinkage from the mean of these.
        descent: weight of the descent; without weight it is left out. The sum of all weights is 1.
        sweep: SS-PEW from the mean of all these where spectra are sparse, with this window and rms.
        steps: of every estimate but the finish, which takes `finish_steps`.
        window: longest frame in samples, a multiple of twice the most that divides it.
        rate: in Hz.
        rms: level the observation is brought to before; None leaves it.
    """

    hard: tuple[tuple[int, float], ...]
    soft: tuple[tuple[int, float], ...]
    finish: float
    descent: float
    steps: int
    finish_steps: int
    sweep: SocialSparsity | None = None
    window: int = 8192
    rate: float = 44_100.0
    rms: float | None = USUAL.rms


FAST = Blend(((4, 0.22), (1, 0.08)), ((4, 0.18),), 0.52, 0.0, steps=100, finish_steps=60)
BALANCED = replace(FAST, steps=300, finish_steps=90, sweep=SHORT_SWEEP)
BEST = Blend(
    ((4, 0.22), (1, 0.06)),
    ((4, 0.14),),
    0.43,
    0.15,
    steps=600,
    finish_steps=180,
    sweep=SWEEP,
)
HEAVY_FAST = Blend(((4, 0.1), (1, 0.2)), ((1, 0.27),), 0.43, 0.0, steps=200, finish_steps=60)
HEAVY = replace(HEAVY_FAST, steps=600, finish_steps=90, sweep=SHORT_SWEEP)  # where most is clipped
HEAVY_BEST = Blend(((4, 0.08), (1, 0.17)), ((1, 0.25),), 0.3, 0.2, steps=1200, finish_steps=90, sweep=SWEEP)


def blended(observation: Tensor, clip: HardClip, settings: Blend = BALANCED) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) float32, clipped.
        clip: its levels.

    Returns:
        (..., time) float32, equal to the observation between the levels.
    """

    def chosen(kind: Thresholding, steps: int, shorter: int = 1) -> Thresholding:
        window = settings.window // shorter
        return replace(kind, window=window, steps=steps, rate=settings.rate, rms=settings.rms)

    parts = [
        (weight, thresholded(observation, clip, chosen(kind, settings.steps, shorter)))
        for kind, frames in ((USUAL, settings.hard), (SOFT, settings.soft))
        for shorter, weight in frames
    ]
    start = torch.stack([part for _, part in parts]).mean(0)
    finish = chosen(FINISH, settings.finish_steps)
    parts.append((settings.finish, thresholded(observation, clip, finish, start)))
    if settings.descent > 0:
        parts.append((settings.descent, descended(observation, clip, chosen(DESCENT, settings.steps))))
    mean = torch.stack([weight * part for weight, part in parts]).sum(0)
    return clip.project(_swept(mean, observation, clip, settings), observation)  # to the bit


def _swept(mean: Tensor, observation: Tensor, clip: HardClip, settings: Blend) -> Tensor:
    weight = SWEPT * ((DENSE - density(mean, settings.window)) / (DENSE - SPARSE)).clamp(0, 1)
    if settings.sweep is None or not weight.any():
        return mean
    kind = replace(settings.sweep, window=settings.window, rms=settings.rms)
    return torch.lerp(mean, ss_pew(observation, clip, kind, mean)[0], weight[..., None])


def density(x: Tensor, window: int) -> Tensor:
    """(..., time) to (...): the share of bins that spectra would fill if those in use were alike, 1 at most.

    (Σ|z|)² / (bins Σ|z|²), the sums over the bins of half-overlapping frames, which count by their energy.
    """
    hann = torch.hann_window(window, dtype=x.dtype, device=x.device)
    frames = pad(x, (window // 2, window)).unfold(-1, window, window // 2)
    magnitude = torch.fft.rfft(frames * hann).abs()
    energy = magnitude.square().sum((-2, -1)).clamp(min=torch.finfo(x.dtype).tiny)
    return magnitude.sum(-1).square().sum(-1) / (magnitude.shape[-1] * energy)
