"""A damage located in a signal: what is lost, and which operator stands for it, by position."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.classical.clip_level import WINDOW_S, gaussian_rms, held
from audiomend.classical.curve import Bend
from audiomend.classical.replication import drawn, reach, replicated
from audiomend.conditions import Condition
from audiomend.operators import Operator
from audiomend.operators.band_gap import BandGap, BandPass
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.restorers.regions import region_fade
from audiomend.samplers.base import Signal

Bools = NDArray[np.bool_]


class Located(Protocol):
    """What may change in a file. Positions are in samples of the file."""

    @property
    def verb(self) -> str:
        """declip, declick, inpaint, inpaint-band or extend: which settings fit."""
        ...

    @property
    def severity(self) -> float:
        """What decides how it is walked: share of clipped samples, or seconds of the longest gap."""
        ...

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        """(channels, n) which of the damaged signal's samples from `start` on may change."""
        ...

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mended samples made consistent with the damaged ones in float64, at the file's level."""
        ...


class Damage(Located, Protocol):
    """One kind of damage with an operator that stands for it."""

    @property
    def bandwidth_hz(self) -> float | None:
        """Band that the mended signal is asked to have; None where nothing is known of it."""
        ...

    @property
    def clean_rms(self) -> float:
        """Level that the damage tells of the clean signal; 0 where it tells nothing."""
        ...

    @property
    def guess(self) -> str:
        """What `warm` gives, in words for a report."""
        ...

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        """(channels, stop - start): the guess of the clean signal that a warm walk starts from.

        A function of the position: a longer stretch holds the same samples.
        """
        ...

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> Operator:
        """The operator of the chosen rows of windows, at `gain` times the file's level.

        rows: (len(starts), channels) bool; the operator acts on (rows.sum(), length).
        """
        ...


@dataclass(frozen=True, eq=False)
class Clipped:
    """Hard clipping.

    Attributes:
        low, high: (channels, 1) levels; samples at or beyond them are clipped; -inf and inf where a polarity
            is not.
        rate: of the file, in Hz.
        share: of clipped samples.
        guess: in words, what a warm walk starts from.
        guessed: makes it, (channels, stop - start), of the damaged signal; None takes that as it is.
        raw: whether its method takes the samples as the file has them, in float64; then what it gives stays,
            even where it falls short of the level.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rate: int
    share: float = 0.0
    bandwidth_hz: float | None = None
    verb: str = "declip"
    guess: str = "the damaged signal"
    guessed: Callable[[Signal, int, int], Tensor] | None = None
    raw: bool = False

    @property
    def severity(self) -> float:
        return self.share

    @property
    def clean_rms(self) -> float:
        """RMS of a Gaussian signal of which this share lies beyond these levels.

        The clipped file itself is quieter than what it was made from, by 5 dB at an input SDR of 3 dB.
        """
        levels = np.abs(np.concatenate([self.low, self.high]))
        levels = levels[np.isfinite(levels)]
        if not len(levels) or not 0 < self.share < 1:
            return 0.0
        facts = torch.tensor([levels.mean(), self.share, len(levels) / len(self.low)], dtype=torch.float64)
        return gaussian_rms(*facts).item()

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        del start
        return (samples <= self.low) | (samples >= self.high)

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.raw:
            return mended
        above = np.where(samples >= self.high, np.maximum(mended, samples), mended)
        return np.where(samples <= self.low, np.minimum(mended, samples), above)

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        return damaged(start, stop) if self.guessed is None else self.guessed(damaged, start, stop)

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> "_HeldClip":
        del length

        def levels(level: NDArray[np.float64]) -> Tensor:
            # As the windows are, in float32: a sample at the level must equal it after both were scaled.
            scaled = torch.from_numpy(level if self.raw else level.astype(np.float32) * np.float32(gain))
            return scaled.expand(len(starts), -1, 1)[rows]

        return _HeldClip(levels(self.low), levels(self.high), window=round(WINDOW_S * self.rate) | 1)


@dataclass(frozen=True, eq=False)
class _HeldClip(HardClip):
    """Clipping whose projection also keeps the peaks from running away.

    Attributes:
        window: samples over which their level is held.
    """

    window: int

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        consistent = super().project(x, observation)
        return held(consistent, observation, *self.levels(observation), self.window)


@dataclass(frozen=True)
class Bent:
    """Soft clipping by curves that are known.

    Attributes:
        bends: of each channel; None where there is none.
        severity: share of flat samples, which the curves do not tell.
        regions: (first, end) in samples, sorted, not touching, outside which nothing changes; empty means
            everywhere.
    """

    bends: tuple[Bend | None, ...]
    severity: float = 0.0
    regions: tuple[tuple[int, int], ...] = ()
    verb: str = "declip"

    def straightened(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """(channels, n): what the samples were; of flat ones, the least that they were."""
        rows = zip(samples, self.bends, strict=True)
        return np.stack([row if bend is None else bend.straightened(row) for row, bend in rows])

    def flat(self, rate: int) -> Clipped:
        """What is left to be mended in the straightened signal."""
        low, high = self._flat
        return Clipped(low, high, rate, self.severity)

    @property
    def _flat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(channels, 1) each: what flat samples were at most below 0, and at least above."""
        ends = [(-inf, inf) if bend is None else bend.flat for bend in self.bends]
        return np.array([[low] for low, _ in ends]), np.array([[high] for _, high in ends])

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        changed = self.straightened(samples) != samples
        if self.regions:
            stop = start + samples.shape[1]
            changed &= ~Mask.from_gaps(near(self.regions, start, stop), start, stop).known.numpy()
        return changed

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        known, (low, high) = self.straightened(samples), self._flat
        beyond = np.where(known >= high, np.maximum(mended, known), known)
        return np.where(known <= low, np.minimum(mended, known), beyond)


