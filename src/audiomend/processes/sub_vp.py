"""The sub-VP process: the mean of VP with less noise at every time (Song et al. 2021, eq. 12 and 29)."""

from dataclasses import dataclass, field

from audiomend.processes.base import Coefficients
from audiomend.processes.vp import VP


@dataclass(frozen=True)
class SubVP:
    """dx = -beta(t) x / 2 dt + sqrt(beta(t) (1 - e^(-2 B))) dw; a as in `vp`, b = 0, s = 1 - e^-B = s_VP^2.

    vp: the process that beta(t) and its integral B(t) are taken from.
    """

    vp: VP = field(default_factory=VP)
    anchor: None = None

    def coefficients(self, t: float) -> Coefficients:
        c = self.vp.coefficients(t)
        return Coefficients(a=c.a, b=0.0, s=c.s**2)

    def derivatives(self, t: float) -> Coefficients:
        c, d = self.vp.coefficients(t), self.vp.derivatives(t)
        return Coefficients(a=d.a, b=0.0, s=2 * c.s * d.s)
