"""Declipping by social sparsity: each bin of a tight transform is shrunk by what its neighbours hold.

ISTA with momentum and a falling threshold (Siedenburg, Kowalski, Dörfler, "Audio declipping with social
sparsity", ICASSP 2014). SS-EW shrinks each bin by itself (empirical Wiener), SS-PEW by the mean power around
it (persistent empirical Wiener). Constants and stopping rule are those of the survey by Záviška, Rajmic,
Ozerov, Rencker, "A survey and an extensive evaluation of popular audio declipping methods", 2021.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from audiomend.classical.level import level_gain
from audiomend.classical.parallel import Run, side_by_side
from audiomend.classical.tiles import Tiles
from audiomend.operators.hard_clip import HardClip

OVERLAPS = 4  # hops of a window
HANN_POWER = 1.5  # sum of the squared windows that cover a sample
AROUND = 7, 3  # frames and bins whose power PEW averages
ALONE = 1, 1


@dataclass(frozen=True)
class SocialSparsity:
    """How the descent runs; as it stands, as published for 44.1 kHz.

    Attributes:
        window: frame length in samples, a multiple of 4.
        redundancy: channels of the transform for each sample of a frame. With 1, frames are not padded.
        first, last: greatest and least threshold, for a redundancy of 2.
        thresholds: how many there are, evenly spaced in their logarithm.
        steps: most steps at each.
        tolerance: a threshold is done when the 2-norm of the signal's change is below this.
        apart: windows, at least, between the end of the signal and its circular continuation. With 0, as
            published, its end can sound into its beginning.
        rms: level the observation is brought to before, since thresholds are absolute; None leaves it.
        dtype: number format of all arithmetic.
    """

    window: int = 8192
    redundancy: int = 2
    first: float = 1e-1
    last: float = 1e-4
    thresholds: int = 20
    steps: int = 500
    tolerance: float = 1e-4
    apart: int = 0
    rms: float | None = None
    dtype: torch.dtype = torch.float64

    def schedule(self) -> Tensor:
        """(thresholds,) those of a signal spread over as many coefficients as there are."""
        ends = math.log10(self.first), math.log10(self.last)
        usual = torch.logspace(*ends, self.thresholds, dtype=torch.float64)
        return (usual * math.sqrt(2 / self.redundancy)).to(self.dtype)


PUBLISHED = SocialSparsity()
DEFAULT = SocialSparsity(redundancy=1, thresholds=10, steps=200, apart=1, rms=0.15, dtype=torch.float32)
DEFAULT_EW = replace(
    DEFAULT, thresholds=20, steps=100
)  # a finer descent, which shrinkage without neighbours needs


def ss_ew(
    observation: Tensor, clip: HardClip, settings: SocialSparsity = DEFAULT_EW
) -> tuple[Tensor, Tensor]:
    """Social sparsity with empirical Wiener shrinkage.

    Args:
        observation: (..., time) real, clipped.
        clip: its levels.

    Returns:
        The restored signal, (..., time) of the observation's dtype, near the observation between the levels
        but not equal to it; and (..., thresholds) how many steps each threshold took.
    """
    return _restored(observation, clip, settings, ALONE)


def ss_pew(observation: Tensor, clip: HardClip, settings: SocialSparsity = DEFAULT) -> tuple[Tensor, Tensor]:
    """Social sparsity with persistent empirical Wiener shrinkage; as `ss_ew` otherwise."""
    return _restored(observation, clip, settings, AROUND)


def wiener(power: Tensor, threshold: Tensor | float) -> Tensor:
    """max(0, 1 - threshold² / power); 0 where there is no power. The threshold is above 0."""
    return power.reciprocal().mul_(-(threshold**2)).add_(1).clamp_(min=0)


def local_power(z: Tensor, around: tuple[int, int]) -> Tensor:
    """Mean of |z|² over (frames, bins) around each bin of (..., frames, bins), mirrored at the edges.

    around: odd numbers, at most the numbers of frames and bins.
    """
    power = z.real.square().addcmul_(z.imag, z.imag)
    for dim, size in zip((-2, -1), around, strict=True):
        if size > 1:
            power = local_sum(power, size, dim)
    return power if around == ALONE else power.div_(around[0] * around[1])


def local_sum(x: Tensor, size: int, dim: int) -> Tensor:
    """The sum of an odd number of neighbours; the edges are mirrored and count twice."""
    half, length = size // 2, x.shape[dim]
    ends = x.narrow(dim, 0, half).flip(dim), x.narrow(dim, length - half, half).flip(dim)
    sums = torch.cat((ends[0], x, ends[1]), dim)
    total, reach = sums.narrow(dim, 0, length), 1
    for bit in range(1, size.bit_length()):  # sums of 2, 4, ... neighbours
        more = sums.shape[dim] - 2 ** (bit - 1)
        sums = sums.narrow(dim, 0, more) + sums.narrow(dim, 2 ** (bit - 1), more)
        if size & 2**bit:
            total = total + sums.narrow(dim, reach, length)
            reach += 2**bit
    return total


class Coefficients:
    """Coefficients of a signal that gain what it misses, with momentum, and are shrunk.

    The frame is tight: a Hann window, hop window / 4, redundancy * window channels.
    """

    def __init__(self, time: int, settings: SocialSparsity, around: tuple[int, int], like: Tensor) -> None:
        """All zero.

        Args:
            time: samples, a multiple of twice the window.
            around: odd numbers, at most those of frames and bins.
            like: a tensor of their precision, on their device.
        """
        hop = settings.window // OVERLAPS
        taper = _taper(settings.window, like.dtype, like.device)
        self._tiles, self._around = Tiles(time, taper, hop, settings.redundancy), around
        frames, bins = self._tiles.shape
        self._kept = like.new_zeros(frames, bins, dtype=like.dtype.to_complex())
        self._last = torch.zeros_like(self._kept)
        self._power = like.new_zeros(frames, bins + around[1] - 1)
        self._means = {tile.start: _mean_of_frames(tile, frames, around, like) for tile in self._tiles.tiles}

    def step(self, missing: Tensor, momentum: float, threshold: float, run: Run) -> Tensor:
        """Gain `missing`, shrink: the signal of what is kept.

        Args:
            missing: (samples,), at most `time`.
            momentum: how far to go on beyond what was kept, of the way from what was kept before.
            run: calls with all tiles.
        """
        half = self._around[1] // 2

        def gain(tile: slice) -> None:
            z, kept = torch.view_as_real(self._last[tile]), torch.view_as_real(self._kept[tile])
            gained = z.lerp_(kept, 1 + momentum).add_(torch.view_as_real(self._tiles.spectra(tile)))
            power = self._power[tile]
            inside = power[:, half : power.shape[1] - half]
            torch.add(*gained.square().unbind(-1), out=inside)
            power[:, :half] = inside[:, :half].flip(-1)
            power[:, power.shape[1] - half :] = inside[:, inside.shape[1] - half :].flip(-1)

        def shrink(tile: slice) -> None:
            z = self._last[tile].mul_(wiener(self._local_power(tile), threshold))
            self._tiles.put(tile, z)

        self._tiles.take(missing)
        run(gain, self._tiles.tiles)
        run(shrink, self._tiles.tiles)
        self._kept, self._last = self._last, self._kept
        return self._tiles.signal()

    def _local_power(self, tile: slice) -> Tensor:
        """`local_power` of the tile."""
        if self._around == ALONE:
            return self._power[tile]
        near, mean = self._means[tile.start]
        power, bins = mean @ self._power[near], self._tiles.shape[1]
        local = power[:, :bins]
        for i in range(1, self._around[1]):
            local = local + power[:, i : i + bins]
        return local


def _mean_of_frames(tile: slice, frames: int, around: tuple[int, int], like: Tensor) -> tuple[slice, Tensor]:
    """The frames around a tile, and the matrix that adds to each of its frames those beside it."""
    half = around[0] // 2
    near = slice(max(tile.start - half, 0), min(tile.stop + half, frames))
    size = near.stop - near.start
    sums = local_sum(torch.eye(size, dtype=like.dtype, device=like.device), around[0], 0)
    return near, sums[tile.start - near.start :][: tile.stop - tile.start] / (around[0] * around[1])


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _taper(window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    hann = torch.hann_window(window, dtype=torch.float64, device=device)
    return (hann / math.sqrt(HANN_POWER)).to(dtype)


def reach(y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The magnitude beyond which a sample may lie anywhere: its clip level's, inf where it is not clipped."""
    return torch.where(y >= high, high, torch.where(y <= low, -low, math.inf))


