"""What every Gaussian process here has in common: x_t = a(t) x_0 + b(t) anchor + s(t) e, e ~ N(0, I)."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Coefficients:
    """a, b and s of the marginal at one time, or their derivatives with respect to time."""

    a: float
    b: float
    s: float


class Process(Protocol):
    """A process bound to its anchor.

    The ordinary differential equation with the same marginals (Song et al. 2021, eq. 13) reads, in these
    coefficients, dx/dt = a' x_0 + b' anchor + s' e, with x_0 and e the estimates at (x, t).
    """

    @property
    def anchor(self) -> Tensor | None:
        """(..., time) what the process is centred on; None where b = 0."""
        ...

    def coefficients(self, t: float) -> Coefficients:
        """a, b, s at time t."""
        ...

    def derivatives(self, t: float) -> Coefficients:
        """da/dt, db/dt, ds/dt at time t."""
        ...


def combine(process: Process, c: Coefficients, clean: Tensor, noise: Tensor | None = None) -> Tensor:
    """a x_0 + b anchor + s e: the state at a time whose coefficients are c; or, with derivatives, its slope.

    clean, noise: (..., time), broadcast against each other; no noise where s = 0.
    """
    x = c.a * clean if noise is None else c.a * clean + c.s * noise
    return x if process.anchor is None else x + c.b * process.anchor


def centred(process: Process, x: Tensor, t: float) -> Tensor:
    """x - b anchor: what is left of the state (..., time) without its anchor."""
    return x if process.anchor is None else x - process.coefficients(t).b * process.anchor
