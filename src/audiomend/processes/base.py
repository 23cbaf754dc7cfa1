"""What every Gaussian process here has in common: x_t = a(t) x_0 + b(t) anchor + s(t) e, e ~ N(0, I)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol, runtime_checkable

from torch import Tensor

from audiomend.errors import UsageError


@dataclass(frozen=True)
class Coefficients:
    """a, b and s of the marginal at one time, or their derivatives with respect to time."""

    a: float
    b: float
    s: float


@dataclass(frozen=True)
class Sde:
    """dx = (alpha x + beta anchor) dt + g dw at one time, with g^2 = g2."""

    alpha: float
    beta: float
    g2: float


@runtime_checkable
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
        """da/dt, db/dt, ds/dt at time t, where s(t) > 0."""
        ...


Along = Callable[[int, int], Process]
"""(start, stop) -> the process bound to this stretch of its anchor, by absolute position in samples."""


def along(process: Process | Along) -> Along:
    """The process of each stretch of a file; without an anchor it is the same one everywhere.

    Raises:
        UsageError: a process that is bound to an anchor already, which has no positions.
    """
    if not isinstance(process, Process):
        return process
    if process.anchor is not None:
        raise UsageError(
            "A process with an anchor walks a file as a function of the position: "
            "(start, stop) -> the process bound to that stretch."
        )
    return lambda start, stop: process


def sde(process: Process, t: float) -> Sde:
    """The linear stochastic differential equation that has the marginals of the process.

    alpha = a'/a, beta = b' - alpha b and g^2 = 2 s s' - 2 alpha s^2 solve the equations of its mean and
    variance (Song et al. 2021, appendix B).

    Raises:
        UsageError: where a(t) or s(t) is 0.
    """
    c = process.coefficients(t)
    if c.a == 0 or c.s == 0:
        raise UsageError(
            f"A process has no slope at time {t:g}, where a = {c.a:g} and s = {c.s:g}: both must be above 0."
        )
    d = process.derivatives(t)
    alpha = d.a / c.a
    return Sde(alpha, d.b - alpha * c.b, 2 * c.s * (d.s - alpha * c.s))


def combine(process: Process, c: Coefficients, clean: Tensor, noise: Tensor | None = None) -> Tensor:
    """a x_0 + b anchor + s e: the state at a time whose coefficients are c; or, with derivatives, its slope.

    clean, noise: (..., time), broadcast against each other; no noise where s = 0.
    """
    x = c.a * clean if noise is None else c.a * clean + c.s * noise
    return x if process.anchor is None else x + c.b * process.anchor


def centred(process: Process, x: Tensor, t: float) -> Tensor:
    """x - b anchor: what is left of the state (..., time) without its anchor."""
    return x if process.anchor is None else x - process.coefficients(t).b * process.anchor


def renoised(process: Process, x: Tensor, t: float, later: float, noise: Tensor) -> Tensor:
    """The state (..., time) taken from time t to a later, noisier one by fresh noise (..., time)."""
    c, after = process.coefficients(t), process.coefficients(later)
    scale = after.a / c.a
    renewed = scale * centred(process, x, t) + sqrt(after.s**2 - (scale * c.s) ** 2) * noise
    return renewed if process.anchor is None else renewed + after.b * process.anchor