def misfit(x: Tensor, y: Tensor, level: Tensor) -> Tensor:
    """What is missing of the observation: 0 where a clipped sample is louder than its level, of either sign.

    That a clipped sample of the wrong sign passes too is as published. level: what `reach` gives.
    """
    return (y - x).masked_fill_(x.abs() > level, 0)


def _restored(
    observation: Tensor,
    clip: HardClip,
    settings: SocialSparsity,
    around: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    gain = level_gain(observation, settings.rms)

    def rows(x: Tensor) -> Tensor:
        return (x * gain).to(settings.dtype).reshape(-1, x.shape[-1])

    low, high = (level.expand_as(observation) for level in clip.levels(observation))
    pairs = zip(rows(observation), rows(reach(observation, low, high)), strict=True)
    signals, steps = zip(*(_descend(y, level, settings, around) for y, level in pairs), strict=True)
    signal = torch.stack(signals).view_as(observation) / gain
    return signal.to(observation.dtype), torch.tensor(steps).view(*observation.shape[:-1], -1)


def _descend(
    y: Tensor, level: Tensor, settings: SocialSparsity, around: tuple[int, int]
) -> tuple[Tensor, list[int]]:
    """(time,) to the restored signal and the steps at each threshold."""
    time, taken = len(y), list[int]()
    whole = time + settings.apart * settings.window
    whole += -whole % (2 * settings.window)
    x, signal, momentum = torch.zeros_like(y), y, 0.0
    coefficients = Coefficients(whole, settings, around, y)
    with side_by_side() as run:
        for threshold in settings.schedule().tolist():
            k, changed = 0, math.inf
            while k < settings.steps and changed >= settings.tolerance:
                missing, last = misfit(x, y, level), signal
                signal = coefficients.step(missing, momentum, threshold, run)[:time]
                change, momentum = signal - last, k / (k + 6)
                x = torch.add(signal, change, alpha=momentum)  # of z, since synthesis is linear
                k, changed = k + 1, float(change.norm())
            taken.append(k)
    return signal, taken
