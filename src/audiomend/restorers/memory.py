"""Signals in memory, read and changed by position like files."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.reader import SoundReader

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """A `SoundReader` over an array.

    Attributes:
        samples: (channels, frames) float64.
        rate: samples per second.
    """

    samples: Array
    rate: int

    @property
    def channels(self) -> int:
        return self.samples.shape[0]

    @property
    def frames(self) -> int:
        return self.samples.shape[1]

    def read(self, start: int, stop: int) -> Array:
        return self.samples[:, start:stop]


class ArraySink:
    """Takes mended samples like `audiomend.audio.blocks.Spill`, into a copy of the array."""

    def __init__(self, samples: Array) -> None:
        self.samples = samples.copy()

    def add(self, start: int, samples: Array, changed: Array) -> None:
        """Put the changed ones of (channels, n) samples in place from `start` on."""
        place = self.samples[:, start : start + samples.shape[1]]
        place[changed] = samples[changed]


def read_padded(source: SoundReader, start: int, stop: int) -> Array:
    """(channels, stop - start), zeros outside the signal."""
    first, last = min(max(start, 0), source.frames), max(min(stop, source.frames), 0)
    out = np.zeros((source.channels, stop - start))
    if first < last:
        out[:, first - start : last - start] = source.read(first, last)
    return out
