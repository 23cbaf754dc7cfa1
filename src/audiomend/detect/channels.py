"""Faults of channels: dead, twice the same, or with the polarity swapped.

All three follow from the energies and products of the channels, and from whether two are equal to the bit.
Two microphones in a room share little and may be anything but opposite; a swapped polarity shows as a
correlation near −1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import Finding, sureness

DEAD_DB = -60.0  # below the loudest channel: no more than its crosstalk and noise
SWAPPED = -0.6  # correlation
SAME = 0.99999  # correlation: a difference 50 dB down


@dataclass(frozen=True)
class ChannelFaults:
    """What is wrong with the channels.

    Attributes:
        level_db: RMS of each, full scale 1; -inf for digital silence.
        correlation: of each two (i, j), i < j.
        dead: numbers, from 0, of channels that hold nothing beside another that does.
        swapped, identical: pairs of channels.
        confidence: 0 to 1, of the surest of these; a fault from 0.5.
    """

    level_db: tuple[float, ...]
    correlation: dict[tuple[int, int], float]
    dead: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]
    identical: tuple[tuple[int, int], ...]
    confidence: float


class ChannelDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int) -> None:
        self._products = np.zeros((channels, channels))
        self._sums = np.zeros(channels)
        self._samples = 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        x = block.astype(np.float64)
        self._products += x @ x.T
        self._sums += x.sum(axis=1)
        self._samples += x.shape[1]

    def result(self) -> ChannelFaults:
        """The verdict on what was added so far. Offsets do not count as sound."""
        samples = max(self._samples, 1)
        mean = self._sums / samples
        covariance = self._products / samples - np.outer(mean, mean)
        power = np.maximum(np.diagonal(covariance), 0)
        with np.errstate(divide="ignore"):
            level = 10 * np.log10(power)
        below = level - level.max() if power.any() else np.zeros(len(level))
        dead = tuple(np.flatnonzero(below <= DEAD_DB).tolist())
        alive = [i for i in range(len(level)) if i not in dead and power[i] > 0]
        pairs = {
            (i, j): float(np.clip(covariance[i, j] / np.sqrt(power[i] * power[j]), -1, 1))
            for i in alive
            for j in alive
            if i < j
        }
        return ChannelFaults(
            level_db=tuple(level.tolist()),
            correlation=pairs,
            dead=dead,
            swapped=tuple(pair for pair, r in pairs.items() if r <= SWAPPED),
            identical=tuple(pair for pair, r in pairs.items() if r >= SAME),
            confidence=max([_deadness(float(b)) for b in below] + [_oddness(r) for r in pairs.values()]),
        )


def _deadness(below_db: float) -> float:
    return sureness(below_db, 0.0, DEAD_DB, 2 * DEAD_DB)


def _oddness(correlation: float) -> float:
    return max(sureness(correlation, 0.0, SWAPPED, -0.95), sureness(correlation, 0.999, SAME, 0.9999999))


def find_channel_faults(x: NDArray[np.floating]) -> ChannelFaults:
    """The faults among the channels of x, (channels, time)."""
    detector = ChannelDetector(len(x))
    detector.add(x)
    return detector.result()


def finding(faults: ChannelFaults) -> Finding:
    """The verdict in words; channels count from 1 there."""
    facts = {
        "level_db": [level if np.isfinite(level) else None for level in faults.level_db],
        "correlation": [[i, j, round(r, 4)] for (i, j), r in faults.correlation.items()],
        "dead": list(faults.dead),
        "swapped": [list(pair) for pair in faults.swapped],
        "identical": [list(pair) for pair in faults.identical],
    }
    said = [
        *(f"channel {i + 1} is dead" for i in faults.dead),
        *(f"channels {i + 1} and {j + 1} are of opposite polarity" for i, j in faults.swapped),
        *(f"channels {i + 1} and {j + 1} are the same" for i, j in faults.identical),
    ]
    return Finding("channel faults", faults.confidence, ", ".join(said) or "none", facts)
