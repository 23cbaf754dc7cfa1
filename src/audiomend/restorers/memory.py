"""Signals in memory, read and changed by position like files."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.file import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from audiomend.audio.reader import SoundReader
from audiomend.errors import UsageError

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


def rows_of(values: Array, rate: float) -> Array:
    """(channels, time) float64, full scale 1, of audio that may be (time,) and integer.

    Raises:
        UsageError: a rate, shape, dtype or value that no sound has.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise UsageError(
            f"The sample rate is {rate}; whole numbers from {LOWEST_RATE} to {HIGHEST_RATE} Hz are allowed."
        )
    if values.ndim not in (1, 2):
        raise UsageError(f"The audio has shape {values.shape}; (time,) or (channels, time) is allowed.")
    if values.dtype.kind not in "fi":
        raise UsageError(f"The audio is {values.dtype}; floats and signed integers are allowed.")
    rows = np.atleast_2d(values)
    if rows.shape[0] > MOST_CHANNELS:
        raise UsageError(
            f"The audio has shape {values.shape}, so {rows.shape[0]} channels; at most {MOST_CHANNELS} are"
            " allowed. Time is the last axis: transpose it if it is the first."
        )
    if values.size == 0:
        raise UsageError(f"The audio has shape {values.shape}; at least one sample is needed.")
    if values.dtype.kind == "i":
        return rows / -float(np.iinfo(values.dtype).min)
    bad = ~np.isfinite(rows)
    if bad.any():
        place = int(np.argmax(bad.any(axis=0)))
        raise UsageError(
            f"The audio holds {int(bad.sum())} samples that are NaN or infinite, the first at sample {place}."
        )
    return rows.astype(np.float64)
