"""Hum: lines at multiples of 50 or 60 Hz that stand in every stretch at one level.

In frames of 1.5 s each bin is compared with the median of its neighbourhood. Notes come and go, and decay;
a line of hum stands out of every frame, as loud in the last as in the first. Three of its multiples must do
so, or two or one that are the steadier. The mains keep their frequency within 1 %, a tape does not: to 4 %
the lines are followed, and beyond 1 %, where music has notes, they must be steadier and more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log10

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter

from audiomend.detect.finding import Finding, sureness
from audiomend.detect.frames import Frames, hann, nearest_size

FRAME_S = 1.5  # 65,536 samples at 44.1 kHz: bins of 0.7 Hz
HIGHEST_HZ = 1300.0
MAINS_HZ = (50.0, 60.0)
RANGE, MAINS_RANGE = 0.04, 0.01  # of the frequency
FEW_RANGE = 0.015  # for few lines: notes at 440 Hz lie 2 % from all first multiples of 50 and 60 Hz
HARMONICS = 12
NEIGHBOURHOOD_HZ = 15.0  # on either side
WANDER = 0.006  # of the frequency: how far a line may lie from its place in a frame
STANDING_DB = 6.0  # above the median of the neighbourhood, in nine of ten frames
STANDING_SHARE = 0.9
MEAN_DB = 12.0  # above it, on the mean over the frames; the largest of some bins of noise is 6 dB above
MANY = 3  # lines, from which each further one makes it surer
FAINT_DB, ALONE_DB = 60.0, 3.0  # below the sound: what is not heard, and few lines that are all there is


@dataclass(frozen=True)
class _Kind:
    """So many lines are hum if they stand out by this, and if the standard deviation of their levels is no
    larger."""

    lines: int
    mean_db: float
    scatter_db: float


TAPE = (_Kind(4, MEAN_DB, 1.0),)
MAINS = (_Kind(3, MEAN_DB, 2.0), _Kind(2, MEAN_DB, 1.0), _Kind(1, 18.0, 0.5))
FIRST_LINE = 3  # one of the first three must be there
ALIGNED_BINS, ALIGNED = 0.35, 0.001  # how far a line may lie from its multiple, in bins and of its frequency
LEAST_FRAMES = 3


@dataclass(frozen=True)
class Hum:
    """Hum in a recording.

    Attributes:
        hz: its fundamental; 0 if there is none.
        lines: numbers of the multiples that stand out.
        level_db: RMS of these lines together, relative to full scale, channels averaged.
        below_db: how far that lies below the RMS of the whole.
        prominence_db: of the lines over their neighbourhood, on the mean.
        confidence: 0 to 1; it is hum from 0.5.
    """

    hz: float
    lines: tuple[int, ...]
    level_db: float
    below_db: float
    prominence_db: float
    confidence: float


NONE = Hum(0.0, (), -inf, inf, 0.0, 0.0)


class HumDetector:
    """Add blocks, then ask for the result. The powers of all channels are added."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._size = nearest_size(FRAME_S, sample_rate)
        self._bin_hz = sample_rate / self._size
        self._bins = min(int(HIGHEST_HZ / self._bin_hz), self._size // 2) + 1
        self._cut, self._window = Frames(channels, self._size), hann(self._size)
        self._sums = np.zeros((5, self._bins))  # standing, prominence, level, its square, power
        self._frames, self._power = 0, 0.0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        for frame in self._cut.add(block).swapaxes(0, 1):
            if frame.any():
                self._count(frame)

    def _count(self, frame: NDArray[np.float64]) -> None:
        spectrum = np.fft.rfft(frame * self._window)[:, : self._bins]
        power = np.square(np.abs(spectrum)).mean(axis=0) + 1e-20
        level = 10 * np.log10(power)
        prominence = level - median_filter(level, 2 * round(NEIGHBOURHOOD_HZ / self._bin_hz) + 1)
        highest = _wandering(prominence)
        loudest = _wandering(level)
        self._sums += (highest > STANDING_DB, highest, loudest, np.square(loudest), power)
        self._frames += 1
        self._power += float(np.square(frame).mean())

    def result(self) -> Hum:
        """The verdict on what was added so far; less than three frames say nothing."""
        if self._frames < LEAST_FRAMES:
            return NONE
        standing, prominence, level, square, power = self._sums / self._frames
        scatter = np.sqrt(np.maximum(square - np.square(level), 0))
        standing = standing >= STANDING_SHARE
        best = NONE
        for hz in self._candidates():
            places = np.rint(hz * np.arange(1, HARMONICS + 1) / self._bin_hz).astype(np.int64)
            places = places[places < self._bins]
            for kind in MAINS if _is_mains(hz) else TAPE:
                steady = (prominence >= kind.mean_db) & (scatter <= kind.scatter_db) & standing
                lines = np.flatnonzero(steady[places])
                if len(lines) < kind.lines:
                    continue
                found = self._described(hz, lines + 1, prominence[places[lines]], power, kind)
                enough = len(found.lines) >= kind.lines and found.lines[0] <= FIRST_LINE
                enough &= len(found.lines) >= MANY or _is_mains(found.hz, FEW_RANGE)
                if enough and (len(found.lines), found.prominence_db) > (len(best.lines), best.prominence_db):
                    best = found
        is_heard = best.below_db < FAINT_DB and (len(best.lines) >= MANY or best.below_db > ALONE_DB)
        return best if is_heard else NONE

    def _candidates(self) -> Iterator[float]:
        """Fundamentals so close that their highest multiple does not leave out a bin."""
        step = self._bin_hz / HARMONICS
        for mains in MAINS_HZ:
            yield from np.arange(mains * (1 - RANGE), mains * (1 + RANGE), step).tolist()

    def _described(
        self,
        hz: float,
        lines: NDArray[np.int64],
        prominence: NDArray[np.float64],
        power: NDArray[np.float64],
        kind: _Kind,
    ) -> Hum:
        peaks = np.array([self._peak(hz * line, power) for line in lines])
        there = peaks[:, 0] > 0
        if not there.any():
            return NONE
        peaks, lines, prominence = peaks[there], lines[there], prominence[there]
        common = float(np.median(peaks[:, 0] / lines))
        away = np.abs(peaks[:, 0] - common * lines)
        aligned = away <= np.maximum(ALIGNED_BINS * self._bin_hz, ALIGNED * common * lines)
        peaks, lines, prominence = peaks[aligned], lines[aligned], prominence[aligned]
        if not len(lines):
            return NONE
        # Least squares of peak = line * hz.
        exact = float((peaks[:, 0] * lines).sum() / np.square(lines).sum())
        # A sine of amplitude a has the power (a w / 2)² in its bins together, w² summed over the window.
        energy = float(peaks[:, 1].sum()) * 2 / (self._size * float(np.square(self._window).sum()))
        whole = self._power / self._frames
        mean = float(prominence.mean())
        return Hum(
            exact,
            tuple(lines.tolist()),
            10 * log10(max(energy, 1e-20)),
            10 * log10(whole / max(energy, 1e-20)),
            mean,
            sureness(mean + 2 * max(len(lines) - MANY, 0) - kind.mean_db, -MEAN_DB, 0, MEAN_DB),
        )

    def _peak(self, hz: float, power: NDArray[np.float64]) -> tuple[float, float]:
        """Frequency and power of the largest line within WANDER of this frequency, on the mean spectrum; 0, 0
        if that is the slope of one farther away."""
        reach = max(round(WANDER * hz / self._bin_hz), 1)
        centre = min(round(hz / self._bin_hz), self._bins - 1)
        first, last = max(centre - reach, 1), min(centre + reach + 1, self._bins - 1)
        k = first + int(power[first:last].argmax())
        a, b, c = np.log(power[k - 1 : k + 2])
        if b < max(a, c):
            return 0.0, 0.0
        bend = a - 2 * b + c
        shift = 0.5 * (a - c) / bend if bend < 0 else 0.0
        return (k + float(shift)) * self._bin_hz, float(power[max(k - 2, 0) : k + 3].sum())


def _is_mains(hz: float, within: float = MAINS_RANGE) -> bool:
    return min(abs(hz / mains - 1) for mains in MAINS_HZ) <= within


def _wandering(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest within WANDER of each frequency, and within a bin at least."""
    out = maximum_filter1d(level, 3)
    reach = 2
    while (first := int((reach - 0.5) / WANDER)) < len(level):
        out[first:] = maximum_filter1d(level, 2 * reach + 1)[first:]
        reach += 1
    return out


def find_hum(x: NDArray[np.floating], sample_rate: float) -> Hum:
    """The hum in x, (channels, time), at a rate in Hz."""
    detector = HumDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(hum: Hum) -> Finding:
    """The verdict in words."""
    if not hum.hz:
        return Finding("hum", hum.confidence, "none", {"hz": None, "lines": [], "level_db": None})
    facts = {
        "hz": round(hum.hz, 2),
        "lines": list(hum.lines),
        "level_db": round(hum.level_db, 1),
        "below_db": round(hum.below_db, 1),
    }
    summary = f"{hum.hz:.1f} Hz and multiples, {hum.below_db:.0f} dB below the sound"
    return Finding("hum", hum.confidence, summary, facts)
