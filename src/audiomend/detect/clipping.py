"""Hard clipping: at which level, per channel and polarity.

A flat top is a spike in the histogram of the largest values, made of neighbouring samples. A smooth crest is
no spike: near it a sinusoid of amplitude a spends a time of √(d / a) within the distance d, so the interval
just below the crest holds no more samples than the three intervals of that width below it, whatever the
width. Peaks that a limiter brought to one height touch it with single samples, not with neighbours. If the
largest values are no top, the densest ones may be, below a few that clicks put there later.

Not found: tops that a filter, a resampler or a lossy codec has bent after the clipping, and tops below a
louder stretch of the same channel.
"""

from dataclasses import dataclass, field
from math import exp, floor, inf, log

import numpy as np
from numpy.typing import NDArray

RATIO = 1e-4  # relative width of a bin of the histogram: one 16-bit step at a third of full scale
DEEPEST = 8  # times a level that clicks may overshoot it
DEPTH = int(log(DEEPEST) / RATIO)  # bins kept, from the largest value down
MODE = 8  # bins of the densest values
FRINGE = 0.05  # of their count: bins above them that belong to the same top
OVERSHOOTS = 0.05  # most samples beyond a top, relative to it
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # of a top in bins: up to 1.3 %, room for dither
CERTAIN = 0.75  # confidence from which a top counts as clipped: three times the neighbourhood
DOUBT = 8  # samples that a top must outweigh even if its neighbourhood is empty
EXACT = 0.99  # share of a top that must equal the maximum for the maximum to be the level
SLOPES = 0.005  # a square wave has fewer samples than this, relative to its tops, on the way to them


@dataclass(frozen=True)
class Clipping:
    """Hard clipping of one channel.

    Attributes:
        low, high: the clip levels; samples at or beyond them are clipped. -inf and inf for a polarity that is
            not clipped. Where dither or rounding has spread a top, its level is the lower edge.
        clipped, samples: how many samples of the channel are clipped, and how many it has.
        confidence: 0 to 1, of the surer polarity: the share that flat tops have in the largest values. It is
            clipping from 0.75.
    """

    low: float
    high: float
    clipped: int
    samples: int
    confidence: float


@dataclass
class _Peaks:
    """Histograms of the largest positive values: bin k lies k bins below the bin of the maximum."""

    maximum: float = 0.0
    at_maximum: int = 0
    values: NDArray[np.int64] = field(default_factory=lambda: np.zeros(DEPTH, np.int64))
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(DEPTH, np.int64))

    def add(self, x: NDArray[np.float64], before: float) -> None:
        """Count the samples, and the smaller one of each two neighbours; before: the sample ahead of x."""
        largest = float(x.max(initial=0.0))
        if largest > self.maximum:
            self._raise(largest)
        if largest <= self.maximum / DEEPEST or largest == 0:
            return
        self.at_maximum += int((x == self.maximum).sum())
        self.values += self._count(x)
        self.pairs += self._count(np.minimum(x, np.concatenate([[before], x[:-1]])))

    def _raise(self, largest: float) -> None:
        shift = min(_bin(largest) - _bin(self.maximum), DEPTH) if self.maximum > 0 else DEPTH
        for counts in (self.values, self.pairs):
            counts[shift:] = counts[: DEPTH - shift].copy()
            counts[:shift] = 0
        self.maximum, self.at_maximum = largest, 0

    def _count(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        large = x[x > self.maximum / DEEPEST]
        below = _bin(self.maximum) - np.floor(np.log(large) / RATIO).astype(np.int64)
        return np.bincount(below[below < DEPTH], minlength=DEPTH)

    def top(self) -> tuple[float, float, int]:
        """Confidence that the largest values, or those below some overshoots, are a flat top, its level and
        the number of samples at or beyond it."""
        largest = self._top_at(0)
        first = self._densest()
        if largest[0] >= CERTAIN or first == 0:
            return largest
        confidence, level, count = self._top_at(first)
        beyond = int(self.values[:first].sum())
        if confidence < CERTAIN or beyond > OVERSHOOTS * count:
            return largest
        return confidence, level, count + beyond

    def _densest(self) -> int:
        """First bin of the densest values."""
        sums = np.convolve(self.values, np.ones(MODE, np.int64), "valid")
        first = int(sums.argmax())
        occupied = self.values > FRINGE * sums[first]
        while first > 0 and occupied[first - 1]:
            first -= 1
        return first + int(np.argmax(occupied[first : first + MODE]))

    def _top_at(self, first: int) -> tuple[float, float, int]:
        """The same for the values from a bin on."""
        width = max(WIDTHS, key=lambda width: self._share(first, width))
        share = self._share(first, width)
        count = int(self.values[first : first + width].sum())
        if self.values[first + width :].sum() <= SLOPES * count:
            return 0.0, inf, 0
        if first == 0 and self.at_maximum >= EXACT * count:
            return share, self.maximum, self.at_maximum
        return share, exp((_bin(self.maximum) - first - width + 1) * RATIO), count

    def _share(self, first: int, width: int) -> float:
        """Share of the neighbours within this width below a bin among all samples of the neighbourhood.

        It reaches three widths further down, and at least to the third value that occurs there, since coarse
        quantisation leaves intervals empty.
        """
        below = self.values[first + width :]
        occupied = np.flatnonzero(below)[:3]
        reach = max([3 * width, *(occupied + 1)])
        flat = int(self.pairs[first : first + width].sum())
        return flat / (flat + int(below[:reach].sum()) + DOUBT)


def _bin(value: float) -> int:
    return floor(log(value) / RATIO)


class ClippingDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int) -> None:
        self._peaks = [(_Peaks(), _Peaks()) for _ in range(channels)]
        self._last = np.zeros(channels)
        self._samples = 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        if block.shape[1] == 0:
            return
        for row, last, (negative, positive) in zip(block, self._last, self._peaks, strict=True):
            wide = row.astype(np.float64)
            negative.add(-wide, -last)
            positive.add(wide, last)
        self._last = block[:, -1].astype(np.float64)
        self._samples += block.shape[1]

    def result(self) -> tuple[Clipping, ...]:
        """One entry for each channel."""
        return tuple(_verdict(negative, positive, self._samples) for negative, positive in self._peaks)


def _verdict(negative: _Peaks, positive: _Peaks, samples: int) -> Clipping:
    tops = (negative.top(), positive.top())
    low, high = (level if confidence >= CERTAIN else inf for confidence, level, _ in tops)
    clipped = sum(count for confidence, _, count in tops if confidence >= CERTAIN)
    return Clipping(-low, high, clipped, samples, max(confidence for confidence, _, _ in tops))


def find_clipping(x: NDArray[np.floating]) -> tuple[Clipping, ...]:
    """Clipping in each channel of x, (channels, time)."""
    detector = ClippingDetector(len(x))
    detector.add(x)
    return detector.result()
