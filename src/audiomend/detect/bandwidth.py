"""Bandwidth: the frequency above which a recording holds nothing.

Two rules. The edge rule looks for a steep fall of the spectrum that stays down: right for resamplers, codecs
and steep filters. Where there is none, the cumulative rule of AudioSR is left (Liu et al. 2023,
versatile_audio_super_resolution, lowpass cut-off at test time): the highest bin below which lies at most
98.5 % of the summed magnitude. It depends on the programme, loses the top of the good band and also gives a
number for a recording without a limit, so treat it as a guess.

The partials of a tone end, too, but nothing was cut off there. A filter takes away what lies between partials
as well, so what counts as an edge is one at which the valleys of the spectrum fall, too.
"""

from dataclasses import dataclass
from math import log2
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from audiomend.detect.finding import Finding, sureness
from audiomend.detect.frames import Frames, hann, nearest_size
from audiomend.operators.low_pass import LOWEST_CUTOFF_HZ

FRAME_S = 0.093  # 4096 samples at 44.1 and 48 kHz
FRAMES_AT_ONCE = 64
QUANTILE = 0.95  # over frames: what sounds now and then counts, a single click does not
FLOOR_DB, CEILING_DB = -180, 120  # of the histogram of magnitudes, in bins of 1 dB
RANGE_DB = 110  # below the strongest bin: deeper ones are rounding noise
SIDE = 2 ** (1 / 6)  # the levels on either side of an edge are averaged over this ratio
SIDE_BINS = 4  # and over no fewer bins than this
LEAST_FALL_DB = 10.0
SLOPE_DB = 6.0  # an octave: that of brown noise
LEAST_VALLEY_FALL_DB = 1.0  # beyond it; 2 and more at filters in music and voices, 0 where partials end
LEAST_SHARE = 0.3  # of the largest fall; a smaller one above it is structure in the noise floor
CLIFF = (1.03, 1.07)  # ratios of frequency between which levels below and above a cliff are averaged
CLIFF_SHARE = 0.5  # of the whole fall that a cliff makes up
CLIFF_DEPTH = 1 / 8  # of it: below the slope that may lead to it, within 1 % of a steep filter's −6 dB
SURE_FALL_DB = 20.0
HALF_DB = 6.0
VALLEY_HZ = 130.0  # what is wider on either side of a frequency is no line
CUMULATIVE_SHARE = 0.985
AUDIBLE_HZ = 19_000.0  # what lies above it is missed by hardly anybody
FULL_BAND = 0.95  # of Nyquist: an edge above it is the anti-aliasing filter of a full-band recording


@dataclass(frozen=True)
class Bandwidth:
    """Where a recording ends in frequency.

    Attributes:
        cutoff_hz: where the edge begins, 6 dB or an eighth of a filter's cliff down, or the guess; half the
            rate for silence.
        rule: which rule gave it; "edge" if there is a fall of 10 dB or more.
        fall_db: of the highest such edge, or the largest fall if there is none; where only partials end,
            that of the valleys between them, beyond a slope of 6 dB an octave.
        confidence: fall_db / 20 dB, at most 1. Of music, singing and speech low-passed at 3 to 16 kHz, edges
            of 10 to 15 dB were right within 20 % in half of the cases, of 15 to 20 dB in nine of ten, and of
            20 dB or more in all. Below 0.5 the cut-off is a guess.
    """

    cutoff_hz: float
    rule: Literal["edge", "cumulative"]
    fall_db: float
    confidence: float


