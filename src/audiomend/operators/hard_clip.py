"""Hard clipping: samples beyond a level were cut to it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import OptionError, UsageError

MAX_SDR_DB = 100.0  # beyond it float64 cannot place the level to 1e-6 dB


@dataclass(frozen=True, eq=False)
class HardClip:
    """A(x) = min(max(x, low), high), with a level of its own for each polarity.

    Attributes:
        low, high: the levels, numbers or tensors that broadcast against (..., time), as (channels, 1);
            -inf and inf for a polarity that is not clipped. Samples that lie on a level count as clipped.

    Raises:
        UsageError: low is not below high.
    """

    low: float | Tensor
    high: float | Tensor

    def __post_init__(self) -> None:
        if not torch.all(torch.as_tensor(self.low) < torch.as_tensor(self.high)):
            raise UsageError(f"HardClip: low is {self.low} and high is {self.high}; low must be below high.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time), clamped; the gradient is 1 between the levels and 0 beyond them."""
        low, high = self.levels(x)
        return torch.clamp(x, low, high)

    def pinv(self, y: Tensor) -> Tensor:
        """y itself: A(A⁺ y) = y, all that pseudo-inverse guidance asks of a non-linear damage."""
        return y

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal, exactly.

        Samples between the levels equal the observation; clipped ones keep x where it lies beyond the level
        and go to the level where it does not (the set is a box, so each sample is projected by itself).
        """
        low, high = self.levels(observation)
        below = torch.where(observation <= low, torch.minimum(x, low), observation)
        return torch.where(observation >= high, torch.maximum(x, high), below)

    def condition(self, observation: Tensor) -> Condition:
        """The clipped samples are unknown, and the network sees the signed level that each of them passed."""
        low, high = self.levels(observation)
        zero = observation.new_zeros(())
        level = torch.where(observation >= high, high, torch.where(observation <= low, low, zero))
        return Condition(
            observation=observation,
            unknown=((observation >= high) | (observation <= low)).to(observation.dtype),
            clip=level,
            cutoff_hz=observation.new_full(observation.shape[:-1], inf),
        )

    def levels(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Both levels in the number format of the signal, so that a clipped sample equals its level."""
        low = torch.as_tensor(self.low, dtype=like.dtype, device=like.device)
        high = torch.as_tensor(self.high, dtype=like.dtype, device=like.device)
        return low, high


def threshold_for_sdr(x: Tensor, sdr_db: float) -> Tensor:
    """The symmetric clip level at which the clipped signal has the requested signal-to-distortion ratio.

    Args:
        x: (..., time); each row gets a level of its own.
        sdr_db: in dB, above 0 and at most 100.

    Returns:
        (..., 1), float64, for HardClip(-level, level); exact to 1e-6 dB for float64 signals.

    Raises:
        UsageError: sdr_db out of range, or a row that is silent or not finite.
    """
    magnitude = x.abs().to(torch.float64)

    def moments(level: Tensor) -> tuple[Tensor, Tensor]:
        return _moments(magnitude, level)

    return _threshold(moments, magnitude.new_zeros(*x.shape[:-1], 1), sdr_db)


def threshold_of_blocks(blocks: Callable[[], Iterable[Tensor]], sdr_db: float) -> float:
    """`threshold_for_sdr` of one signal of any length, of which a block at a time is in memory.

    Args:
        blocks: gives the whole signal in blocks of any shape, anew in each of some ten passes.
        sdr_db: in dB, above 0 and at most 100.

    Raises:
        UsageError: sdr_db out of range, or a signal that is silent or not finite.
    """

    def moments(level: Tensor) -> tuple[Tensor, Tensor]:
        first, second = torch.zeros_like(level), torch.zeros_like(level)
        for block in blocks():
            more = _moments(block.abs().to(torch.float64).flatten(), level)
            first, second = first + more[0], second + more[1]
        return first, second

    return _threshold(moments, torch.zeros(1, dtype=torch.float64), sdr_db).item()


def _moments(magnitude: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and sum of squares along time of what exceeds the level."""
    excess = (magnitude - level).clamp(min=0)
    return excess.sum(dim=-1, keepdim=True), excess.square().sum(dim=-1, keepdim=True)


def _threshold(moments: Callable[[Tensor], tuple[Tensor, Tensor]], level: Tensor, sdr_db: float) -> Tensor:
    """Solve 20 log10(‖x‖ / ‖x − clip(x)‖) = sdr_db by Newton's method on ‖(|x| − level)₊‖.

    It falls with the level and is convex: from level 0 the steps approach the root from below and cannot
    overshoot.
    """
    if not 0 < sdr_db <= MAX_SDR_DB:
        raise OptionError(
            "sdr_db", f"is {sdr_db:g}; clipping reaches values above 0 and up to {MAX_SDR_DB:g} dB."
        )
    total, energy = moments(level)
    hopeless = ~((energy > 0) & energy.isfinite()).flatten()
    if hopeless.any():
        row = int(hopeless.nonzero()[0])
        raise UsageError(f"Row {row} is silent or not finite; no clip level gives it {sdr_db:g} dB of SDR.")
    target = energy.sqrt() * 10 ** (-sdr_db / 20)
    for _ in range(100):
        error = energy.sqrt()
        if torch.all(error <= target * (1 + 1e-9)):
            break
        level = level + (error - target) * error / total
        total, energy = moments(level)
    return level
