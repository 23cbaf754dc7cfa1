"""The variance-preserving process with a linear beta(t) (Song et al. 2021, eq. 11 and appendix C)."""

from dataclasses import dataclass
from math import exp, expm1, sqrt

from audiomend.processes.base import Coefficients


@dataclass(frozen=True)
class VP:
    """dx = -beta(t) x / 2 dt + sqrt(beta(t)) dw, beta(t) = beta_min + t (beta_max - beta_min), 0 <= t <= 1.

    With B(t) the integral of beta from 0 to t: a = e^(-B / 2), b = 0, s = sqrt(1 - e^-B). A clean signal of
    unit variance keeps it; DDPM with 1000 steps is this process at the default values.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    anchor: None = None

    def coefficients(self, t: float) -> Coefficients:
        integral = self._integral(t)
        return Coefficients(a=exp(-integral / 2), b=0.0, s=sqrt(-expm1(-integral)))

    def derivatives(self, t: float) -> Coefficients:
        c = self.coefficients(t)
        slope = -self._beta(t) * c.a / 2
        return Coefficients(a=slope, b=0.0, s=-c.a * slope / c.s)  # from a^2 + s^2 = 1

    def _beta(self, t: float) -> float:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _integral(self, t: float) -> float:
        return self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2