class BandwidthDetector:
    """Add blocks, then ask for the result. The frames of all channels are taken together."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._rate = sample_rate
        self._size = nearest_size(FRAME_S, sample_rate)
        self._frames = Frames(channels, self._size)
        bins = self._size // 2 + 1
        self._levels = np.zeros((bins, CEILING_DB - FLOOR_DB), np.uint32)
        self._valleys = np.zeros_like(self._levels)
        self._magnitude = np.zeros(bins)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        frames = self._frames.add(block)
        for first in range(0, frames.shape[1], FRAMES_AT_ONCE):
            self._count(frames[:, first : first + FRAMES_AT_ONCE])

    def _count(self, frames: NDArray[np.float64]) -> None:
        """Add the spectra of (channels, frames, size); digital silence is left out."""
        sounding = frames[np.any(frames != 0, axis=-1)]
        spectrum = np.fft.rfft(sounding * hann(self._size))
        magnitude = np.abs(spectrum)
        self._levels += _histogram(magnitude)
        self._valleys += _histogram(minimum_filter1d(_without_skirts(spectrum), 2 * self._reach + 1))
        self._magnitude += magnitude.sum(axis=0)

    def result(self) -> Bandwidth:
        """The verdict on what was added so far; a sound shorter than a frame has silence on either side."""
        if self._levels.any():
            valleys = _quantile(self._valleys, QUANTILE)
            return _verdict(self.spectrum(QUANTILE), valleys, self._reach, self._magnitude, self.bin_hz)
        held = self._frames.held
        if not held.any():
            return Bandwidth(self._rate / 2, "cumulative", 0.0, 0.0)
        padded = BandwidthDetector(len(held), self._rate)
        missing = self._size - held.shape[1]
        padded.add(np.pad(held, ((0, 0), (missing // 2, missing - missing // 2))))
        return padded.result()

    def spectrum(self, quantile: float) -> NDArray[np.float64]:
        """(bins,) level that this share of the frames stays below, in dB; bins are `bin_hz` apart."""
        return _quantile(self._levels, quantile)

    @property
    def _reach(self) -> int:
        """Bins on either side of one of which a valley is the lowest."""
        return round(VALLEY_HZ / self.bin_hz)

    @property
    def bin_hz(self) -> float:
        """Distance of two bins."""
        return self._rate / self._size


def _histogram(magnitude: NDArray[np.float64]) -> NDArray[np.uint32]:
    """How often each bin of (frames, bins) has each level in dB, from FLOOR_DB on."""
    bins, width = magnitude.shape[-1], CEILING_DB - FLOOR_DB
    level = np.floor(20 * np.log10(np.maximum(magnitude, 10 ** (FLOOR_DB / 20))))
    index = np.minimum(level - FLOOR_DB, width - 1).astype(np.int64) + width * np.arange(bins)
    return np.bincount(index.ravel(), minlength=bins * width).reshape(bins, width).astype(np.uint32)


def _quantile(counts: NDArray[np.uint32], quantile: float) -> NDArray[np.float64]:
    """(bins,) level of a histogram that this share of it stays below, in dB."""
    total = np.cumsum(counts, axis=1)
    return (total < quantile * total[:, -1:]).sum(axis=1) + float(FLOOR_DB)


def _without_skirts(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Magnitudes of spectra through two Hann windows more, which leave a line its skirt of few bins."""
    for _ in range(2):
        around = np.pad(spectrum, ((0, 0), (1, 1)), "reflect")
        around[:, [0, -1]] = around[:, [0, -1]].conj()  # of a real signal
        spectrum = spectrum / 2 - (around[:, :-2] + around[:, 2:]) / 4
    return np.abs(spectrum)


def _verdict(
    level: NDArray[np.float64],
    valleys: NDArray[np.float64],
    reach: int,
    magnitude: NDArray[np.float64],
    bin_hz: float,
) -> Bandwidth:
    deepest = level.max() - RANGE_DB
    level = np.maximum(level, deepest)
    falls = np.subtract(*_sides(level))
    edge = _highest_edge(falls)
    fall = float(falls[edge.steepest - SIDE_BINS])
    if fall >= LEAST_FALL_DB:
        cutoff = _cutoff(level, edge)
        valley_fall = _valley_fall(np.maximum(valleys, deepest), cutoff, edge.last, reach)
        if cutoff * bin_hz < LOWEST_CUTOFF_HZ:  # what ends there is an offset, no sound
            fall = 0.0
        elif valley_fall < LEAST_VALLEY_FALL_DB:  # partials end there, no sound was cut off
            fall = max(valley_fall, 0.0)
        else:
            return Bandwidth(cutoff * bin_hz, "edge", fall, min(fall / SURE_FALL_DB, 1.0))
    confidence = float(np.clip(fall / SURE_FALL_DB, 0, 1))
    below = np.cumsum(magnitude) <= CUMULATIVE_SHARE * magnitude.sum()
    return Bandwidth(max(int(below.sum()) - 1, 0) * bin_hz, "cumulative", fall, confidence)


