"""Declipping by social sparsity: each bin of a tight transform is shrunk by what its neighbours hold.

ISTA with momentum and a falling threshold (Siedenburg, Kowalski, Dörfler, "Audio declipping with social
sparsity", ICASSP 2014). SS-EW shrinks each bin by itself (empirical Wiener), SS-PEW by the mean power around
it (persistent empirical Wiener). Constants and stopping rule are those of the survey by Záviška, Rajmic,
Ozerov, Rencker, "A survey and an extensive evaluation of popular audio declipping methods", 2021.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from audiomend.classical.level import level_gain
from audiomend.classical.neighbours import Neighbours
from audiomend.classical.parallel import Run, side_by_side
from audiomend.classical.shrinkage import ALONE, misfit, reach, wiener
from audiomend.classical.thresholding import SOFT, Thresholding, thresholded
from audiomend.classical.tiles import Tiles
from audiomend.operators.hard_clip import HardClip


@dataclass(frozen=True)
class SocialSparsity:
    """How the descent runs; as it stands, as published for 44.1 kHz.

    Attributes:
        window: frame length in samples, a multiple of 4.
        overlaps: hops of a window: 4, of a Hann window, or 2, of its root.
        around: frames and bins whose power SS-PEW averages, odd numbers.
        redundancy: channels of the transform for each sample of a frame. With 1, frames are not padded.
        first, last: greatest and least threshold, for as many coefficients as published.
        thresholds: how many there are, evenly spaced in their logarithm.
        steps: most steps at each.
        tolerance: a threshold is done when the 2-norm of the signal's change is below this.
        anew: momentum begins anew at each threshold, as published.
        most_momentum: it rises to this at most.
        start: the thresholding whose outcome is the start, with this window and rms; None begins at silence,
            as published.
        apart: windows, at least, between the end of the signal and its circular continuation. With 0, as
            published, its end can sound into its beginning.
        rms: level the observation is brought to before, since thresholds are absolute; None leaves it.
        dtype: number format of all arithmetic.
    """

    window: int = 8192
    overlaps: Literal[2, 4] = 4
    around: tuple[int, int] = (7, 3)
    redundancy: int = 2
    first: float = 1e-1
    last: float = 1e-4
    thresholds: int = 20
    steps: int = 500
    tolerance: float = 1e-4
    anew: bool = True
    most_momentum: float = 1.0
    start: Thresholding | None = None
    apart: int = 0
    rms: float | None = None
    dtype: torch.dtype = torch.float64

    def schedule(self) -> Tensor:
        """(thresholds,) those of a signal spread over as many coefficients as there are."""
        ends = math.log10(self.first), math.log10(self.last)
        usual = torch.logspace(*ends, self.thresholds, dtype=torch.float64)
        return (usual * math.sqrt(8 / (self.overlaps * self.redundancy))).to(self.dtype)


START = replace(SOFT, steps=600)
HEAVY_START = replace(SOFT, steps=1200)
PUBLISHED = SocialSparsity()
DEFAULT = SocialSparsity(
    overlaps=2,
    around=(3, 3),
    redundancy=1,
    first=1e-2,
    last=3e-5,
    thresholds=1000,
    steps=1,
    tolerance=0.0,
    anew=False,
    most_momentum=0.99,
    start=START,
    apart=1,
    rms=0.15,
    dtype=torch.float32,
)
HEAVY = replace(DEFAULT, start=HEAVY_START)  # nearly half clipped or more: 3 dB at 1 dB


def ss_ew(
    observation: Tensor, clip: HardClip, settings: SocialSparsity = DEFAULT, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Social sparsity with empirical Wiener shrinkage.

    Args:
        observation: (..., time) real, clipped.
        clip: its levels.
        start: (..., time) where the descent begins, in place of what the settings say.

    Returns:
        The restored signal, (..., time) of the observation's dtype, near the observation between the levels
        but not equal to it; and (..., thresholds) how many steps each threshold took.
    """
    return _restored(observation, clip, settings, ALONE, start)


