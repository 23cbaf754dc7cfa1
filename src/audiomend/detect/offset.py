"""DC offset: a channel that does not swing around zero.

The mean of music is not quite zero either, so an offset must stand out of the scatter that the means of
tenths of a second show. A voice swings further to one side, so clipping alone moves its mean.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import Finding, sureness

STRETCH_S = 0.1
LEAST = 2**-11  # full scale 1: 16 steps of 16 bits
LEAST_SHARE = 0.01  # of the RMS: what lies 40 dB below the sound costs it no headroom
CERTAIN_ERRORS = 5.0  # standard errors


@dataclass(frozen=True)
class Offset:
    """The DC offset of one channel.

    Attributes:
        level: the mean, full scale 1.
        error: its standard error by the scatter over time; inf for less than two stretches.
        rms: of the channel, the offset included.
        confidence: 0 to 1; it is an offset from 0.5, which is 5 standard errors, 1 % of the RMS and 2^-11.
    """

    level: float
    error: float
    rms: float
    confidence: float


class OffsetDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._length = max(round(STRETCH_S * sample_rate), 1)
        self._held = np.zeros((channels, 0))
        self._total, self._energy = np.zeros(channels), np.zeros(channels)
        self._means, self._squares = np.zeros(channels), np.zeros(channels)
        self._samples = self._stretches = 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        x = block.astype(np.float64)
        self._total += x.sum(axis=1)
        self._energy += np.square(x).sum(axis=1)
        self._samples += x.shape[1]
        held = np.concatenate([self._held, x], axis=1)
        whole = held.shape[1] // self._length
        means = held[:, : whole * self._length].reshape(len(held), whole, self._length).mean(axis=2)
        self._means += means.sum(axis=1)
        self._squares += np.square(means).sum(axis=1)
        self._stretches += whole
        self._held = held[:, whole * self._length :]

    def result(self) -> tuple[Offset, ...]:
        """One entry for each channel."""
        samples, stretches = max(self._samples, 1), self._stretches
        level, rms = self._total / samples, np.sqrt(self._energy / samples)
        error = np.full(len(level), inf)
        if stretches > 1:
            scatter = self._squares / stretches - np.square(self._means / stretches)
            error = np.sqrt(np.maximum(scatter, 0) / (stretches - 1))
        return tuple(
            Offset(m, e, r, _confidence(m, e, r))
            for m, e, r in zip(level.tolist(), error.tolist(), rms.tolist(), strict=True)
        )


def _confidence(level: float, error: float, rms: float) -> float:
    least = max(LEAST, LEAST_SHARE * rms, CERTAIN_ERRORS * error)
    return 0.0 if least == inf else sureness(abs(level), 0.0, least, 3 * least)


def find_offset(x: NDArray[np.floating], sample_rate: float) -> tuple[Offset, ...]:
    """The DC offset of each channel of x, (channels, time), at a rate in Hz."""
    detector = OffsetDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(offsets: tuple[Offset, ...], *, is_clipped: bool) -> Finding:
    """The verdict in words."""
    confidence = max(offset.confidence for offset in offsets)
    largest = max(offsets, key=lambda offset: offset.confidence)
    facts = {"level": [offset.level for offset in offsets]}
    if confidence < 0.5:
        return Finding("DC offset", confidence, "none", facts)
    summary = f"{largest.level:+.4f} of full scale"
    if is_clipped:
        return Finding("DC offset", 0.0, f"{summary}, not told from the clipping", facts, is_told=False)
    return Finding("DC offset", confidence, summary, facts)
