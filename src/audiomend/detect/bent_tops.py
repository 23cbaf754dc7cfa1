"""Clipping whose tops are no longer flat: filtered or coded since.

The amplitudes of sound thin out towards the largest. A clipper piles up at its level what would have lain
beyond, and a filter, a resampler or a lossy codec spreads the pile by some per cent: a mode of the density of
amplitudes that only clipping makes. A lone sinusoid lingers at its crest too: its topmost 3 % are
acos(0.97) / 0.03 = 8.2 dense, and 15 % below the crest 1 / √(1 − 0.85²) = 1.9, which is 4.3 times less.
A voice does not: of 112 training voices no mode is 1.3 times as dense, nor in rooms, in noise or after Opus,
2.6 times in 8 bits. A hard-driven curve makes a pile, too; `bends` tells curves. Where the steps are far
apart, as those of a quiet sound or a telephone's logarithmic ones (µ-law), each is a mode: nothing is told.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.quantisation import COARSE, QuantisationDetector

RATIO = 0.01  # relative width of a bin of the histogram
LEAST, MOST = 1e-6, 1e4  # magnitudes that are counted, full scale 1
SEARCHED, COMPARED = 120, (5, 15)  # bins of a per cent: below the maximum, and below a mode
MODE, SMOOTH = 3, 9  # bins that a mode and the density below it are averaged over
FEWEST = 60  # samples of a mode
PRIOR = 3.0  # samples that are added below a mode, where there may be none
TAIL = 2  # bins below a mode that belong to the pile
DENSER, VOICE_DENSER = 4.5, 2.6  # times the density below: found in any sound, and in a voice
CERTAIN = 2.0  # times that
FILLED, MANY = 0.7, 5.0  # share of the bins below a mode that are in use, if so many samples are in one
MOST_SHARE = 0.97  # of the samples in piles: beyond it a square wave or a constant, of which nothing is known


@dataclass(frozen=True)
class BentTop:
    """Bent tops of one channel.

    Attributes:
        low, high: levels of the piles; -inf and inf for a polarity without one.
        share: of the samples, those at or beyond them.
        density: of the denser pile, relative to what lies below it.
        confidence: 0 to 1; it is clipping from 0.5, where the pile is 4.5 times as dense, 2.6 in a voice.
    """

    low: float
    high: float
    share: float
    density: float
    confidence: float


class BentTopDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int) -> None:
        self._first = int(np.floor(np.log(LEAST) / RATIO))
        bins = int(np.ceil(np.log(MOST) / RATIO)) - self._first
        self._counts = np.zeros((channels, 2, bins))  # negative, positive
        self._samples = 0
        self._grid = QuantisationDetector()

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        self._samples += block.shape[1]
        self._grid.add(block)
        bins = self._counts.shape[2]
        for row, counts in zip(block.astype(np.float64), self._counts, strict=True):
            magnitude = np.abs(row)
            counted = (magnitude >= LEAST) & (magnitude < MOST)
            index = np.floor(np.log(magnitude[counted]) / RATIO).astype(np.int64) - self._first
            sided = index + bins * (row[counted] > 0)
            counts += np.bincount(sided, minlength=2 * bins).reshape(2, bins)

    def result(self, *, is_voice: bool = False) -> tuple[BentTop, ...]:
        """One entry for each channel; is_voice: whether this is surely a voice."""
        return tuple(self._verdict(counts, VOICE_DENSER if is_voice else DENSER) for counts in self._counts)

    def _verdict(self, counts: NDArray[np.float64], denser: float) -> BentTop:
        low, high = self._pile(counts[0]), self._pile(counts[1])
        found = [pile for pile in (low, high) if pile.density >= denser]
        if sum(pile.count for pile in found) > MOST_SHARE * self._samples:
            return BentTop(-inf, inf, 0.0, 0.0, 0.0)
        density = max(low.density, high.density)
        return BentTop(
            -low.level if low in found else -inf,
            high.level if high in found else inf,
            sum(pile.count for pile in found) / max(self._samples, 1),
            density,
            float(np.interp(density, (1, denser, CERTAIN * denser), (0, 0.5, 1))),
        )

    def _pile(self, counts: NDArray[np.float64]) -> "_Pile":
        """The densest mode of one polarity."""
        occupied = np.flatnonzero(counts)
        if not len(occupied):
            return _Pile(0.0, 0.0, 0.0)
        last = int(occupied[-1])
        first = max(last - SEARCHED - COMPARED[1] - SMOOTH, 0)
        part = counts[first : last + 1 + SMOOTH]
        width = np.exp((first + self._first + np.arange(len(part))) * RATIO) * RATIO
        mode, area = _around(part, MODE), _around(width, MODE)
        density = np.maximum(mode - 2 * np.sqrt(mode + 1), 0) / area * (mode >= FEWEST)  # two deviations less
        below = (_around(part, SMOOTH) + PRIOR) / _around(width, SMOOTH)
        near, far = COMPARED
        at = np.arange(max(last - SEARCHED, far) - first, last - first + 1)
        at = at[at >= far]
        if not len(at):
            return _Pile(0.0, 0.0, 0.0)
        least = np.lib.stride_tricks.sliding_window_view(below, far - near).min(axis=1)[at - far]
        ratio = density[at] / least
        best = int(at[int(ratio.argmax())])
        level = float(np.exp((first + best + 0.5 + self._first) * RATIO))
        if level < COARSE * self._grid.step or _is_grid(part[best - far : best - near]):
            return _Pile(0.0, 0.0, 0.0)
        return _Pile(level, float(ratio.max()), float(part[best - TAIL :].sum()))


@dataclass(frozen=True)
class _Pile:
    """A mode among the amplitudes: its level, relative density, and samples."""

    level: float
    density: float
    count: float


def _is_grid(counts: NDArray[np.float64]) -> bool:
    """Whether of the bins below a mode some are empty that would not be by chance."""
    return bool(counts.mean() >= MANY and (counts > 0).mean() < FILLED)


def _around(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return np.convolve(values, np.ones(width), "same")


def find_bent_tops(x: NDArray[np.floating]) -> tuple[BentTop, ...]:
    """Bent tops in each channel of x, (channels, time)."""
    detector = BentTopDetector(len(x))
    detector.add(x)
    return detector.result()