def ss_pew(
    observation: Tensor, clip: HardClip, settings: SocialSparsity = DEFAULT, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Social sparsity with persistent empirical Wiener shrinkage; as `ss_ew` otherwise."""
    return _restored(observation, clip, settings, settings.around, start)


class Coefficients:
    """Coefficients of a signal that gain what it misses, with momentum, and are shrunk.

    The frame is tight, of redundancy * window channels.
    """

    def __init__(self, time: int, settings: SocialSparsity, around: tuple[int, int], like: Tensor) -> None:
        """All zero.

        Args:
            time: samples, a multiple of twice the window.
            around: odd numbers, at most those of frames and bins.
            like: a tensor of their precision, on their device.
        """
        hop = settings.window // settings.overlaps
        taper = _taper(settings.window, settings.overlaps, like.dtype, like.device)
        self._tiles = Tiles(time, taper, hop, settings.redundancy)
        self._around = Neighbours(self._tiles, around, like)
        self._kept = like.new_zeros(*self._tiles.shape, dtype=like.dtype.to_complex())
        self._last = torch.zeros_like(self._kept)

    def begin(self, x: Tensor, run: Run) -> None:
        """Hold the analysis of x, (samples,), at most `time`."""

        def hold(tile: slice) -> None:
            self._kept[tile] = self._tiles.spectra(tile)

        self._tiles.take(x)
        run(hold, self._tiles.tiles)

    def step(self, missing: Tensor, momentum: float, threshold: float, run: Run) -> Tensor:
        """Gain `missing`, shrink: the signal of what is kept.

        Args:
            missing: (samples,), at most `time`.
            momentum: how far to go on beyond what was kept, of the way from what was kept before.
            run: calls with all tiles.
        """

        def gain(tile: slice) -> None:
            z, kept = torch.view_as_real(self._last[tile]), torch.view_as_real(self._kept[tile])
            z.lerp_(kept, 1 + momentum).add_(torch.view_as_real(self._tiles.spectra(tile)))
            self._around.take(tile, self._last[tile])

        def shrink(tile: slice) -> None:
            z = self._last[tile].mul_(wiener(self._around.power(tile), threshold))
            self._tiles.put(tile, z)

        self._tiles.take(missing)
        run(gain, self._tiles.tiles)
        run(shrink, self._tiles.tiles)
        self._kept, self._last = self._last, self._kept
        return self._tiles.signal()


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _taper(window: int, overlaps: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Its squares that cover a sample add up to 1."""
    hann = torch.hann_window(window, dtype=torch.float64, device=device)
    return (hann.sqrt() if overlaps == 2 else hann / math.sqrt(1.5)).to(dtype)


def _restored(
    observation: Tensor,
    clip: HardClip,
    settings: SocialSparsity,
    around: tuple[int, int],
    start: Tensor | None,
) -> tuple[Tensor, Tensor]:
    gain = level_gain(observation, settings.rms)

    def rows(x: Tensor) -> Tensor:
        return (x * gain).to(settings.dtype).reshape(-1, x.shape[-1])

    low, high = (level.expand_as(observation) for level in clip.levels(observation))
    start = _start(observation, clip, settings) if start is None else start
    parts = rows(observation), rows(reach(observation, low, high)), rows(start)
    signals, steps = zip(*(_descend(*row, settings, around) for row in zip(*parts, strict=True)), strict=True)
    signal = torch.stack(signals).view_as(observation) / gain
    return signal.to(observation.dtype), torch.tensor(steps).view(*observation.shape[:-1], -1)


def _start(observation: Tensor, clip: HardClip, settings: SocialSparsity) -> Tensor:
    if settings.start is None:
        return torch.zeros_like(observation)
    kind = replace(settings.start, window=settings.window, rms=settings.rms)
    return thresholded(observation, clip, kind)


def _descend(
    y: Tensor, level: Tensor, start: Tensor, settings: SocialSparsity, around: tuple[int, int]
) -> tuple[Tensor, list[int]]:
    """(time,) to the restored signal and the steps at each threshold."""
    time, taken = len(y), list[int]()
    whole = time + settings.apart * settings.window
    whole += -whole % (2 * settings.window)
    x, signal, age, momentum = start, y, 0, 0.0
    coefficients = Coefficients(whole, settings, around, y)
    with side_by_side() as run:
        coefficients.begin(start, run)
        for threshold in settings.schedule().tolist():
            k, changed = 0, math.inf
            age = 0 if settings.anew else age
            while k < settings.steps and changed >= settings.tolerance:
                missing, last = misfit(x, y, level), signal
                signal = coefficients.step(missing, momentum, threshold, run)[:time]
                change, momentum = signal - last, min(age / (age + 6), settings.most_momentum)
                x = torch.add(signal, change, alpha=momentum)  # of z, since synthesis is linear
                k, age, changed = k + 1, age + 1, float(change.norm())
            taken.append(k)
    return signal, taken
