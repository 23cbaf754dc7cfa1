"""Declipping by the mean of three estimates that err in different ways.

A-SPADE in long frames, which resolve the partials of a tone, and in frames of a quarter, which follow a
voice; and a short descent of social sparsity that starts from the mean of the two. Where the errors of
estimates are about as large and not alike, that of their mean is smaller; and a mean of consistent signals is
consistent, since these are a convex set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomend.classical.social_sparsity import WARM, WARM_FINE, SocialSparsity, ss_pew
from audiomend.classical.spade import DEFAULT, a_spade
from audiomend.operators.hard_clip import HardClip

SHORTER = 4  # times


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        long, short, social: weights of A-SPADE in long and in short frames and of social sparsity; their sum
            is 1. Without long frames the descent starts from short ones alone.
        descent: of social sparsity.
        window: long frame in samples, a multiple of 16.
        rms: level the observation is brought to before; None leaves it.
    """

    long: float
    short: float
    social: float
    descent: SocialSparsity
    window: int = 8192
    rms: float | None = DEFAULT.rms


FAST = Blend(0.0, 1 / 3, 2 / 3, WARM)
BALANCED = Blend(0.2, 0.25, 0.55, WARM)
BEST = Blend(0.15, 0.25, 0.6, WARM_FINE)


def blended(observation: Tensor, clip: HardClip, settings: Blend = BALANCED) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) float32, clipped.
        clip: its levels.

    Returns:
        (..., time) float32, equal to the observation between the levels.
    """
    spade = replace(DEFAULT, rms=settings.rms)
    short = replace(spade, window=settings.window // SHORTER, step=spade.step // SHORTER)
    parts = [(settings.short, a_spade(observation, clip, short)[0])]
    if settings.long > 0:
        long = replace(spade, window=settings.window)
        parts.append((settings.long, a_spade(observation, clip, long)[0]))
    start = torch.stack([estimate for _, estimate in parts]).mean(0)
    descent = replace(settings.descent, window=settings.window, rms=settings.rms, tolerance=0.0)
    social, _ = ss_pew(observation, clip, descent, start)
    parts.append((settings.social, clip.project(social, observation)))
    mean = torch.stack([weight * estimate for weight, estimate in parts]).sum(0)
    return clip.project(mean, observation)  # to the bit
