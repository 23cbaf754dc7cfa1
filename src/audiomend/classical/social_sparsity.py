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
from torch.nn.functional import pad

from audiomend.classical.level import level_gain
from audiomend.operators.hard_clip import HardClip
from audiomend.transforms.stft import circular_frames, circular_overlap_add

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


def analysis(x: Tensor, window: int, redundancy: int = 2) -> Tensor:
    """(..., time) real, circular -> (..., frames, redundancy * window / 2 + 1) complex.

    A tight Gabor frame: hop window / 4, redundancy * window channels, a Hann window. time is a multiple of
    the window.
    """
    frames = circular_frames(x, window, window // OVERLAPS) * _taper(window, x.dtype, x.device)
    return torch.fft.rfft(frames, n=redundancy * window, norm="ortho")


def synthesis(z: Tensor, redundancy: int = 2) -> Tensor:
    """(..., frames, bins) complex -> (..., time) real: `analysis`' adjoint and a left inverse."""
    channels = 2 * (z.shape[-1] - 1)
    window = channels // redundancy
    frames = torch.fft.irfft(z, n=channels, norm="ortho")[..., :window]
    return circular_overlap_add(frames * _taper(window, frames.dtype, frames.device), window // OVERLAPS)


def shrunk(z: Tensor, threshold: Tensor, around: tuple[int, int]) -> Tensor:
    """z max(0, 1 - threshold² / p), p the `local_power` around each bin; (1, 1) is empirical Wiener.

    z: (..., frames, bins) complex; threshold broadcasts against it.
    """
    return z * wiener(local_power(z, around), threshold)


def wiener(power: Tensor, threshold: Tensor | float) -> Tensor:
    """max(0, 1 - threshold² / power); 0 where there is no power. The threshold is above 0."""
    return (-(threshold**2) / power).add_(1).clamp_(min=0)


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


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _taper(window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    hann = torch.hann_window(window, dtype=torch.float64, device=device)
    return (hann / math.sqrt(HANN_POWER)).to(dtype)


def _restored(
    observation: Tensor,
    clip: HardClip,
    settings: SocialSparsity,
    around: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    low, high = (level.expand_as(observation) for level in clip.levels(observation))
    gain = level_gain(observation, settings.rms)

    def rows(x: Tensor) -> Tensor:
        return (x * gain).to(settings.dtype).reshape(-1, x.shape[-1])

    signal, steps = _descend(rows(observation), rows(low), rows(high), settings, around)
    return (
        (signal.view_as(observation) / gain).to(observation.dtype),
        steps.view(*observation.shape[:-1], settings.thresholds),
    )


def misfit(x: Tensor, y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """What is missing of the observation: 0 where a clipped sample is louder than its level, of either sign.

    That a clipped sample of the wrong sign passes too is as published.
    """
    level = torch.where(y >= high, high, -low)
    fine = ((y >= high) | (y <= low)) & (x.abs() > level)
    return torch.where(fine, 0, y - x)


def _descend(
    y: Tensor,
    low: Tensor,
    high: Tensor,
    settings: SocialSparsity,
    around: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """(rows, time) to the restored rows and the steps at each threshold, (rows, thresholds).

    Rows go on by themselves; those that are done leave the batch.
    """
    time = y.shape[-1]
    more = settings.apart * settings.window
    more += -(time + more) % (2 * settings.window)
    schedule = settings.schedule().to(y.device)
    steps = torch.zeros(len(y), settings.thresholds, dtype=torch.int64, device=y.device)
    outcome, rows = torch.empty_like(y), torch.arange(len(y), device=y.device)
    stage, k = torch.zeros_like(rows), torch.zeros_like(rows)

    def spectra(x: Tensor) -> Tensor:
        return analysis(pad(x, (0, more)), settings.window, settings.redundancy)

    x, signal = torch.zeros_like(y), y
    z = g = torch.zeros_like(spectra(y))
    while len(rows):
        z = spectra(misfit(x, y, low, high)).add_(z)
        g, last_g = shrunk(z, schedule[stage, None, None], around), g
        signal, last_signal = synthesis(g, settings.redundancy)[..., :time], signal
        momentum = (k.to(y.dtype) / (k + 6))[:, None]
        z = torch.lerp(last_g, g, 1 + momentum[..., None].to(g.dtype))  # beyond g
        x = torch.lerp(last_signal, signal, 1 + momentum)  # synthesis(z), since it is linear

        k = k + 1
        over = (k == settings.steps) | ((signal - last_signal).norm(dim=-1) < settings.tolerance)
        steps[rows[over], stage[over]] = k[over]
        stage, k = stage + over, torch.where(over, 0, k)
        done = stage == settings.thresholds
        if done.any():
            outcome[rows[done]] = signal[done]
            state = (x, y, z, g, signal, low, high, stage, k, rows)
            x, y, z, g, signal, low, high, stage, k, rows = (part[~done] for part in state)
    return outcome, steps
