"""Declipping by the mean of estimates that err in different ways.

A falling threshold in short frames, which follow a voice, and in long ones, which resolve the partials of a
tone; a shrinkage by neighbours; one that starts from the mean of these. Beside their mean stand two that are
several dB better than it in their own province, and worse elsewhere: social sparsity in long frames, where
partials are clean, and A-SPADE in short ones, where they move or most is clipped; either is a mean over
frames of several lengths. Where A-SPADE has much weight, social sparsity may be left out: it takes as long
again and betters nothing. Where the errors of estimates are about as large and not alike, that of their mean
is smaller; and a mean of consistent signals is consistent, since these are a convex set.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from audiomend.classical import social_sparsity, spade
from audiomend.classical.parallel import results
from audiomend.classical.social_sparsity import SocialSparsity, ss_pew
from audiomend.classical.spade import Spade, a_spade
from audiomend.classical.thresholding import FINISH, SOFT, USUAL, Thresholding, thresholded
from audiomend.operators.hard_clip import HardClip

SPARSE = 0.035  # density of spectra below which a sound is of few partials
HALF, BLUR, TONAL = 0.65, 1.5, 0.3  # the weight of social sparsity, and what it loses and gains by
CLOSE = 0.05  # least difference of the logarithms of densities
MOVING, DENSE, LOST, OFFSET = 0.75, 0.25, 0.6, 1.0  # what the weight of A-SPADE follows
LEAST = 0.1  # of its weight, below which it is left out
SWEEP = replace(social_sparsity.DEFAULT, thresholds=500, start=None)
QUICK = replace(spade.DEFAULT, redundancy=1, step=4)
QUICK_HEAVY = replace(spade.DEFAULT, redundancy=1, step=1, growth=1 / 64, tolerance=1.0)


Row = tuple[Tensor, HardClip]  # of one channel, (time,)


@dataclass(frozen=True)
class Blend:
    """How the mean is made.

    Attributes:
        hard, soft: (times shorter than the window, weight) of each estimate by a hard threshold and by
            shrinkage.
        finish: weight of the shrinkage from the mean of these. The sum of all weights is 1.
        start: what SS-PEW starts from, in frames of the window.
        sweep: how it runs.
        long: its frames, times longer than the window: what is taken is the mean of these.
        spade: how A-SPADE runs.
        short: its frames, times shorter than the window: what is taken is the mean of these.
        enough: weight of A-SPADE from which social sparsity is left out.
        steps: of every estimate but the finish, which takes `finish_steps`.
        window: in samples, a multiple of twice the most that divides it.
        rate: in Hz.
        rms: level the observation is brought to before; None leaves it.
    """

    hard: tuple[tuple[int, float], ...]
    soft: tuple[tuple[int, float], ...]
    finish: float
    steps: int
    finish_steps: int
    start: Thresholding = social_sparsity.START
    sweep: SocialSparsity = SWEEP
    long: tuple[float, ...] = ()
    spade: Spade = QUICK
    short: tuple[int, ...] = ()
    enough: float = math.inf
    window: int = 8192
    rate: float = 44_100.0
    rms: float | None = USUAL.rms


FAST = Blend(((4, 0.22), (1, 0.08)), ((4, 0.18),), 0.52, steps=100, finish_steps=60, short=(4,))
BALANCED = replace(FAST, steps=200, finish_steps=90, long=(0.5, 2), short=(4, 2), enough=0.45)
BEST = replace(
    BALANCED,
    steps=600,
    finish_steps=180,
    sweep=replace(SWEEP, thresholds=1500),
    long=(0.5, 1, 2),
    enough=math.inf,
)
HEAVY_FAST = Blend(  # where most is clipped
    ((4, 0.1), (1, 0.2)), ((1, 0.27),), 0.43, steps=200, finish_steps=60, spade=QUICK_HEAVY, short=(4,)
)
HEAVY = replace(
    HEAVY_FAST,
    steps=400,
    finish_steps=90,
    start=social_sparsity.HEAVY_START,
    long=BALANCED.long,
    short=BALANCED.short,
    enough=BALANCED.enough,
)
HEAVY_BEST = replace(
    HEAVY,
    steps=1200,
    sweep=BEST.sweep,
    long=BEST.long,
    spade=replace(QUICK_HEAVY, growth=0.0),
    enough=BEST.enough,
)


def blended(observation: Tensor, clip: HardClip, settings: Blend = BALANCED) -> Tensor:
    """Restore what was clipped.

    Args:
        observation: (..., time) float32, clipped.
        clip: its levels.

    Returns:
        (..., time) float32, equal to the observation between the levels.
    """
    rows = rows_of(observation, clip)
    mean = _means(rows, settings)
    in_long, of_mean = (_densities(mean, settings.window // shorter) for shorter in (1, 4))
    known = torch.stack(results([partial(_known, *row) for row in rows]))
    of_spade = torch.zeros_like(known)
    if settings.short:
        of_spade = _weight_of_spade(_log(in_long) - _log(of_mean), of_mean, known)
    most = settings.enough if settings.long else 0.0
    some = (of_spade < most).nonzero()[:, 0]
    if len(some):
        few = [rows[k] for k in some]
        beside, clipped = swept(few, settings), torch.stack([row for row, _ in few])
        of_swept, of_clipped = (_densities(x, settings.window // 4) for x in (beside, clipped))
        weight = _weight_of_sweep(of_mean[some], of_swept, of_clipped, known[some])
        mean[some] = torch.lerp(mean[some], beside, weight[:, None])
    some = of_spade.nonzero()[:, 0]
    if len(some):
        short = in_short_frames([rows[k] for k in some], settings)
        mean[some] = torch.lerp(mean[some], short, of_spade[some, None])
    return clip.project(mean.view_as(observation), observation)  # to the bit


def rows_of(observation: Tensor, clip: HardClip) -> list[Row]:
    """Each channel of (..., time), (time,), with its levels."""
    low, high = (level.expand(*observation.shape[:-1], 1).reshape(-1) for level in clip.levels(observation))
    rows = observation.reshape(-1, observation.shape[-1])
    return [(row, HardClip(low[k], high[k])) for k, row in enumerate(rows)]


def _means(rows: Sequence[Row], settings: Blend) -> Tensor:
    """(rows, time), those of all estimates but social sparsity and A-SPADE."""

    def chosen(kind: Thresholding, steps: int, shorter: int = 1) -> Thresholding:
        window = settings.window // shorter
        return replace(kind, window=window, steps=steps, rate=settings.rate, rms=settings.rms)

    kinds = [
        (weight, chosen(kind, settings.steps, shorter))
        for kind, frames in ((USUAL, settings.hard), (SOFT, settings.soft))
        for shorter, weight in frames
    ]
    parts = _each(rows, [partial(thresholded, settings=kind) for _, kind in kinds])
    finish = partial(thresholded, settings=chosen(FINISH, settings.finish_steps))
    ends = results(
        [partial(finish, *row, start=start) for row, start in zip(rows, parts.mean(1), strict=True)]
    )
    weights = parts.new_tensor([*(weight for weight, _ in kinds), settings.finish])
    return (torch.cat((parts, torch.stack(ends)[:, None]), 1) * weights[:, None]).sum(1)


def _each(rows: Sequence[Row], ways: Sequence[Callable[[Tensor, HardClip], Tensor]]) -> Tensor:
    """(rows, ways, time): each row in each way, side by side."""
    found = results([partial(way, *row) for row in rows for way in ways])
    return torch.stack(found).view(len(rows), len(ways), -1)


def swept(rows: Sequence[Row], settings: Blend) -> Tensor:
    """The part of social sparsity: the means over its frames, (rows, time), consistent."""
    begun = replace(settings.start, window=settings.window, rate=settings.rate, rms=settings.rms)
    starts = results([partial(thresholded, *row, begun) for row in rows])
    kinds = [
        replace(settings.sweep, window=round(settings.window * longer), rms=settings.rms)
        for longer in settings.long
    ]
    tasks = [partial(_sweep, *row, k, start) for row, start in zip(rows, starts, strict=True) for k in kinds]
    return torch.stack(results(tasks)).view(len(rows), len(kinds), -1).mean(1)


def _sweep(observation: Tensor, clip: HardClip, settings: SocialSparsity, start: Tensor) -> Tensor:
    return clip.project(ss_pew(observation, clip, settings, start)[0], observation)


def in_short_frames(rows: Sequence[Row], settings: Blend) -> Tensor:
    """The part of A-SPADE: the means over its frames, (rows, time)."""
    kinds = [
        replace(settings.spade, window=settings.window // shorter, rms=settings.rms)
        for shorter in settings.short
    ]
    return _each(rows, [partial(_spaded, settings=kind) for kind in kinds]).mean(1)


def _spaded(observation: Tensor, clip: HardClip, settings: Spade) -> Tensor:
    return a_spade(observation, clip, settings)[0]


def _weight_of_sweep(of_mean: Tensor, of_swept: Tensor, of_clipped: Tensor, known: Tensor) -> Tensor:
    """The weight of social sparsity by densities and the share of known samples, all (...).

    An error spreads over all of a spectrum, as clipping does. So of two estimates the one of denser spectra
    is the worse, by the share of what clipping spreads. What measured best on training recordings
    (docs/choices.md).
    """
    of_mean, of_swept, of_clipped = (_log(x) for x in (of_mean, of_swept, of_clipped))
    blurred = (of_swept - of_mean) / (of_clipped - of_mean).clamp(min=CLOSE)
    sparse = (math.log(SPARSE) - of_mean).clamp(min=0)
    return (HALF - BLUR * blurred + TONAL * known * sparse).clamp(0, 1)


def _weight_of_spade(moving: Tensor, of_mean: Tensor, known: Tensor) -> Tensor:
    """The weight of A-SPADE, (...), by the same measure (docs/choices.md).

    Args:
        moving: logarithm of its density in long frames over that in short ones: partials that move fill more
            bins the longer a frame is.
        of_mean: density of the mean of the other estimates in short frames.
        known: share of known samples.
    """
    weight = OFFSET + MOVING * moving + DENSE * _log(of_mean) + LOST * (1 - known)
    return torch.where(weight < LEAST, 0, weight.clamp(max=1))


def _log(x: Tensor) -> Tensor:
    return x.clamp(min=torch.finfo(x.dtype).tiny).log()


def _known(observation: Tensor, clip: HardClip) -> Tensor:
    """(..., time) to (...): the share of samples between the levels."""
    low, high = clip.levels(observation)
    return ((observation > low) & (observation < high)).to(observation.dtype).mean(-1)


def _densities(x: Tensor, window: int) -> Tensor:
    """(rows, time) to (rows,), to the bit whatever the number of threads."""
    return torch.stack(results([partial(density, row, window) for row in x]))


def density(x: Tensor, window: int) -> Tensor:
    """(..., time) to (...): the share of bins that spectra would fill if those in use were alike, 1 at most.

    (Σ|z|)² / (bins Σ|z|²), the sums over the bins of half-overlapping frames, which count by their energy.
    """
    hann = torch.hann_window(window, dtype=x.dtype, device=x.device)
    frames = pad(x, (window // 2, window)).unfold(-1, window, window // 2)
    magnitude = torch.fft.rfft(frames * hann).abs()
    energy = magnitude.square().sum((-2, -1)).clamp(min=torch.finfo(x.dtype).tiny)
    return magnitude.sum(-1).square().sum(-1) / (magnitude.shape[-1] * energy)
