"""Which dropouts are lifted, and what is left to be filled: their ends, and the others as a whole.

But what cannot be lifted is filled only where every channel has it. Alone, it may as well be a sound of that
channel that stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.audio.reader import SoundReader
from audiomend.classical.lifting import EDGE_S, SIDE_S, lift
from audiomend.restorers.regions import Interval


@dataclass(frozen=True)
class Lift:
    """A stretch of one channel, start to stop - 1, as gain (x + offset) - offset.

    The gain is above 0. The offset is what was taken from the sound before, if that had fallen with it: a
    constant too much was taken from the dropout then.
    """

    channel: int
    start: int
    stop: int
    gain: float
    offset: float


def lifts_of(
    source: SoundReader, original: SoundReader, dropouts: Sequence[tuple[int, Interval]]
) -> tuple[list[Lift], list[tuple[int, Interval]]]:
    """What of (channel, frames) is lifted, and the (channel, frames) that are to be filled.

    original: the sound before anything was mended.
    """
    lifts, left = list[Lift](), list[tuple[int, Interval]]()
    edge, side = round(EDGE_S * source.rate), round(SIDE_S * source.rate)
    for channel, (start, stop) in dropouts:
        first, last = max(start - side, 0), min(stop + side, source.frames)
        x, was = (torch.from_numpy(sound.read(first, last)[channel]) for sound in (source, original))
        inside = slice(start - first, stop - first)
        offset = _fallen(x[inside], was[inside])
        x = x + offset
        gain = lift(x, inside.start, inside.stop, source.rate)
        having = {other for other, (begin, end) in dropouts if begin < stop and start < end}
        if gain is None and len(having) == source.channels:
            left.append((channel, (start, stop)))
        elif gain is not None:
            lifts.append(Lift(channel, start + edge, stop - edge, gain, offset))
            left += [(channel, (start, start + edge)), (channel, (stop - edge, stop))]
    return lifts, left


def _fallen(x: Tensor, was: Tensor) -> float:
    """The constant between what a dropout, (time,), was and is, if the mean is nearer to 0 with it."""
    taken, mean = float((was - x).median()), float(x.mean())
    return taken if abs(mean + taken) < abs(mean) else 0.0
