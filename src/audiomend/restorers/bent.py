"""Work on soft clipping: the curve is inverted where that can be, and what is flat is mended after it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audiomend.audio.blocks import Spill
from audiomend.audio.reader import Overlaid, SoundReader, blocks
from audiomend.restorers.damage import Bent
from audiomend.restorers.diffusion import Preview
from audiomend.restorers.jobs import Array, Job, Pieces, place
from audiomend.restorers.methods import INVERSE
from audiomend.restorers.options import Options


@dataclass(frozen=True, eq=False)
class BentJob:
    """Curves to be inverted, and a job for what they do not tell.

    Attributes:
        source, damage, options: what is mended.
        flat: mends the flat samples of the straightened signal; None if there are none.
    """

    source: SoundReader
    damage: Bent
    options: Options
    flat: Job | None
    seconds: float

    @property
    def method(self) -> str:
        return INVERSE + ("" if self.flat is None else f", {self.flat.method} where it is flat")

    @property
    def settings(self) -> str:
        curves = dict.fromkeys(f"{b.curve} towards {b.towards}" for b in self.damage.bends if b is not None)
        return "; ".join([*curves, *([] if self.flat is None else [self.flat.settings])])

    @property
    def model(self) -> str:
        return "" if self.flat is None else self.flat.model

    @property
    def precision(self) -> str:
        return "" if self.flat is None else self.flat.precision

    @property
    def started_from(self) -> str:
        return "" if self.flat is None else self.flat.started_from

    @property
    def steps(self) -> int:
        return 0 if self.flat is None else self.flat.steps

    @property
    def estimate_seconds(self) -> float:
        return 0.0 if self.flat is None else self.flat.estimate_seconds

    @property
    def amount(self) -> int:
        return self.source.frames if self.flat is None else self.flat.amount

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        del preview  # what a walk shows on the way is of the flat samples alone
        straight = Straightened(self.source, self.damage)
        with Spill(self.source.channels, np.float64) as changes:
            if self.flat is not None:
                for start, mended in self.flat.pieces(done, None):
                    place(self.flat, changes, start, mended)
            whole = Overlaid(straight, changes)
            for start, stop in blocks(self.source):
                yield start, whole.read(start, stop)
                if self.flat is None:
                    done(stop - start)


@dataclass(frozen=True, eq=False)
class Straightened:
    """A `SoundReader` of a signal through the inverses of its curves."""

    source: SoundReader
    damage: Bent

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def frames(self) -> int:
        return self.source.frames

    def read(self, start: int, stop: int) -> Array:
        return self.damage.straightened(self.source.read(start, stop))
