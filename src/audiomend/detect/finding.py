"""What every detector tells in the end: is this damage there, how sure is that, where and how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Fact = float | int | str | bool | None | Sequence["Fact"] | Mapping[str, "Fact"]
FOUND = 0.5  # confidence from which a damage counts as found


@dataclass(frozen=True)
class Place:
    """A stretch of one channel.

    Attributes:
        channel: its number, from 0.
        start, stop: first sample and first sample after it.
    """

    channel: int
    start: int
    stop: int


@dataclass(frozen=True)
class Finding:
    """The verdict on one damage.

    Attributes:
        damage: its name, a word or two.
        confidence: 0 to 1, that it is there.
        summary: what was found or not, some words.
        facts: the estimates, by name; they hold whether or not the damage was found.
        places: where it is, if it has places.
        is_told: whether the recording can tell; not where another damage looks the same.
    """

    damage: str
    confidence: float
    summary: str
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    places: tuple[Place, ...] = ()
    is_told: bool = True

    @property
    def is_found(self) -> bool:
        """Whether the damage counts as there."""
        return self.confidence >= FOUND


def sureness(value: float, none: float, half: float, full: float) -> float:
    """Confidence by a measured value: 0 at `none`, 0.5 at `half`, 1 at `full`, straight lines between them.

    The three may rise or fall.
    """
    points, levels = (none, half, full), (0.0, FOUND, 1.0)
    if none > full:
        points, levels = points[::-1], levels[::-1]
    return float(np.interp(value, points, levels))
