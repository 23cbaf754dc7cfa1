"""Which dropouts are lifted, and what is left to be filled: their ends, and the others as a whole.

But what cannot be lifted is filled only where every channel has it. Alone, it may as well be a sound of that
channel that stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from audiomend.audio.reader import SoundReader
from audiomend.classical.lifting import EDGE_S, SIDE_S, lift
from audiomend.restorers.regions import Interval


@dataclass(frozen=True)
class Lift:
    """A stretch of one channel, start to stop - 1, that is multiplied by a gain above 0."""

    channel: int
    start: int
    stop: int
    gain: float


def lifts_of(
    source: SoundReader, dropouts: Sequence[tuple[int, Interval]]
) -> tuple[list[Lift], list[tuple[int, Interval]]]:
    """What of (channel, frames) is lifted, and the (channel, frames) that are to be filled."""
    lifts, left = list[Lift](), list[tuple[int, Interval]]()
    edge, side = round(EDGE_S * source.rate), round(SIDE_S * source.rate)
    for channel, (start, stop) in dropouts:
        first, last = max(start - side, 0), min(stop + side, source.frames)
        x = torch.from_numpy(source.read(first, last)[channel])
        gain = lift(x, start - first, stop - first, source.rate)
        having = {other for other, (begin, end) in dropouts if begin < stop and start < end}
        if gain is None and len(having) == source.channels:
            left.append((channel, (start, stop)))
        elif gain is not None:
            lifts.append(Lift(channel, start + edge, stop - edge, gain))
            left += [(channel, (start, start + edge)), (channel, (stop - edge, stop))]
    return lifts, left
