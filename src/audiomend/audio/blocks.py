"""Two passes over a file of any length in little memory: mend into a spill, then assemble the output.

The gain of the output follows from its highest restored peak, which is known only at the end; so mended
samples wait in a temporary file that has no name, and the second pass puts them among the known ones.
"""

import bisect
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.atomic import RawFile, temporary_file, write_error
from audiomend.audio.file import Block, Sound, Survey
from audiomend.audio.formats import FLOAT32_BITS, Format, as_float, from_float, is_refinement, to_float
from audiomend.audio.output import (
    ClipMode,
    SoundWriter,
    Target,
    carries_chunks,
    carry_chunks,
    destination,
    for_length,
)
from audiomend.errors import AudiomendError, AudioReadError

Array = NDArray[Any]

MERGED_S = 0.01  # changed stretches nearer to each other than this are shown as one


@dataclass(frozen=True)
class _Stretch:
    start: int  # frames of the file
    stop: int
    offset: int  # frames of the spill


class Spill:
    """Context manager: mended samples on disk, in order, with NaN wherever a sample has not changed.

    Attributes:
        peak: greatest absolute changed sample, full scale 1.

    Args:
        channels: of the file.
        dtype: float32, or float64 where the file's samples need it.
    """

    def __init__(self, channels: int, dtype: type[np.float32] | type[np.float64] = np.float32) -> None:
        self.peak = 0.0
        self._channels = channels
        self._dtype = np.dtype(dtype)
        self._stretches: list[_Stretch] = []
        self._starts: list[int] = []
        self._temporary = temporary_file()
        self._file = RawFile(self._temporary.fileno())

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.close()

    def add(self, start: int, samples: Array, changed: Array) -> None:
        """Take mended samples from frame `start` on, at the level of the file.

        Args:
            start: not before the end of the stretch added last.
            samples: (channels, time).
            changed: bool, (channels, time) or (time,); where it is False the file's own samples stay.

        Raises:
            AudiomendError: a changed sample is not finite.
            AudioWriteError: the temporary folder is full.
        """
        if self._stretches and start < self._stretches[-1].stop:
            raise ValueError(f"stretch at {start} overlaps the one that ends at {self._stretches[-1].stop}")
        changed = np.broadcast_to(changed, samples.shape)
        frames = np.flatnonzero(changed.any(axis=0))
        if not len(frames):
            return
        first, last = int(frames[0]), int(frames[-1]) + 1
        samples, changed = samples[:, first:last], changed[:, first:last]
        if not np.isfinite(samples[changed]).all():
            raise AudiomendError(f"the mended sound is not finite near frame {start + first:,}")
        self.peak = max(self.peak, float(np.abs(samples[changed]).max()))
        self._append(start + first, np.where(changed, samples, np.nan))

    def _append(self, start: int, samples: Array) -> None:
        offset = self._file.seek(0, os.SEEK_END) // self._frame_bytes
        try:
            self._file.write(np.ascontiguousarray(samples.T, self._dtype).tobytes())
        except OSError as error:
            raise write_error(f"a temporary file in {tempfile.gettempdir()}", error) from None
        stop = start + samples.shape[-1]
        if self._stretches and self._stretches[-1].stop == start:
            self._stretches[-1] = replace(self._stretches[-1], stop=stop)
        else:
            self._stretches.append(_Stretch(start, stop, offset))
            self._starts.append(start)

    def read(self, start: int, stop: int) -> Array:
        """(channels, time) float64 of the frames [start, stop): the mended samples, NaN elsewhere."""
        samples = np.full((self._channels, stop - start), np.nan)
        first = max(0, bisect.bisect_right(self._starts, start) - 1)
        last = bisect.bisect_left(self._starts, stop)
        for stretch in self._stretches[first:last]:
            low, high = max(start, stretch.start), min(stop, stretch.stop)
            if low < high:
                offset = stretch.offset + low - stretch.start
                samples[:, low - start : high - start] = self._load(offset, high - low)
        return samples

    def _load(self, offset: int, frames: int) -> Array:
        self._file.seek(offset * self._frame_bytes)
        data = b"".join(self._pieces(frames * self._frame_bytes))
        return np.frombuffer(data, self._dtype).reshape(frames, self._channels).T

    def _pieces(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self._file.read(count)
            if not piece:
                raise AudiomendError("the temporary file of mended samples has become shorter")
            yield piece
            count -= len(piece)

    @property
    def _frame_bytes(self) -> int:
        return self._channels * self._dtype.itemsize


@dataclass(frozen=True)
class Assembly:
    """What the output became.

    Attributes:
        format: container and number format.
        gain: of the whole file, at most 1.
        clamped: samples that were cut to what the format holds.
        warnings: sentences for the user.
        changed: mended samples (frames x channels) whose native value, before a lossy codec, is not what it
            would be without the mending: those that differ by less than a step of the format do not count.
        intervals: where they are, in frames, half-open, in order; those less than MERGED_S apart are one.
        is_copy: whether every sample of the output is that of the input.
    """

    format: Format
    gain: float
    clamped: int
    warnings: tuple[str, ...] = ()
    changed: int = 0
    intervals: tuple[tuple[int, int], ...] = ()
    is_copy: bool = False


def assemble(
    sound: Sound,
    found: Survey,
    spill: Spill,
    target: Target,
    *,
    clip_mode: ClipMode = "rescale",
    residue: Target | None = None,
) -> Assembly:
    """Write the output, and the residue if wanted: both whole, or neither.

    Samples that have not changed go over in the file's own number format, bit for bit, unless the gain is
    below 1 or the output has another format. The residue is input minus output, sample by sample.

    Args:
        sound: the input.
        found: its survey.
        spill: its mended samples.
        target: where the output goes, from `check_output`.
        clip_mode: what happens if a restored peak is beyond full scale and the format cannot hold it:
            "rescale", the whole file comes down so that the peak fits; "float", the samples become floats;
            "clamp", the peaks are cut.
        residue: where the residue goes, from `check_residue`.

    Raises:
        AudioWriteError: a disk is full or fails.
        AudioReadError: the input has changed since the survey.
    """
    chosen, gain = _fit(target.format, max(found.peak, spill.peak), clip_mode)
    chosen = for_length(chosen, target.name, sound, found.frames)
    tags = {} if carries_chunks(chosen, sound) else sound.tags
    wanted = [(target, chosen, tags)]
    if residue is not None:
        wanted.append((residue, _residue_format(residue, sound, found, chosen), {}))
    with contextlib.ExitStack() as files:
        places = [files.enter_context(destination(place)) for place, _, _ in wanted]
        with contextlib.ExitStack() as writers:
            output, *others = [
                writers.enter_context(
                    SoundWriter(place.file, named.name, number_format, sound.rate, sound.channels, texts)
                )
                for place, (named, number_format, texts) in zip(places, wanted, strict=True)
            ]
            clamped, changed, is_copy = 0, Runs(round(MERGED_S * sound.rate)), chosen.is_exact
            for block in _whole(sound, found):
                native, other, cut = _mended(block, spill, sound.format, chosen, gain)
                clamped += cut
                changed.add(block.start, other)
                is_copy = is_copy and np.array_equal(to_float(native), to_float(block.native))
                output.write(native)
                for removed in others:
                    removed.write(to_float(block.native) - to_float(native))
        if carries_chunks(chosen, sound):
            carry_chunks(places[0].file, target.name, sound)
        for place in reversed(places):  # the output last: where it stands, all is done
            place.commit()
    warnings = _warnings(target.name, chosen)
    return Assembly(chosen, gain, clamped, warnings, changed.samples, tuple(changed.intervals), is_copy)


class Runs:
    """Counts changed samples, and joins their frames to intervals.

    merged: intervals with at most so many unchanged frames between them count as one.
    """

    def __init__(self, merged: int) -> None:
        self.samples = 0
        self.intervals: list[tuple[int, int]] = []
        self._merged = merged

    def add(self, start: int, changed: Array) -> None:
        """Take which samples from frame `start` on have changed, (frames, channels) bool."""
        self.samples += int(np.count_nonzero(changed))
        frames = start + np.flatnonzero(changed.any(axis=1))
        for run in np.split(frames, np.flatnonzero(np.diff(frames) > self._merged + 1) + 1):
            if not len(run):
                continue
            first, stop = int(run[0]), int(run[-1]) + 1
            if self.intervals and first - self.intervals[-1][1] <= self._merged:
                first = self.intervals.pop()[0]
            self.intervals.append((first, stop))


def _warnings(name: str, chosen: Format) -> tuple[str, ...]:
    if chosen.is_exact:
        return ()
    return (f"{name} is {chosen.container} {chosen.subtype}, which is lossy: untouched samples change too",)


def _fit(chosen: Format, peak: float, clip_mode: ClipMode) -> tuple[Format, float]:
    """The number format and the gain that hold `peak`; full scale itself counts as held by its top code."""
    if peak <= 1.0 or chosen.holds_overs or clip_mode == "clamp":
        return chosen, 1.0
    if clip_mode == "rescale":
        return chosen, chosen.ceiling / peak
    floats = as_float(chosen)
    if floats is None:
        raise ValueError(f"{chosen.container} has no floats; check_output tells so in time")
    return floats, 1.0


def _residue_format(residue: Target, sound: Sound, found: Survey, chosen: Format) -> Format:
    # The difference of two 16-bit codes has 17 bits and is a float32; that of 24-bit codes may not be one.
    short = all(item.is_integer and item.bits < FLOAT32_BITS for item in (sound.format, chosen))
    number_format = replace(residue.format, subtype="FLOAT") if short else residue.format
    return for_length(number_format, residue.name, sound, found.frames)


def _whole(sound: Sound, found: Survey) -> Iterator[Block]:
    stop = 0
    for block in sound.blocks():
        stop = block.stop
        yield block
    if stop != found.frames:
        raise AudioReadError(f"{sound.name} ended after {stop:,} frames; {found.frames:,} were there before")


def _mended(
    block: Block, spill: Spill, source: Format, chosen: Format, gain: float
) -> tuple[Array, Array, int]:
    """The native samples of the output, which of them the mending changed, and how many were clamped.

    Both arrays are (frames, channels).
    """
    mended = spill.read(block.start, block.stop).T
    changed = ~np.isnan(mended)
    if gain == 1.0 and is_refinement(chosen, source):
        native = block.native.copy()
        native[changed] = from_float(mended[changed], chosen)
        return native, native != block.native, _clamped(mended[changed], chosen)
    before = to_float(block.native)
    samples = np.where(changed, mended, before) * gain
    native = from_float(samples, chosen)
    changed[changed] = native[changed] != from_float(before[changed] * gain, chosen)
    return native, changed, _clamped(samples, chosen)


def _clamped(samples: Array, chosen: Format) -> int:
    return 0 if chosen.holds_overs else int(np.count_nonzero(np.abs(samples) > 1.0))
