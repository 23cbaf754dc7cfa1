"""A low-pass filter: what lies above the cut-off is lost."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import OptionError, UsageError
from audiomend.operators.least_squares import conjugate_gradients

LOWEST_CUTOFF_HZ = 20.0  # the lower limit of hearing; it also bounds the length of the filter
STOP_BAND_DB = 80.0  # attenuation of the stop band; the pass band ripples by as little, 1e-4


@dataclass(frozen=True)
class LowPass:
    """Linear-phase FIR low-pass: a sinc under a Kaiser window, of odd length and centred, so nothing shifts.

    The signal is taken as zero outside its ends and the output has its length. DC gain 1, gain 1/2 (−6 dB) at
    the cut-off, about −80 dB beyond the transition; about 5 sample_rate / (transition cutoff_hz) taps by
    Kaiser's formula (Oppenheim & Schafer, Discrete-Time Signal Processing, section 7.5.3).
    A is a symmetric Toeplitz matrix, so Aᵀ = A.

    Attributes:
        cutoff_hz: from 20 Hz to below half the rate.
        sample_rate: in Hz.
        transition: width of the fall from pass to stop band, centred on the cut-off, as a share of it; above
            0 and at most 1. Where it reaches past half the rate the stop band is missing.
        epsilon: regularisation of pinv and project: bands that the filter attenuates by more than
            √epsilon count as lost. Above 0.

    Raises:
        UsageError: a value outside these ranges.
    """

    cutoff_hz: float
    sample_rate: float
    transition: float = 0.1
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        nyquist = self.sample_rate / 2
        if not LOWEST_CUTOFF_HZ <= self.cutoff_hz < nyquist:
            raise OptionError(
                "cutoff_hz",
                f"is {self.cutoff_hz:g}; at {self.sample_rate:g} Hz it must lie from "
                f"{LOWEST_CUTOFF_HZ:g} Hz to below {nyquist:g} Hz.",
            )
        if not 0 < self.transition <= 1:
            raise UsageError(f"transition is {self.transition:g}; it must be above 0 and at most 1.")
        if not self.epsilon > 0:
            raise UsageError(f"epsilon is {self.epsilon:g}; it must be above 0.")

    @property
    def taps(self) -> Tensor:
        """(length,) float64, length odd, symmetric about its middle, sum 1."""
        return _taps(self.cutoff_hz, self.sample_rate, self.transition)

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time), convolved by FFT."""
        size, response = self._response(x)
        return _filter(x, size, response)

    def adjoint(self, y: Tensor) -> Tensor:
        """The same as forward, since the taps are symmetric."""
        return self.forward(y)

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y, the regularised pseudo-inverse (Tikhonov): A⁺ y in the limit epsilon → 0.

        Solved to a relative residual of 1e-10 in float64 by conjugate gradients.
        """
        wide = y.to(torch.float64)
        size, response = self._response(wide)
        return self._solve(_filter(wide, size, response), size, response).to(y.dtype)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²: x + pinv(observation − A x).

        It inverts the filter, so the observation must come from this very filter. Where that is a guess, use
        replace_band.
        """
        return x + self.pinv(observation - self.forward(x))

    def replace_band(self, x: Tensor, observation: Tensor) -> Tensor:
        """The observation below the cut-off, x above it: x + A (observation − x).

        For an observation that is right below the cut-off and empty above it, whatever filter made it. The
        result equals it to 80 dB in the pass band, and the two cross-fade within the transition.
        """
        return x + self.forward(observation - x)

    def condition(self, observation: Tensor) -> Condition:
        """No sample is missing; nothing is known above the cut-off."""
        return Condition(
            observation=observation,
            unknown=torch.zeros_like(observation),
            clip=torch.zeros_like(observation),
            cutoff_hz=observation.new_full(observation.shape[:-1], self.cutoff_hz),
        )

    def _response(self, x: Tensor) -> tuple[int, Tensor]:
        """An FFT size without wrap-around and the response there, real since the taps are centred."""
        half = len(self.taps) // 2
        size = cast("int", next_fast_len(max(x.shape[-1] + half, len(self.taps)), real=True))
        centred = torch.zeros(size, dtype=torch.float64)
        centred[: half + 1] = self.taps[half:]
        centred[size - half :] = self.taps[:half]
        return size, torch.fft.rfft(centred).real.to(x.dtype).to(x.device)

    def _solve(self, b: Tensor, size: int, response: Tensor) -> Tensor:
        """(A² + epsilon I)⁻¹ b by conjugate gradients, per row.

        Preconditioned by the inverse on the circle, which differs from the wanted one at the ends of the
        signal only (Chan & Ng, SIAM Review 38, 1996), so that some ten to thirty steps do.
        """
        inverse = 1 / (response**2 + self.epsilon)
        return conjugate_gradients(
            lambda z: _filter(_filter(z, size, response), size, response) + self.epsilon * z,
            b,
            lambda residual: _filter(residual, size, inverse),
        )


@lru_cache(maxsize=16)
def _taps(cutoff_hz: float, sample_rate: float, transition: float) -> Tensor:
    # Kaiser's formulas for an attenuation above 50 dB (Oppenheim & Schafer, section 7.5.3). scipy.signal has
    # them, too, but costs 40 MiB of memory.
    beta = 0.1102 * (STOP_BAND_DB - 8.7)
    fall = 2 * math.pi * transition * cutoff_hz / sample_rate
    length = math.ceil((STOP_BAND_DB - 7.95) / (2.285 * fall) + 1) | 1
    place = torch.arange(length, dtype=torch.float64) - length // 2
    window = torch.kaiser_window(length, periodic=False, beta=beta, dtype=torch.float64)
    taps = torch.sinc(2 * cutoff_hz / sample_rate * place) * window
    return taps / taps.sum()


def _filter(x: Tensor, size: int, response: Tensor) -> Tensor:
    """Multiply the spectrum of the zero-padded x by a real response: (..., time) to (..., time)."""
    return torch.fft.irfft(torch.fft.rfft(x, size) * response, size)[..., : x.shape[-1]]
