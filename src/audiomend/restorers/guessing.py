"""What a draw starts from: a guess of its own, where the one that an estimate starts from will not do."""

from dataclasses import dataclass, field, replace
from math import ceil

import torch
from torch import Tensor

from audiomend.restorers.damage import Clipped, Damage, Dull
from audiomend.restorers.methods import METHODS, Excerpt
from audiomend.samplers.base import Signal

METHOD, QUALITY = "blend", "fast"
CELL_S = 2.0  # of peaks restored at a time
CELLS = 8  # kept: more than what one window and its neighbours touch


def for_draw(damage: Damage, gain: float, seed: int) -> Damage:
    """The damage with the guess that a draw of this seed starts from.

    gain: from the file's level to the prior's.
    """
    if isinstance(damage, Dull):
        return replace(damage, seed=seed)
    if isinstance(damage, Clipped):
        words = f"the damaged signal with its peaks restored by {METHOD}"
        return replace(damage, guess=words, guessed=Peaks(damage, gain))
    return damage


@dataclass(frozen=True, eq=False)
class Peaks:
    """Clipped peaks restored by a classical method, cell by cell: `Clipped.guessed`.

    Attributes:
        damage, gain: as for `for_draw`.
    """

    damage: Clipped
    gain: float
    _kept: dict[int, Tensor] = field(default_factory=dict[int, Tensor])

    def __call__(self, damaged: Signal, start: int, stop: int) -> Tensor:
        """(channels, stop - start). Cells lie at multiples of their length, whatever the stretch."""
        size = ceil(CELL_S * self.damage.rate)
        first, last = start // size, (stop - 1) // size
        cells = [self._cell(damaged, cell, size) for cell in range(first, last + 1)]
        return torch.cat(cells, dim=-1)[:, start - first * size : stop - first * size]

    def _cell(self, damaged: Signal, cell: int, size: int) -> Tensor:
        if cell not in self._kept:
            if len(self._kept) >= CELLS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[cell] = self._restored(damaged, cell * size, (cell + 1) * size)
        return self._kept[cell]

    def _restored(self, damaged: Signal, start: int, stop: int) -> Tensor:
        method, rate = METHODS["declip"][METHOD].at(QUALITY), self.damage.rate
        margin = ceil(method.margin_s * rate)
        x = damaged(start - margin, stop + margin)
        every = torch.ones(1, len(x), dtype=torch.bool)
        clip = self.damage.operator([start - margin], x.shape[-1], every, self.gain)
        inside = slice(margin, margin + stop - start)
        low, high = clip.levels(x)
        if not ((x <= low) | (x >= high))[:, inside].any():
            return x[:, inside]
        return method.mend(Excerpt(x, clip, start - margin, rate, self.damage.severity))[:, inside]
