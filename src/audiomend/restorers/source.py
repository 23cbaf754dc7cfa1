"""Where damaged sound comes from: an array or a file, read by position."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Source(Protocol):
    """A damaged signal of known length that can be read anywhere."""

    @property
    def rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def frames(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """(channels, stop - start), 0 <= start <= stop <= frames."""
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A signal in memory.

    Attributes:
        samples: (channels, frames).
        rate: samples per second.
    """

    samples: NDArray[np.float64]
    rate: int

    @property
    def channels(self) -> int:
        return self.samples.shape[0]

    @property
    def frames(self) -> int:
        return self.samples.shape[1]

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        return self.samples[:, start:stop]


def read_padded(source: Source, start: int, stop: int) -> NDArray[np.float64]:
    """(channels, stop - start), zeros outside the signal."""
    first, last = min(max(start, 0), source.frames), max(min(stop, source.frames), 0)
    out = np.zeros((source.channels, stop - start))
    if first < last:
        out[:, first - start : last - start] = source.read(first, last)
    return out
