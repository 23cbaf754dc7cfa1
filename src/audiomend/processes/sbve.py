"""The Schroedinger bridge with exploding variance (Jukić et al. 2024; constants of SGMSE).

It leads from the clean signal at t = 0 to the anchor at t = 1 and has no noise at either end.
"""

from dataclasses import dataclass
from math import expm1, log, sqrt

from torch import Tensor

from audiomend.processes.base import Coefficients


@dataclass(frozen=True)
class SBVE:
    """dx = g^2 / v_rest (anchor - x) dt + g dw, g^2 = c k^(2 t), v_rest the integral of g^2 from t to 1.

    This is dx = g dw on the condition that it ends at the anchor (Doob's h-transform). With v the integral of
    g^2 from 0 to t and V = v + v_rest: a = v_rest / V, b = v / V, s = sqrt(v v_rest / V).

    Where t = 1, a and s are 0: the state is the anchor, holds no noise and has no derivatives. Solvers leave
    it by a step of first order.

    anchor: (..., time), real or complex: the damaged signal.
    """

    anchor: Tensor
    c: float = 0.4
    k: float = 2.6

    def coefficients(self, t: float) -> Coefficients:
        past, rest = self.variances(t)
        total = past + rest
        return Coefficients(rest / total, past / total, sqrt(past * rest / total))

    def derivatives(self, t: float) -> Coefficients:
        past, rest = self.variances(t)
        total = past + rest
        slope = self.c * self.k ** (2 * t) / total
        return Coefficients(-slope, slope, slope * (rest - past) / (2 * sqrt(past * rest / total)))

    def variances(self, t: float) -> tuple[float, float]:
        """v and v_rest: what g dw gathers before and after time t."""
        rate = 2 * log(self.k)
        past = self.c * expm1(rate * t) / rate
        rest = self.c * self.k ** (2 * t) * expm1(rate * (1 - t)) / rate
        return past, rest
