"""Declipping by the mean of estimates that err in different ways.

A falling threshold in short frames, which follow a voice, and in long ones, which resolve the partials of a
tone; a shrinkage by neighbours; one that starts from the mean of these; and, at best, one by descent. Where
the errors of estimates are about as large and not alike, that of their mean is smaller; and a mean of
consistent signals is consistent, since these are a convex set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        hard, soft: (times shorter than the window, weight) of each estimate by a hard threshold and by
            shrinkage.
        finish: weight of the shrinkage from the mean of these.
        descent: weight of the descent; without weight it is left out. The sum of all weights is 1.
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
    window: int = 8192
    rate: float = 44_100.0
    rms: float | None = USUAL.rms


FAST = Blend(((4, 0.22), (1, 0.08)), ((4, 0.18),), 0.52, 0.0, steps=100, finish_steps=60)
BALANCED = replace(FAST, steps=300, finish_steps=90)
BEST = Blend(((4, 0.22), (1, 0.06)), ((4, 0.14),), 0.43, 0.15, steps=600, finish_steps=180)
HEAVY_FAST = Blend(((4, 0.1), (1, 0.2)), ((1, 0.27),), 0.43, 0.0, steps=200, finish_steps=60)
HEAVY = replace(HEAVY_FAST, steps=600, finish_steps=90)  # where most is clipped
HEAVY_BEST = Blend(((4, 0.08), (1, 0.17)), ((1, 0.25),), 0.3, 0.2, steps=1200, finish_steps=90)


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
    return clip.project(mean, observation)  # to the bit
