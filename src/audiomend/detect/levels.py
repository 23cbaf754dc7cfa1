"""Levels of half-octave bands over time: what rooms and voices are told by."""

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.032
LOWEST_HZ, BANDS = 250.0, 8  # half octaves, up to 4 kHz
FLOOR_DB = -90.0  # relative to a sine at full scale: as deep as 16 bits go


class BandLevels:
    """A short-time spectrum by blocks: frames of 32 ms, half overlapping, powers of channels averaged."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._size = 2 ** round(np.log2(FRAME_S * sample_rate))
        self._held = np.zeros((channels, 0))
        self._window = np.hanning(self._size + 2)[1:-1]
        hz = LOWEST_HZ * 2 ** (np.arange(BANDS + 1) / 2)
        edges = np.rint(hz * self._size / sample_rate).astype(np.int64)
        self._edges = np.minimum(edges, self._size // 2 + 1)
        self.step_s = self._size / 2 / sample_rate  # between two frames

    def add(self, block: NDArray[np.floating]) -> NDArray[np.float64]:
        """(frames, BANDS) levels in dB of the frames that these samples complete, (channels, n)."""
        held = np.concatenate([self._held, block.astype(np.float64)], axis=1)
        hop = self._size // 2
        count = max(held.shape[1] // hop - 1, 0)
        self._held = held[:, count * hop :]
        if not count:
            return np.zeros((0, BANDS))
        frames = np.lib.stride_tricks.sliding_window_view(held[:, : (count + 1) * hop], self._size, axis=1)
        spectrum = np.fft.rfft(frames[:, ::hop] * self._window)
        power = np.square(np.abs(spectrum) * 2 / self._window.sum()).mean(axis=0)
        total = np.concatenate([np.zeros((count, 1)), np.cumsum(power, axis=1)], axis=1)
        inside = np.maximum(total[:, self._edges[1:]] - total[:, self._edges[:-1]], 0)
        return np.maximum(10 * np.log10(np.maximum(inside, 1e-30)), FLOOR_DB)
