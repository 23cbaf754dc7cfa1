"""Declipping by the mean of estimates that err in different ways.

A falling threshold in short frames, which follow a voice, and in long ones, which resolve the partials of a
tone; a shrinkage by neighbours in short frames; and one in long frames that starts from the mean of the first
two. Where the errors of estimates are about as large and not alike, that of their mean is smaller; and a mean
of consistent signals is consistent, since these are a convex set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomend.classical.thresholding import FINISH, SOFT, USUAL, Thresholding, thresholded
from audiomend.operators.hard_clip import HardClip

SHORTER = 4  # times, the frames of `soft`


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        hard: (times shorter than the window, weight) of each estimate by a hard threshold.
        soft: weight of the shrinkage in short frames; without weight it is left out.
        finish: weight of the shrinkage from the mean of the hard ones. The sum of all weights is 1.
        steps: of every estimate but the finish, which takes `finish_steps`.
        window: longest frame in samples, a multiple of twice the most that divides it.
        rms: level the observation is brought to before; None leaves it.
    """

    hard: tuple[tuple[int, float], ...]
    soft: float
    finish: float
    steps: int
    finish_steps: int
    window: int = 8192
    rms: float | None = USUAL.rms


FAST = Blend(((4, 0.25), (1, 0.1)), 0.25, 0.4, steps=100, finish_steps=60)
BALANCED = replace(FAST, steps=300, finish_steps=90)
BEST = Blend(((4, 0.2), (2, 0.2), (1, 0.08)), 0.25, 0.27, steps=600, finish_steps=180)
HEAVY_FAST = Blend(((4, 0.1), (1, 0.3)), 0.0, 0.6, steps=300, finish_steps=60)  # where most is clipped
HEAVY = replace(HEAVY_FAST, steps=600, finish_steps=90)
HEAVY_BEST = Blend(((4, 0.1), (2, 0.15), (1, 0.2)), 0.0, 0.55, steps=1200, finish_steps=90)


def blended(observation: Tensor, clip: HardClip, settings: Blend = BALANCED) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) float32, clipped.
        clip: its levels.

    Returns:
        (..., time) float32, equal to the observation between the levels.
    """

    def estimate(kind: Thresholding, shorter: int, steps: int, start: Tensor | None = None) -> Tensor:
        window = settings.window // shorter
        chosen = replace(kind, window=window, steps=steps, rms=settings.rms)
        return thresholded(observation, clip, chosen, start)

    parts = [(weight, estimate(USUAL, shorter, settings.steps)) for shorter, weight in settings.hard]
    start = torch.stack([part for _, part in parts]).mean(0)
    parts.append((settings.finish, estimate(FINISH, 1, settings.finish_steps, start)))
    if settings.soft > 0:
        parts.append((settings.soft, estimate(SOFT, SHORTER, settings.steps)))
    mean = torch.stack([weight * part for weight, part in parts]).sum(0)
    return clip.project(mean, observation)  # to the bit