@dataclass(frozen=True)
class Gaps:
    """Stretches without any sound that can be trusted.

    Attributes:
        gaps: of each channel, (first, end) in samples, sorted, not touching.
        severity: seconds of the longest.
        verb: inpaint, or declick where the gaps are clicks.
        guess: in words, what a warm walk starts from.
        guessed: makes it, (channels, stop - start), of the damaged signal; None takes that as it is.
    """

    gaps: tuple[tuple[tuple[int, int], ...], ...]
    severity: float = 0.0
    clean_rms: float = 0.0
    bandwidth_hz: float | None = None
    verb: str = "inpaint"
    guess: str = "the damaged signal"
    guessed: Callable[[Signal, int, int], Tensor] | None = None

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        return ~self.known(start, start + samples.shape[1]).numpy()

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        del samples
        return mended

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        return damaged(start, stop) if self.guessed is None else self.guessed(damaged, start, stop)

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> Mask:
        del gain
        return Mask(torch.stack([self.known(start, start + length) for start in starts])[rows])

    def known(self, start: int, stop: int) -> Tensor:
        """(channels, stop - start) bool, outside the file too."""
        return torch.stack([Mask.from_gaps(near(row, start, stop), start, stop).known for row in self.gaps])


@dataclass(frozen=True)
class Boxes:
    """Stretches in which some bands hold a sound that does not belong there, or none.

    Attributes:
        band: passes what is lost there.
        stretches: (first, end) in samples, sorted, not touching.
        severity: seconds of the longest.
    """

    band: BandPass
    stretches: tuple[tuple[int, int], ...]
    severity: float = 0.0
    clean_rms: float = 0.0
    bandwidth_hz: float | None = None
    verb: str = "inpaint-band"
    guess: str = "the damaged signal without the bands"

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        return np.broadcast_to(self._weight(start, start + samples.shape[1]).numpy() > 0, samples.shape)

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        del samples
        return mended

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        margin = self.band.reach
        x = damaged(start - margin, stop + margin)
        emptied = BandGap(self.band, self._weight(start - margin, stop + margin)).forward(x)
        return emptied[..., margin : margin + stop - start]

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> "Replaced":
        del gain
        weights = torch.stack([self._weight(start, start + length) for start in starts])
        return Replaced(BandGap(self.band, weights[:, None].expand(-1, rows.shape[1], -1)[rows]))

    def _weight(self, start: int, stop: int) -> Tensor:
        """(stop - start,) float64, 1 in the stretches with fades inside their ends."""
        return torch.from_numpy(region_fade(self.stretches, start, stop, round(self.band.sample_rate)))


