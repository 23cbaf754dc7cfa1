"""Gaps filled by a classical method and the prior together: which of them, for which length of gap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil, inf
from typing import NamedTuple

import torch
from torch import Tensor

from audiomend.audio.reader import SoundReader
from audiomend.classical.continuation import agreement
from audiomend.classical.similarity import Similarity, unlikeness
from audiomend.operators.mask import Mask
from audiomend.restorers.damage import Gaps, near
from audiomend.restorers.methods import METHODS, Excerpt
from audiomend.restorers.regions import Interval
from audiomend.samplers.base import Signal
from audiomend.tuning import give_back

AGREEMENT_ORDER = 512
AROUND_S = 0.2  # before and after a gap, from which it is judged
BESIDE_S = 0.05  # before and after a gap, whose power that of a guess is compared with
MOST = 0.9  # share of a guess beside a walk
ANY_DB = 100.0  # whatever there is to compare with
_ESTIMATE: Mapping[str, object] = {"solver": "momentum", "conditioned": False}
_DRAW: Mapping[str, object] = {"solver": "2m", "conditioned": True}


@dataclass(frozen=True)
class Filling:
    """How gaps of up to some length are filled.

    Attributes:
        longest_s: of these gaps, in seconds.
        method: that makes the guess, of METHODS["inpaint"]; diffusion walks without one.
        walk: fields of `Way` for the walk that starts from the guess and is mixed with it, see `share`; None
            leaves the guess as it is.
        unlike_db: most that the surroundings of these gaps may differ from the most similar stretch.
        shrunk: whether the walk starts from the guess times √w. w is the agreement of what the sound before
            and after the gap, continued, make of it: the guess of a model that is not sure is too loud.
    """

    longest_s: float
    method: str
    walk: Mapping[str, object] | None
    shrunk: bool = False
    unlike_db: float = inf


FILLINGS = (
    Filling(0.08, "janssen", {"start": 2.0, **_ESTIMATE}, shrunk=True),
    Filling(0.12, "janssen", {"start": 0.3, **_DRAW}),
    Filling(0.3, "similarity", None, unlike_db=7.5),
    Filling(0.3, "diffusion", {}),
    Filling(inf, "similarity", None, unlike_db=ANY_DB),
    Filling(inf, "diffusion", {}),
)
"""What measured best on training recordings (docs/choices.md); a gap is filled in the first way that fits."""


def by_filling(
    source: SoundReader, gaps: Gaps, every: Sequence[Interval]
) -> list[tuple[Filling, list[Interval]]]:
    """The gaps of a file, (first, end) in samples, by the way that suits their length and surroundings."""
    ways = [_filling(gap, source, gaps) for gap in every]
    sorted_out = [
        (each, [gap for gap, way in zip(every, ways, strict=True) if way == each]) for each in FILLINGS
    ]
    return [(each, chosen) for each, chosen in sorted_out if chosen]


def _filling(gap: Interval, source: SoundReader, gaps: Gaps) -> Filling:

    @cache
    def unlike() -> float:
        settings = Similarity()
        margin = ceil((settings.reach_s + settings.context_s) * source.rate)
        first, last = max(gap[0] - margin, 0), min(gap[1] + margin, source.frames)
        x, known = torch.from_numpy(source.read(first, last)), gaps.known(first, last).all(dim=0)
        return unlikeness(x, known, gap[0] - first, gap[1] - first, source.rate, settings)

    length_s = (gap[1] - gap[0]) / source.rate
    fits = (each for each in FILLINGS if length_s <= each.longest_s)
    return next(each for each in fits if each.unlike_db == inf or unlike() <= each.unlike_db)


class _Fill(NamedTuple):
    """What a classical method puts into a gap.

    Attributes:
        sound: (channels, length).
        sure: (channels, 1), w of `Filling`.
        share: (channels, 1), of this in a mean with a walk.
    """

    sound: Tensor
    sure: Tensor
    share: Tensor


@dataclass(frozen=True, eq=False)
class Guess:
    """Gaps with what a classical method puts into them, a function of the position.

    Attributes:
        filling: how.
        gaps: all of the file.
        chosen: (first, end) of those that are filled this way, of any channel, sorted.
        rate: in Hz.
        quality: fast, balanced, best, or None, which is balanced.
    """

    filling: Filling
    gaps: Gaps
    chosen: Sequence[Interval]
    rate: int
    quality: str | None = None
    _kept: dict[Interval, _Fill] = field(default_factory=dict[Interval, _Fill])

    def words(self, walk: str, start: float) -> str:
        """How the gaps are filled, for people.

        walk: that which starts from the guess, in words.
        start: its first noise level, over that of the sound.
        """
        name = self.filling.method
        method = METHODS["inpaint"][name].at(self.quality).words(self.rate, self.gaps.severity)
        scaled = ", at the level of what both sides agree on" if self.filling.shrunk else ""
        return (
            f"{name} with {method}; diffusion from it{scaled}, with noise of {start:g} times the sound's"
            f" level, {walk}; the share of {name} in the mean of both is its power over that of the louder"
            f" side, {MOST:g} at most"
        )

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        """(channels, stop - start): the damaged signal with the guess, for a walk to start from."""

        def scaled(x: Tensor, fill: Tensor, facts: _Fill) -> Tensor:
            del x
            return fill * facts.sure.sqrt() if self.filling.shrunk else fill

        return self._placed(damaged, damaged(start, stop), start, scaled)

    def blended(self, damaged: Signal, walked: Tensor, start: int) -> Tensor:
        """The walked signal, (channels, n) from `start` on, with the guess's share."""

        def mixed(x: Tensor, fill: Tensor, facts: _Fill) -> Tensor:
            return x + facts.share * (fill - x)

        return self._placed(damaged, walked, start, mixed)

    def _placed(
        self,
        damaged: Signal,
        x: Tensor,
        start: int,
        fill_in: Callable[[Tensor, Tensor, _Fill], Tensor],
    ) -> Tensor:
        out = x.clone()
        for first, end in near(self.chosen, start, start + x.shape[1]):
            fill = self._fill(damaged, (first, end))
            low, high = max(first, start), min(end, start + x.shape[1])
            inside, there = slice(low - start, high - start), slice(low - first, high - first)
            lost = ~self.gaps.known(low, high)
            new = fill_in(x[:, inside], fill.sound[:, there], fill)
            out[:, inside] = torch.where(lost, new.to(x), x[:, inside])
        return out

    def _fill(self, damaged: Signal, gap: Interval) -> _Fill:
        if gap not in self._kept:
            if len(self._kept) >= 64:  # more than what one window and its neighbours hold
                self._kept.pop(next(iter(self._kept)))
            self._kept[gap] = self._filled(damaged, *gap)
            give_back()
        return self._kept[gap]

    def _filled(self, damaged: Signal, first: int, end: int) -> _Fill:
        method = METHODS["inpaint"][self.filling.method].at(self.quality)
        margin = ceil(max(method.margin_s, AROUND_S) * self.rate)
        x, known = damaged(first - margin, end + margin), self.gaps.known(first - margin, end + margin)
        filled = method.mend(Excerpt(x, Mask(known), first - margin, self.rate, self.gaps.severity))
        around = ceil(AROUND_S * self.rate)
        near_gap = slice(margin - around, margin + end - first + around)
        sure = torch.empty(len(x), 1, dtype=torch.float64)
        for mask in known.unique(dim=0):  # channels that miss the same samples together
            rows, within = (known == mask).all(dim=1), (around, around + end - first)
            sure[rows, 0] = agreement(x[rows, near_gap], mask[near_gap], *within, AGREEMENT_ORDER)
        beside, stop = ceil(BESIDE_S * self.rate), margin + end - first
        sound = filled[:, margin:stop]
        part = share(sound, filled[:, margin - beside : margin], filled[:, stop : stop + beside])
        return _Fill(sound, sure, part[:, None])


def share(guess: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """The share of a model's guess in its mean with a walk: its power over that of the louder side.

    A model fades where the two sides do not lead to each other, and is as loud as they are where it is sure
    (docs/choices.md).

    Args:
        guess: (..., time) of a gap.
        before, after: (..., time) of what is beside it, of any length and the same level.

    Returns:
        (...), 0 to MOST.
    """
    sides = torch.maximum(_power(before), _power(after))
    return (_power(guess) / sides.clamp(min=torch.finfo(sides.dtype).tiny)).clamp(max=MOST)


def _power(x: Tensor) -> Tensor:
    return x.square().mean(dim=-1)
