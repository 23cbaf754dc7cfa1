"""The variance-exploding process of EDM: x_t = x_0 + t e, time is the noise level (Karras et al. 2022)."""

from dataclasses import dataclass

from audiomend.processes.base import Coefficients


@dataclass(frozen=True)
class EDM:
    """a = 1, b = 0, s = t."""

    anchor: None = None

    def coefficients(self, t: float) -> Coefficients:
        return Coefficients(a=1.0, b=0.0, s=t)

    def derivatives(self, t: float) -> Coefficients:
        del t  # the slope is the same everywhere
        return Coefficients(a=0.0, b=0.0, s=1.0)
