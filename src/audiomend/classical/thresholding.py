"""Declipping by a threshold that falls in one transform of the whole signal.

By Douglas and Rachford's splitting the signal goes by turns to one whose spectrum is sparse and to the
nearest one that agrees with the clipped samples; A-SPADE's alternating directions are another form of it
(Kitić, Bertin, Gribonval, "Sparsity and cosparsity for audio declipping", LVA/ICA 2015). Sparse means above
a threshold, one for all frames, since clipped frames are the loud ones, that falls by a constant factor in
each step. So no bins have to be counted, and shrinkage by neighbours can stand for the selection. The
transform is the leanest tight one, half-overlapping frames of √Hann without zero-padding: a step costs an
eighth of one in A-SPADE's published frames.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from torch import Tensor

from audiomend.classical.level import level_gain
from audiomend.classical.neighbours import Neighbours
from audiomend.classical.parallel import results, side_by_side
from audiomend.classical.shrinkage import ALONE, wiener
from audiomend.classical.tiles import Tiles
from audiomend.operators.hard_clip import HardClip

BEND_HZ, UNIT_HZ = 1000.0, 2000.0  # where a rising threshold bends, and where it is the nominal one


@dataclass(frozen=True)
class Thresholding:
    """How the threshold falls.

    Attributes:
        window: frame length in samples, even.
        first, last: greatest and least threshold, relative to coefficients of a signal of the level `rms`.
        steps: how many there are, evenly spaced in their logarithm.
        around: frames and bins whose mean power decides about each bin, odd numbers.
        hard: bins are kept whole or not at all; else shrunk as in empirical Wiener filtering.
        rising: power by which the threshold follows √(f² + 1 kHz²) / 2 kHz over the frequency f, since sounds
            fall towards the treble and what clipping adds to them falls less.
        rate: in Hz.
        rms: level that where it begins is brought to before; None leaves it.
    """

    window: int = 8192
    first: float = 2.0
    last: float = 4e-3
    steps: int = 150
    around: tuple[int, int] = ALONE
    hard: bool = True
    rising: float = 0.0
    rate: float = 44_100.0
    rms: float | None = 0.15

    def schedule(self) -> Tensor:
        return torch.logspace(math.log10(self.first), math.log10(self.last), self.steps, dtype=torch.float64)

    def slope(self) -> Tensor:
        """(bins,) float64: the threshold of each bin relative to that at about 2 kHz."""
        frequencies = torch.arange(self.window // 2 + 1, dtype=torch.float64) * self.rate / self.window
        return ((frequencies.square() + BEND_HZ**2).sqrt() / UNIT_HZ) ** self.rising


USUAL = Thresholding()
SOFT = Thresholding(last=1e-2, around=(3, 1), hard=False, rising=0.5)
FINISH = replace(SOFT, first=6e-2, last=2e-3)  # for a good start


def thresholded(
    observation: Tensor, clip: HardClip, settings: Thresholding, start: Tensor | None = None
) -> Tensor:
    """Restore what was clipped by splitting.

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
    rows = zip(*((part * gain).reshape(-1, x.shape[-1]) for part in (x, lower, upper)), strict=True)
    signals = torch.stack(results([partial(_fallen, *row, settings) for row in rows]))
    return (signals.view(x.shape) / gain).clamp(lower, upper)


def _fallen(x: Tensor, lower: Tensor, upper: Tensor, settings: Thresholding) -> Tensor:
    """`bounded` of a row, (time,), at its level."""
    window = settings.window
    taper = _taper(window, x.dtype, x.device)
    apart = window + -len(x) % window  # the transform joins the end to the beginning
    tiles = Tiles(len(x) + apart, taper, window // 2)
    around, slope = Neighbours(tiles, settings.around, x), settings.slope().to(x)
    taken = x.new_zeros(*tiles.shape, dtype=x.dtype.to_complex())

    def gain(tile: slice) -> None:
        around.take(tile, taken[tile].add_(tiles.spectra(tile)))

    def shrink(threshold: Tensor, tile: slice) -> None:
        z = taken[tile]
        kept = z * shares(around.power(tile), threshold, settings.hard)
        z -= kept
        tiles.put(tile, kept.sub_(z))  # reflected: twice what is kept, less all

    with side_by_side() as run:
        for threshold in settings.schedule().tolist():
            tiles.take(x)
            run(gain, tiles.tiles)
            run(partial(shrink, threshold * slope), tiles.tiles)
            x = tiles.signal()[: len(x)].clamp_(lower, upper)
    return x


def shares(power: Tensor, threshold: Tensor | float, hard: bool) -> Tensor:
    """What is kept of each bin: 0 or 1 as it is below or above the threshold, or the Wiener share."""
    if hard:
        return (power >= threshold**2).to(power.dtype)
    return wiener(power, threshold)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _taper(window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(window, dtype=torch.float64, device=device).sqrt().to(dtype)
