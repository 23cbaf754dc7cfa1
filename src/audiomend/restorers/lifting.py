"""Which dropouts are lifted, and what is left to be filled: their ends, and the others as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from audiomend.audio.reader import SoundReader
from audiomend.classical.lifting import BESIDE_S, EDGE_S, lift
from audiomend.restorers.regions import Interval


@dataclass(frozen=True)
class Lift:
    """A stretch of one channel, start to stop - 1, that is multiplied by a gain above 0."""

    channel: int
    start: int
    stop: int
    gain: float


def lifts_of(
    source: SoundReader, dropouts: Iterable[tuple[int, Interval]]
) -> tuple[list[Lift], list[tuple[int, Interval]]]:
    """What of (channel, frames) is lifted, and the (channel, frames) that are to be filled."""
    lifts, left = list[Lift](), list[tuple[int, Interval]]()
    edge, beside = round(EDGE_S * source.rate), round(BESIDE_S * source.rate)
    for channel, (start, stop) in dropouts:
        first, last = max(start - beside, 0), min(stop + beside, source.frames)
        x = torch.from_numpy(source.read(first, last)[channel])
        gain = lift(x, start - first, stop - first, source.rate)
        if gain is None:
            left.append((channel, (start, stop)))
        else:
            lifts.append(Lift(channel, start + edge, stop - edge, gain))
            left += [(channel, (start, start + edge)), (channel, (stop - edge, stop))]
    return lifts, left
