"""Soft clipping: a valve or a tape bends the sound the more, the louder it is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import OptionError, UsageError

MAX_SDR_DB = 100.0


@dataclass(frozen=True)
class SoftClip:
    """A(x) = level tanh(x / level): without memory, strictly rising, and never beyond the level.

    Attributes:
        level: above 0.

    Raises:
        UsageError: level is not above 0.
    """

    level: float

    def __post_init__(self) -> None:
        if not 0 < self.level < inf:
            raise UsageError(f"SoftClip: level is {self.level:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        return self.level * torch.tanh(x / self.level)

    def pinv(self, y: Tensor) -> Tensor:
        """A⁻¹ y = level artanh(y / level). What reaches the level is taken for the number below it."""
        share = torch.as_tensor(1.0, dtype=y.dtype, device=y.device)
        most = torch.nextafter(share, torch.zeros_like(share))
        return self.level * torch.atanh(torch.clamp(y / self.level, -most, most))

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The one consistent signal, whatever x is."""
        del x
        return self.pinv(observation)

    def condition(self, observation: Tensor) -> Condition:
        """The network is shown what was heard; no sample of it is known as it was."""
        return Condition(
            observation=observation,
            unknown=torch.ones_like(observation),
            clip=torch.zeros_like(observation),
            cutoff_hz=observation.new_full(observation.shape[:-1], inf),
        )


def level_for_sdr(blocks: Callable[[], Iterable[Tensor]], sdr_db: float) -> float:
    """The level at which soft clipping leaves this signal-to-distortion ratio, to 1e-6 dB.

    Newton's method on the energy of x - A(x) over the level, both as logarithms: the curve is concave and
    falls, so that from a level with too little error no step goes too far. One such is known, as
    |x - A(x)| is at most |x|³ / (3 level²).

    Args:
        blocks: gives the whole signal in blocks of any shape, anew in each of some ten passes.
        sdr_db: above 0 and at most 100.

    Raises:
        UsageError: sdr_db out of range, or a signal that is silent or not finite.
    """
    if not 0 < sdr_db <= MAX_SDR_DB:
        raise OptionError(
            "sdr_db", f"is {sdr_db:g}; soft clipping reaches values above 0 and up to {MAX_SDR_DB:g} dB."
        )
    energy = sum(float(block.double().square().sum()) for block in blocks())
    if not 0 < energy < inf:
        raise UsageError(f"The signal is silent or not finite; no level gives it {sdr_db:g} dB of SDR.")
    target = energy * 10 ** (-sdr_db / 10)
    level = (sum(float(block.double().pow(6).sum()) for block in blocks()) / (9 * target)) ** 0.25
    for _ in range(100):
        error, slope = _error(blocks(), level)
        if error >= target * (1 - 1e-7):
            break
        level *= (target / error) ** (error / (slope * level))
    return level


def _error(blocks: Iterable[Tensor], level: float) -> tuple[float, float]:
    """Energy of x - A(x), and its derivative by the level."""
    energy = slope = 0.0
    for block in blocks:
        x = block.double()
        bent = torch.tanh(x / level)
        error = x - level * bent
        energy += float(error.square().sum())
        slope += float((2 * error * (x / level * (1 - bent.square()) - bent)).sum())
    return energy, slope
