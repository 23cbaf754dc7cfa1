"""Hard clipping: samples beyond a level were cut to it."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import UsageError

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
        low, high = self._levels(x)
        return torch.clamp(x, low, high)

    def pinv(self, y: Tensor) -> Tensor:
        """y itself: A(A⁺ y) = y, all that pseudo-inverse guidance asks of a non-linear damage."""
        return y

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal, exactly.

        Samples between the levels equal the observation; clipped ones keep x where it lies beyond the level
        and go to the level where it does not (the set is a box, so each sample is projected by itself).
        """
        low, high = self._levels(observation)
        below = torch.where(observation <= low, torch.minimum(x, low), observation)
        return torch.where(observation >= high, torch.maximum(x, high), below)

    def condition(self, observation: Tensor) -> Condition:
        """The clipped samples are unknown, and the network sees the signed level that each of them passed."""
        low, high = self._levels(observation)
        zero = observation.new_zeros(())
        level = torch.where(observation >= high, high, torch.where(observation <= low, low, zero))
        return Condition(
            observation=observation,
            unknown=((observation >= high) | (observation <= low)).to(observation.dtype),
            clip=level,
            cutoff_hz=observation.new_full(observation.shape[:-1], inf),
        )

    def _levels(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Both levels in the number format of the signal, so that a clipped sample equals its level."""
        low = torch.as_tensor(self.low, dtype=like.dtype, device=like.device)
        high = torch.as_tensor(self.high, dtype=like.dtype, device=like.device)
        return low, high


def threshold_for_sdr(x: Tensor, sdr_db: float) -> Tensor:
    """The symmetric clip level at which the clipped signal has the requested signal-to-distortion ratio.

    Solves 20 log10(‖x‖ / ‖x − clip(x)‖) = sdr_db by Newton's method on ‖(|x| − level)₊‖, which falls with
    the level and is convex: from level 0 the steps approach the root from below and cannot overshoot.

    Args:
        x: (..., time); each row gets a level of its own.
        sdr_db: in dB, above 0 and at most 100.

    Returns:
        (..., 1), float64, for HardClip(-level, level); exact to 1e-6 dB for float64 signals.

    Raises:
        UsageError: sdr_db out of range, or a row that is silent or not finite.
    """
    if not 0 < sdr_db <= MAX_SDR_DB:
        raise UsageError(f"sdr_db is {sdr_db}; clipping reaches values above 0 and up to {MAX_SDR_DB:g} dB.")
    magnitude = x.abs().to(torch.float64)
    norm = magnitude.norm(dim=-1, keepdim=True)
    hopeless = ~((norm > 0) & norm.isfinite()).flatten()
    if hopeless.any():
        row = int(hopeless.nonzero()[0])
        raise UsageError(f"Row {row} is silent or not finite; no clip level gives it {sdr_db:g} dB of SDR.")
    target = norm * 10 ** (-sdr_db / 20)
    level = torch.zeros_like(norm)
    for _ in range(100):
        excess = (magnitude - level).clamp(min=0)
        error = excess.norm(dim=-1, keepdim=True)
        if torch.all(error <= target * (1 + 1e-9)):
            break
        level = level + (error - target) * error / excess.sum(dim=-1, keepdim=True)
    return level