@dataclass(frozen=True)
class Dull:
    """Nothing above a cut-off.

    Attributes:
        low_pass: splits the bands: what it passes is kept.
        seed: of a guess that is drawn; None guesses the likeliest band.
    """

    low_pass: LowPass
    severity: float = 0.0
    clean_rms: float = 0.0
    bandwidth_hz: float | None = None
    verb: str = "extend"
    seed: int | None = None

    @property
    def guess(self) -> str:
        if self.seed is not None:
            return "the damaged signal with noise above it at a level that was drawn"
        return "the damaged signal with a band copied from below and shaped by its envelope"

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        del start
        return np.ones(samples.shape, np.bool_)

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        del samples
        return mended

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        margin = reach(self.low_pass.sample_rate)
        x = damaged(start - margin, stop + margin)
        where = x, self.low_pass.sample_rate, self.low_pass.cutoff_hz
        if self.seed is None:
            band = replicated(*where, first=start - margin)
        else:
            band = drawn(*where, self.seed, first=start - margin)
        return (x + band)[..., margin : margin + stop - start]

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> "Replaced":
        del starts, length, rows, gain
        return Replaced(self.low_pass)


@dataclass(frozen=True)
class Replaced:
    """A filter with its band replaced instead of inverted: the file's own filter is only guessed.

    So it counts as the projection that it nearly is, its own pseudo-inverse.
    """

    filter: LowPass | BandGap

    def forward(self, x: Tensor) -> Tensor:
        return self.filter.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.filter.adjoint(y)

    def pinv(self, y: Tensor) -> Tensor:
        return self.filter.forward(y)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        return self.filter.replace_band(x, observation)

    def condition(self, observation: Tensor) -> Condition:
        return self.filter.condition(observation)


@dataclass(frozen=True)
class Within:
    """A damage of which only what lies inside the regions may change.

    Attributes:
        damage: the whole of it; its operator holds everywhere.
        regions: (first, end) in samples, sorted, not touching.
    """

    damage: Damage
    regions: Sequence[tuple[int, int]]

    @property
    def verb(self) -> str:
        return self.damage.verb

    @property
    def bandwidth_hz(self) -> float | None:
        return self.damage.bandwidth_hz

    @property
    def severity(self) -> float:
        return self.damage.severity

    @property
    def clean_rms(self) -> float:
        return self.damage.clean_rms

    @property
    def guess(self) -> str:
        return self.damage.guess

    def lost(self, start: int, samples: NDArray[np.float64]) -> Bools:
        stop = start + samples.shape[1]
        inside = ~Mask.from_gaps(near(self.regions, start, stop), start, stop).known.numpy()
        return self.damage.lost(start, samples) & inside

    def settle(self, samples: NDArray[np.float64], mended: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.damage.settle(samples, mended)

    def warm(self, damaged: Signal, start: int, stop: int) -> Tensor:
        return self.damage.warm(damaged, start, stop)

    def operator(self, starts: Sequence[int], length: int, rows: Tensor, gain: float) -> Operator:
        return self.damage.operator(starts, length, rows, gain)


def near(intervals: Sequence[tuple[int, int]], start: int, stop: int) -> Sequence[tuple[int, int]]:
    """Those of sorted intervals, which do not touch, that reach into a stretch."""
    first = bisect_right(intervals, start, key=lambda interval: interval[1])
    return intervals[first : bisect_left(intervals, stop, key=lambda interval: interval[0])]
