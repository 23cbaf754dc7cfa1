"""Declipping by the mean of three estimates that err in different ways.

A-SPADE in frames of a quarter of the usual length, which follow a voice, and in the usual ones, which resolve
the partials of a tone; and a short descent of social sparsity that starts from the mean of the two. Where the
errors of estimates are about as large and not alike, that of their mean is smaller; and a mean of consistent
signals is consistent, since these are a convex set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomend.classical.social_sparsity import WARM, WARM_FINE, SocialSparsity, ss_pew
from audiomend.classical.spade import DEFAULT, a_spade, slowed
from audiomend.operators.hard_clip import HardClip

SHORTER = 4  # times


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        long, short, social: weights of A-SPADE in long and in short frames and of social sparsity; their sum
            is 1. Without long frames the descent starts from short ones alone.
        descent: of social sparsity.
        slower: how many times more slowly A-SPADE's number of bins grows, a power of 2.
        window: long frame in samples, a multiple of 16.
        rms: level the observation is brought to before; None leaves it.
    """

    long: float
    short: float
    social: float
    descent: SocialSparsity
    slower: int = 1
    window: int = 8192
    rms: float | None = DEFAULT.rms


FAST = Blend(0.0, 1 / 3, 2 / 3, WARM)
BALANCED = Blend(0.0, 0.3, 0.7, WARM_FINE)
BEST = Blend(0.15, 0.25, 0.6, WARM_FINE)
HEAVY = Blend(0.3, 0.2, 0.5, WARM, slower=2)  # where most samples are clipped
HEAVY_BEST = replace(HEAVY, slower=4)


def blended(observation: Tensor, clip: HardClip, settings: Blend = BALANCED) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) float32, clipped.
        clip: its levels.

    Returns:
        (..., time) float32, equal to the observation between the levels.
    """
    long = replace(DEFAULT, window=settings.window, rms=settings.rms)
    short = replace(long, window=long.window // SHORTER, step=long.step // SHORTER)
    frames = [(settings.short, short), (settings.long, long)]
    parts = [
        (weight, a_spade(observation, clip, slowed(spade, settings.slower))[0])
        for weight, spade in frames
        if weight > 0
    ]
    start = torch.stack([estimate for _, estimate in parts]).mean(0)
    descent = replace(settings.descent, window=settings.window, rms=settings.rms, tolerance=0.0)
    social, _ = ss_pew(observation, clip, descent, start)
    parts.append((settings.social, clip.project(social, observation)))
    mean = torch.stack([weight * estimate for weight, estimate in parts]).sum(0)
    return clip.project(mean, observation)  # to the bit
