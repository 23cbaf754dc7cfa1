"""Recursive filters: Chebyshev and biquad low-passes, as analogue gear and cheap equalisers have them."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from scipy.signal import cheby1, lfilter
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators.convolution import Convolution
from audiomend.operators.cutoff import checked_cutoff


@dataclass(frozen=True)
class Iir:
    """a_0 y[n] = Σ_k b_k x[n − k] − Σ_{k ≥ 1} a_k y[n − k], causal and from rest.

    Computed as a convolution with the filter's exact impulse response over the signal's length, so it is as
    fast as any other convolution, has an adjoint, and its gradient needs no recursion.

    Attributes:
        b, a: numerator and denominator, a_0 not 0; the poles must lie inside the unit circle.
        epsilon: as in Convolution.

    Raises:
        UsageError: a_0 is 0.
    """

    b: tuple[float, ...]
    a: tuple[float, ...]
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if not self.a or self.a[0] == 0:
            raise UsageError(f"Iir: the denominator {self.a} must begin with a number other than 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        return self._over(x).forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """The filter run backwards in time."""
        return self._over(y).adjoint(y)

    def pinv(self, y: Tensor) -> Tensor:
        """Regularised: the exact inverse filter would raise what a low-pass took away without bound."""
        return self._over(y).pinv(y)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²."""
        return self._over(x).project(x, observation)

    def _over(self, x: Tensor) -> Convolution:
        return Convolution(_impulse_response(self.b, self.a, x.shape[-1]), epsilon=self.epsilon)


def chebyshev_low_pass(cutoff_hz: float, sample_rate: float, order: int = 6, ripple_db: float = 0.05) -> Iir:
    """Chebyshev's low-pass of the first kind: its gain ripples by `ripple_db` up to the cut-off.

    cutoff_hz: above 0 and below half the rate; the gain there is −ripple_db. Order 6 and 0.05 dB are
        CQT-Diff's.

    Raises:
        UsageError: a cut-off out of range.
    """
    design: Any = cheby1(order, ripple_db, checked_cutoff(cutoff_hz, sample_rate), fs=sample_rate)
    b, a = design
    return Iir(tuple(b.tolist()), tuple(a.tolist()))


def biquad_low_pass(cutoff_hz: float, sample_rate: float, q: float = 0.707) -> Iir:
    """The second-order low-pass of the Audio EQ Cookbook (Bristow-Johnson), 12 dB an octave.

    CQT-Diff's clamps its output to ±1 as well: Compose((biquad, HardClip(-1, 1))).

    cutoff_hz: above 0 and below half the rate; the gain there is q, −3 dB for 0.707.

    Raises:
        UsageError: a cut-off out of range.
    """
    omega = 2 * math.pi * checked_cutoff(cutoff_hz, sample_rate) / sample_rate
    alpha = math.sin(omega) / (2 * q)
    rise = 1 - math.cos(omega)
    return Iir((rise / 2, rise, rise / 2), (1 + alpha, -2 * math.cos(omega), 1 - alpha))


@lru_cache(maxsize=16)
def _impulse_response(b: tuple[float, ...], a: tuple[float, ...], length: int) -> Tensor:
    impulse = torch.zeros(length, dtype=torch.float64)
    impulse[0] = 1
    return torch.from_numpy(lfilter(b, a, impulse.numpy()))