def _sides(level: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels on either side of the bins SIDE_BINS to bins - SIDE_BINS - 1: the mean on the sixth of an octave
    below, and the highest such mean on any sixth of an octave above."""
    total = np.concatenate([[0.0], np.cumsum(level)])
    k = np.arange(SIDE_BINS, len(level) - SIDE_BINS)
    low = np.minimum(np.rint(k / SIDE).astype(np.int64), k - SIDE_BINS)
    high = np.maximum(np.minimum(np.rint(k * SIDE).astype(np.int64), len(level)), k + SIDE_BINS)
    below = (total[k] - total[low]) / (k - low)
    above = (total[high] - total[k]) / (high - k)
    return below, np.maximum.accumulate(above[::-1])[::-1]


def _valley_fall(valleys: NDArray[np.float64], cutoff: int, last: int, reach: int) -> float:
    """By how much the valleys fall from below a cut-off to above the last bin of its edge, in dB, beyond what
    noise of a natural slope falls from the one side to the other."""
    below, above = _sides(valleys)
    first = max(cutoff - reach, SIDE_BINS)
    octaves = log2(last / first) + log2(SIDE)
    return float(below[first - SIDE_BINS] - above[last - SIDE_BINS]) - SLOPE_DB * octaves


@dataclass(frozen=True)
class _Edge:
    """A stretch of sufficient fall: its first, its steepest and its last bin."""

    first: int
    steepest: int
    last: int


def _highest_edge(falls: NDArray[np.float64]) -> _Edge:
    """The highest stretch of sufficient fall; without one, the largest fall."""
    steep = np.flatnonzero(falls >= max(LEAST_FALL_DB, LEAST_SHARE * falls.max()))
    if len(steep) == 0:
        steep = np.array([falls.argmax()])
    first, last = int(steep[np.flatnonzero(np.diff(steep, prepend=-2) > 1)[-1]]), int(steep[-1])
    steepest = first + int(falls[first : last + 1].argmax())
    return _Edge(first + SIDE_BINS, steepest + SIDE_BINS, last + SIDE_BINS)


def _cutoff(level: NDArray[np.float64], edge: _Edge) -> int:
    """Highest bin of the fall less than 6 dB, or an eighth of a cliff, below what was before it.

    Where half of the fall lies within a tenth of the frequency, a filter made a cliff and what lies just
    before that counts: a voice falls by 20 dB in a sixth of an octave by nature, and what a filter leaves of
    such a slope is sound. Else what lies before the slope counts.
    """
    before = slice(min(round(edge.first / SIDE), edge.first - SIDE_BINS), edge.first)
    after = slice(edge.last, max(round(edge.last * SIDE), edge.last + SIDE_BINS))
    depth, stop, cliff = HALF_DB, edge.steepest + 1, _cliff(level, edge)
    if cliff.drop >= CLIFF_SHARE * (level[before].mean() - level[after].mean()):
        depth, stop, before = max(depth, CLIFF_DEPTH * cliff.drop), cliff.stop, cliff.before
    smooth = np.convolve(level, np.full(5, 0.2), "same")
    intact = np.flatnonzero(smooth[before.start : stop] >= smooth[before].mean() - depth)
    return before.start + int(intact[-1])


@dataclass(frozen=True)
class _Cliff:
    """The steepest fall over a twentieth of the frequency.

    Attributes:
        before: bins just below it.
        stop: the bin just above it.
        drop: from the one to the other, in dB.
    """

    before: slice
    stop: int
    drop: float


def _cliff(level: NDArray[np.float64], edge: _Edge) -> _Cliff:
    total = np.concatenate([[0.0], np.cumsum(level)])
    k = np.arange(edge.first, edge.last + 1)
    inner, outer = CLIFF
    stop = np.minimum(np.rint(k / inner).astype(np.int64), k - 2)
    start = np.maximum(np.minimum(np.rint(k / outer).astype(np.int64), stop - 2), 0)
    first = np.minimum(np.maximum(np.rint(k * inner).astype(np.int64), k + 2), len(level) - 2)
    last = np.minimum(np.maximum(np.rint(k * outer).astype(np.int64), first + 2), len(level))
    drop = (total[stop] - total[start]) / (stop - start) - (total[last] - total[first]) / (last - first)
    j = int(drop.argmax())
    return _Cliff(slice(int(start[j]), int(stop[j])), int(first[j]), float(drop[j]))


def find_bandwidth(x: NDArray[np.floating], sample_rate: float) -> Bandwidth:
    """The bandwidth of x, (channels, time), at a rate in Hz."""
    detector = BandwidthDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def is_whole(bandwidth: Bandwidth, sample_rate: float) -> bool:
    """Whether a recording has all that it should have."""
    return bandwidth.cutoff_hz > min(FULL_BAND * sample_rate / 2, AUDIBLE_HZ)


def finding(bandwidth: Bandwidth, sample_rate: float) -> Finding:
    """The verdict in words: dull is what ends by an edge well below half the rate."""
    facts = {
        "cutoff_hz": round(bandwidth.cutoff_hz, 1),
        "rule": bandwidth.rule,
        "fall_db": round(bandwidth.fall_db, 1),
    }
    if is_whole(bandwidth, sample_rate):
        return Finding("bandwidth", 0.0, "whole", facts)
    sure = sureness(bandwidth.fall_db, 0, SURE_FALL_DB, 2 * SURE_FALL_DB)
    if sure < 0.5:
        return Finding("bandwidth", sure, "no clear edge", facts)
    summary = f"ends at {bandwidth.cutoff_hz:,.0f} Hz, by an edge of {bandwidth.fall_db:.0f} dB"
    return Finding("bandwidth", sure, summary, facts)
