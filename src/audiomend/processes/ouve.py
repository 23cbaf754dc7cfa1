"""The Ornstein-Uhlenbeck process with exploding variance of SGMSE+ (Richter et al. 2023)."""

from dataclasses import dataclass
from math import exp, expm1, log, sqrt

from torch import Tensor

from audiomend.processes.base import Coefficients


@dataclass(frozen=True)
class OUVE:
    """dx = theta (anchor - x) dt + sigma_min r^t sqrt(2 ln r) dw, r = sigma_max / sigma_min, 0 <= t <= 1.

    a = e^(-theta t), b = 1 - a, s^2 = sigma_min^2 (r^(2 t) - a^2) ln r / (theta + ln r). The defaults are
    those at 16 kHz; SGMSE at 48 kHz has theta 2, sigma 0.1 to 1. At t = 1 the clean signal is not gone:
    published walks start from the anchor plus noise all the same.

    anchor: (..., time), real or complex: the damaged signal.
    """

    anchor: Tensor
    theta: float = 1.5
    sigma_min: float = 0.05
    sigma_max: float = 0.5

    def coefficients(self, t: float) -> Coefficients:
        a = exp(-self.theta * t)
        growth = expm1(2 * (self.theta + self._log_ratio) * t)  # r^(2 t) / a^2 - 1
        return Coefficients(a, -expm1(-self.theta * t), a * sqrt(self._scale * growth))

    def derivatives(self, t: float) -> Coefficients:
        c = self.coefficients(t)
        growth = self._log_ratio * exp(2 * self._log_ratio * t) + self.theta * c.a**2
        return Coefficients(-self.theta * c.a, self.theta * c.a, self._scale * growth / c.s)

    @property
    def _log_ratio(self) -> float:
        return log(self.sigma_max / self.sigma_min)

    @property
    def _scale(self) -> float:
        return self.sigma_min**2 * self._log_ratio / (self.theta + self._log_ratio)
