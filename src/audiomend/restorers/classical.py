"""Restoration by a classical method: the damaged stretches of a signal, excerpt by excerpt."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.audio.reader import SoundReader
from audiomend.restorers.damage import Damage
from audiomend.restorers.methods import Excerpt, Method

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
        return (self.stop - self.start) * sum(self.rows)


def parts(source: SoundReader, damage: Damage, method: Method) -> list[Part]:
    """Where there is work to do, found by reading the file once.

    Neighbouring cells of the method's grid that hold damage are one part, cut where it is too long.
    """
    grid = method.grid(source.rate)
    runs: list[list[NDArray[np.bool_]]] = []
    first: list[int] = []
    inside = False
    for cell in range(ceil(source.frames / grid)):
        start, stop = cell * grid, min((cell + 1) * grid, source.frames)
        rows = np.asarray(damage.lost(start, source.read(start, stop)).any(axis=1))
        if rows.any() and inside:
            runs[-1].append(rows)
        elif rows.any():
            runs.append([rows])
            first.append(cell)
        inside = bool(rows.any())
    longest = max(1, round(method.longest_s * source.rate / grid))
    found: list[Part] = []
    for cell, run in zip(first, runs, strict=True):
        edges = np.linspace(0, len(run), ceil(len(run) / longest) + 1).round().astype(int)
        for a, b in pairwise(edges.tolist()):
            rows = tuple(np.any(run[a:b], axis=0).tolist())
            found.append(Part((cell + a) * grid, min((cell + b) * grid, source.frames), rows))
    return found


@torch.inference_mode()
def restored(
    source: SoundReader, damage: Damage, method: Method, gain: float, work: Sequence[Part], done: Done
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Restore the parts.

    Args:
        gain: from the file's level to SIGMA_DATA.

    Yields:
        (position, (channels, n)) of the restored signal at the file's level, in order of position; only lost
        samples in it are to be used.
    """
    grid = method.grid(source.rate)
    margin = ceil(method.margin_s * source.rate / grid) * grid
    for part in work:
        start, stop = max(part.start - margin, 0), min(part.stop + margin, source.frames)
        samples = source.read(start, stop).astype(np.float64)
        rows = torch.tensor(part.rows)
        observation = torch.from_numpy(samples.astype(np.float32) * np.float32(gain))[rows]
        operator = damage.operator([start], stop - start, rows[None], gain)
        mended = method.mend(Excerpt(observation, operator, start, source.rate, damage.severity))
        samples[np.array(part.rows)] = mended.double().numpy() / gain
        yield part.start, samples[:, part.start - start : part.stop - start]
        done(part.size)
