"""Restoration by a classical method: the damaged stretches of a signal, excerpt by excerpt."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.audio.reader import SoundReader
from audiomend.restorers.damage import Damage
from audiomend.restorers.methods import Excerpt, Method
from audiomend.tuning import give_back

TRIED_FROM_S = 5.0  # of work, whose time is foretold by a trial; for less a trial takes too much of it
TRIAL_S, TRIAL_MARGIN_S = 0.2, 0.1
LATE = 0.25  # of the longest stretch: the shortest part, and how long a cut may wait for a known sample
LARGE = 1 << 19  # samples of an excerpt before and after which memory is given back

Done = Callable[[int], None]
"""Called with the number of samples that were just restored, over all channels."""


@dataclass(frozen=True)
class Part:
    """What is restored at a time: samples [start, stop) of the channels that are damaged in them."""

    start: int
    stop: int
    rows: tuple[bool, ...]

    @property
    def size(self) -> int:
        return self.work(0)

    def work(self, aside: int) -> int:
        """Samples that are worked on where a method takes `aside` more than it restores of each channel."""
        return (self.stop - self.start + aside) * sum(self.rows)


def parts(source: SoundReader, damage: Damage, method: Method) -> list[Part]:
    """Where there is work to do, found by reading the file once.

    Neighbouring cells of the method's grid that hold damage are one part, and so are parts that are less work
    together than apart. Where one is too long it is cut at multiples of the method's longest stretch, counted
    from the beginning of the file: so a sound is cut where it would be cut in a longer one, and what comes is
    the same. No cut goes through a gap or a clipped peak, unless that is long itself.
    """
    grid = method.grid(source.rate)
    longest = max(1, round(method.longest_s * source.rate / grid))
    aside = 2 * _margin(source, method) + method.beyond * grid
    found: list[Part] = []
    for part in _stretches(source, damage, grid, longest):
        if found and part.stop <= grid * _due(found[-1].start // grid, longest):
            both = _both(found[-1], part)
            if both.work(aside) <= found[-1].work(aside) + part.work(aside):
                found[-1] = both
                continue
        found.append(part)
    return found


def _stretches(source: SoundReader, damage: Damage, grid: int, longest: int) -> Iterator[Part]:
    """Runs of cells of `grid` samples that hold damage, cut after some `longest` of them."""
    rows = np.zeros(source.channels, np.bool_)  # of the run under way
    first, due, is_free = 0, 0, True
    cells = ceil(source.frames / grid)

    def part(cell: int) -> Part:
        return Part(first * grid, min(cell * grid, source.frames), tuple(rows.tolist()))

    for cell in range(cells):
        start, stop = cell * grid, min((cell + 1) * grid, source.frames)
        lost = damage.lost(start, source.read(start, stop))
        here = np.asarray(lost.any(axis=1))
        is_long = cell >= due + _late(longest) or (cell >= due and is_free)
        if is_long or not (here.any() and rows.any()):
            if rows.any():
                yield part(cell)
            rows, first, due = here, cell, _due(cell, longest)
        rows, is_free = rows | here, not lost[:, -1].any()
    if rows.any():
        yield part(cells)


def _due(first: int, longest: int) -> int:
    """The cell before which a part that begins with cell `first` is to be cut."""
    return ((first + _late(longest)) // longest + 1) * longest


def _late(longest: int) -> int:
    return round(LATE * longest)


def _both(one: Part, other: Part) -> Part:
    """From the start of one to the stop of the other."""
    rows = tuple(a or b for a, b in zip(one.rows, other.rows, strict=True))
    return Part(one.start, other.stop, rows)


@torch.inference_mode()
def restored(
    source: SoundReader, damage: Damage, method: Method, gain: float, work: Sequence[Part], done: Done
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Restore the parts.

    Args:
        gain: from the file's level to SIGMA_DATA; a method that is raw takes no part in it.

    Yields:
        (position, (channels, n)) of the restored signal at the file's level, in order of position; only lost
        samples in it are to be used.
    """
    margin = _margin(source, method)
    for part in work:
        is_large = (part.stop - part.start + 2 * margin) * sum(part.rows) >= LARGE
        if is_large:
            give_back()
        piece = _piece(source, damage, method, gain, part, margin)
        if is_large:
            give_back()
        yield part.start, piece
        done(part.size)


@torch.inference_mode()
def foretold(source: SoundReader, damage: Damage, method: Method, gain: float, work: Sequence[Part]) -> float:
    """Seconds that `restored` will take, by a trial on its beginning; 0 for little work."""
    margin, beyond = _margin(source, method), method.beyond * method.grid(source.rate)
    read = [min(part.stop + margin, source.frames) - max(part.start - margin, 0) for part in work]
    if sum(read) < TRIED_FROM_S * source.rate:
        return 0.0
    first, grid = work[0], method.grid(source.rate)
    trial = replace(first, stop=min(first.start + ceil(TRIAL_S * source.rate / grid) * grid, first.stop))
    aside = round(min(TRIAL_MARGIN_S, method.margin_s) * source.rate)
    tried = min(trial.stop + aside, source.frames) - max(trial.start - aside, 0) + beyond
    begun = time.perf_counter()
    _piece(source, damage, method, gain, trial, aside)
    took = time.perf_counter() - begun
    whole = sum((frames + beyond) * sum(part.rows) for frames, part in zip(read, work, strict=True))
    return took * whole / (tried * sum(trial.rows))


def _margin(source: SoundReader, method: Method) -> int:
    """That of the method in samples, a multiple of its grid."""
    grid = method.grid(source.rate)
    return ceil(method.margin_s * source.rate / grid) * grid


def _piece(
    source: SoundReader, damage: Damage, method: Method, gain: float, part: Part, margin: int
) -> NDArray[np.float64]:
    """The part restored, (channels, n)."""
    start, stop = max(part.start - margin, 0), min(part.stop + margin, source.frames)
    rows = torch.tensor(part.rows)
    kind, gain = (np.float64, 1.0) if method.raw else (np.float32, gain)
    samples = source.read(start, stop).astype(kind) * kind(gain)
    operator = damage.operator([start], stop - start, rows[None], gain)
    excerpt = Excerpt(torch.from_numpy(samples)[rows], operator, start, source.rate, damage.severity)
    mended = method.mend(excerpt)[:, part.start - start : part.stop - start]
    piece = source.read(part.start, part.stop).astype(np.float64)
    piece[np.array(part.rows)] = mended.double().numpy() / gain
    return piece
