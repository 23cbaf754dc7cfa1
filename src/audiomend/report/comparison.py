"""A file before and after it was mended, side by side."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.blocks import MERGED_S
from audiomend.audio.file import open_sound
from audiomend.audio.formats import Format
from audiomend.audio.reader import SoundReader, blocks, by_position
from audiomend.report.listening import EXCERPT_SECONDS, loudest_change
from audiomend.report.page import Sound

Samples = NDArray[np.float64]
Pairs = Iterable[tuple[Samples, Samples]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both files, open.

    Attributes:
        before, after: of one length.
        format: of the first.
        gain: level of the second over that of the first.
        start, stop: the excerpt in which the most was changed, in frames.
        sounds: that excerpt of both.
    """

    before: SoundReader
    after: SoundReader
    format: Format
    gain: float
    start: int
    stop: int
    sounds: Sequence[Sound]

    def changed(self, tolerance: float) -> list[tuple[int, int]]:
        """Half-open runs of frames that differ by more than `tolerance`, full scale 1.

        To the frame in the excerpt, where levels are compared on the others; elsewhere, runs that are less
        than MERGED_S apart are one.
        """
        first, end, merged = self.start, self.stop, round(MERGED_S * self.before.rate)
        runs = changed_runs(_pairs(self.before, self.after, self.gain), tolerance, merged)
        heard = [(self.before.read(first, end), self.after.read(first, end) / self.gain)]
        return sorted(
            [(start, min(stop, first)) for start, stop in runs if start < first]
            + [(first + start, first + stop) for start, stop in changed_runs(heard, tolerance, 0)]
            + [(max(start, end), stop) for start, stop in runs if stop > end]
        )


@contextlib.contextmanager
def compared(source: str, output: str, frames: int, gain: float) -> Generator[Comparison]:
    """Two files, read again in blocks.

    Args:
        source, output: their paths.
        frames: of both.
        gain: level of the output over that of the source.

    Raises:
        AudioReadError: a file cannot be read again.
    """
    with (
        open_sound(source) as one,
        open_sound(output) as other,
        by_position(one, frames) as before,
        by_position(other, frames) as after,
    ):
        start = loudest_change(_pairs(before, after, gain), one.rate)
        stop = min(start + round(EXCERPT_SECONDS * one.rate), frames)
        sounds = [
            Sound("Before", before.read(start, stop), one.rate, source),
            Sound("After", after.read(start, stop), one.rate, output),
        ]
        yield Comparison(before, after, one.format, gain, start, stop, sounds)


def changed_runs(pairs: Pairs, tolerance: float, merged: int) -> list[tuple[int, int]]:
    """Half-open runs of frames in which two signals differ by more than `tolerance`.

    Args:
        pairs: both signals in consecutive blocks, (channels, time) each.
        tolerance: absolute, full scale 1.
        merged: runs with at most so many equal frames between them count as one.
    """
    runs: list[tuple[int, int]] = []
    position = 0
    for before, after in pairs:
        frames = position + np.flatnonzero((np.abs(after - before) > tolerance).any(axis=0))
        for run in np.split(frames, np.flatnonzero(np.diff(frames) > merged + 1) + 1) if len(frames) else ():
            first, stop = int(run[0]), int(run[-1]) + 1
            if runs and first - runs[-1][1] <= merged:
                first = runs.pop()[0]
            runs.append((first, stop))
        position += before.shape[1]
    return runs


def _pairs(before: SoundReader, after: SoundReader, gain: float) -> Iterator[tuple[Samples, Samples]]:
    """Both files in blocks, (channels, time) each, the second at the level of the first."""
    for start, stop in blocks(before):
        yield before.read(start, stop), after.read(start, stop) / gain
