"""How strong guidance is at each noise level: functions of sigma, plain values that compare and print."""

from collections.abc import Callable
from dataclasses import dataclass

Scale = Callable[[float], float]
"""Noise level sigma = s / a -> strength xi'(sigma) >= 0."""


@dataclass(frozen=True)
class Constant:
    """xi' at every noise level (CQT-Diff, Moliner et al. 2023: 0.1 to 0.35)."""

    xi: float

    def __call__(self, sigma: float) -> float:
        del sigma
        return self.xi


@dataclass(frozen=True)
class PowerLaw:
    """xi' (sigma / sigma_0)^power: rises towards the end of a walk where power is negative.

    Vocal restoration by posterior sampling (Hernandez-Olivan et al. 2024) scales guidance with time and does
    not say how; this family holds the constant (power 0) and serves to find out.

    Attributes:
        xi: the strength at noise level sigma_0.
        sigma_0: above 0.
        power: any number.
    """

    xi: float
    sigma_0: float
    power: float

    def __call__(self, sigma: float) -> float:
        return self.xi * (sigma / self.sigma_0) ** self.power


@dataclass(frozen=True)
class Between:
    """A scale inside an interval of noise levels and 0 outside (Kynkäänniemi et al. 2024).

    Attributes:
        scale: the strength inside.
        low, high: ends of the interval, included.
    """

    scale: Scale
    low: float
    high: float

    def __call__(self, sigma: float) -> float:
        return self.scale(sigma) if self.low <= sigma <= self.high else 0.0
