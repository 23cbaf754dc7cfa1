"""Frames of a sound file by position, for whoever walks it in overlapping windows."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.audio.blocks import Spill
from audiomend.audio.file import Sound, block_frames
from audiomend.audio.formats import FLOAT32_BITS, to_float
from audiomend.audio.libsndfile import read_frames
from audiomend.errors import AudioReadError
from audiomend.tuning import sparing

Array = NDArray[Any]

# AU is not among them: where its header tells a wrong offset, reading and seeking start at other bytes.
_SEEKING = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "CAF")


class SoundReader(Protocol):
    """A signal of known length that can be read anywhere."""

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def channels(self) -> int: ...

    @property
    def frames(self) -> int: ...

    def read(self, start: int, stop: int) -> Array:
        """(channels, stop - start) float64, full scale 1; 0 <= start <= stop <= frames."""
        ...


class Overlaid:
    """A signal through changes to it."""

    def __init__(self, source: SoundReader, changes: Spill) -> None:
        self.rate, self.channels, self.frames = source.rate, source.channels, source.frames
        self._source, self._changes = source, changes

    def read(self, start: int, stop: int) -> Array:
        """(channels, stop - start) float64."""
        changes = self._changes.read(start, stop)
        return np.where(np.isnan(changes), self._source.read(start, stop), changes)


def blocks(source: SoundReader) -> Iterator[tuple[int, int]]:
    """Start and stop of the blocks that a signal is read in from end to end."""
    step = block_frames(source.channels)
    return sparing((start, min(start + step, source.frames)) for start in range(0, source.frames, step))


class _Seeking:
    def __init__(self, sound: Sound, frames: int, file: soundfile.SoundFile) -> None:
        self.rate, self.channels, self.frames = sound.rate, sound.channels, frames
        self._sound = sound
        self._file = file

    def read(self, start: int, stop: int) -> Array:
        native = np.empty((stop - start, self.channels), self._sound.format.dtype)
        try:
            self._file.seek(start)
        except soundfile.LibsndfileError:
            count = 0
        else:
            count, _ = read_frames(self._file, native)
        if count < stop - start:
            raise AudioReadError(f"{self._sound.name} cannot be read again at frame {start + count:,}")
        return np.ascontiguousarray(to_float(native).T)


class _Decoded:
    def __init__(self, sound: Sound, frames: int, spill: Spill) -> None:
        self.rate, self.channels, self.frames = sound.rate, sound.channels, frames
        self._spill = spill
        for block in sound.blocks():
            spill.add(block.start, block.samples, np.ones(len(block.native), bool))

    def read(self, start: int, stop: int) -> Array:
        return self._spill.read(start, stop)


@contextlib.contextmanager
def by_position(sound: Sound, frames: int) -> Generator[SoundReader]:
    """Open `sound` for reading at any position.

    Args:
        sound: an open sound.
        frames: how many its survey found.
    """
    if _seeks_exactly(sound):
        with soundfile.SoundFile(sound.path) as file:
            yield _Seeking(sound, frames, file)
    else:  # decoded once, into a temporary file
        dtype = np.float64 if sound.format.bits > FLOAT32_BITS else np.float32
        with Spill(sound.channels, dtype) as spill:
            yield _Decoded(sound, frames, spill)


def _seeks_exactly(sound: Sound) -> bool:
    """Whether libsndfile finds any sample again: lossy decoders give other values there, ALAC takes long."""
    chosen = sound.format
    return chosen.container in _SEEKING and chosen.is_exact and not chosen.subtype.startswith("ALAC_")
