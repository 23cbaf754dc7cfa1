"""Levels of half-octave bands over time: what rooms and voices are told by."""

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.frames import Frames, hann, nearest_size

FRAME_S = 0.032
LOWEST_HZ, BANDS = 250.0, 8  # half octaves, up to 4 kHz
FLOOR_DB = -90.0  # relative to a sine at full scale: as deep as 16 bits go


class BandLevels:
    """A short-time spectrum by blocks: frames of 32 ms, half overlapping, powers of channels averaged."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        size = nearest_size(FRAME_S, sample_rate)
        self._frames, self._window = Frames(channels, size), hann(size)
        hz = LOWEST_HZ * 2 ** (np.arange(BANDS + 1) / 2)
        edges = np.rint(hz * size / sample_rate).astype(np.int64)
        self._edges = np.minimum(edges, size // 2 + 1)
        self.step_s = size / 2 / sample_rate  # between two frames

    def add(self, block: NDArray[np.floating]) -> NDArray[np.float64]:
        """(frames, BANDS) levels in dB of the frames that these samples complete, (channels, n)."""
        spectrum = np.fft.rfft(self._frames.add(block) * self._window)
        power = np.square(np.abs(spectrum) * 2 / self._window.sum()).mean(axis=0)
        total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
        inside = np.maximum(total[:, self._edges[1:]] - total[:, self._edges[:-1]], 0)
        return np.maximum(10 * np.log10(np.maximum(inside, 1e-30)), FLOOR_DB)
