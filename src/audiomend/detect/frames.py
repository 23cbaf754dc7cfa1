"""Half-overlapping frames of a signal that comes in blocks."""

import numpy as np
from numpy.typing import NDArray


class Frames:
    """Cuts blocks into frames, whatever their lengths, and keeps what the next frame needs.

    Attributes:
        size: of a frame, in samples, even.
        held: (channels, n) float64, the samples from where the next frame begins.
    """

    def __init__(self, channels: int, size: int, together: int = 1) -> None:
        """together: frames that come at a time; fewer wait."""
        self.size, self.held = size, np.zeros((channels, 0))
        self._together = together

    def add(self, block: NDArray[np.floating]) -> NDArray[np.float64]:
        """(channels, n), the next samples, to (channels, frames, size), the frames that they complete."""
        held = np.concatenate([self.held, block.astype(np.float64)], axis=1)
        hop = self.size // 2
        count = max(held.shape[1] // hop - 1, 0)
        count -= count % self._together
        self.held = held[:, count * hop :]
        if not count:
            return np.zeros((len(held), 0, self.size))
        return np.lib.stride_tricks.sliding_window_view(held, self.size, axis=1)[:, : count * hop : hop]


def nearest_size(seconds: float, rate: float) -> int:
    """The power of two samples that is nearest to a length, by ratio."""
    return 2 ** round(np.log2(seconds * rate))


def hann(size: int) -> NDArray[np.float64]:
    """(size,) Hann window without its zeros."""
    return np.hanning(size + 2)[1:-1]
