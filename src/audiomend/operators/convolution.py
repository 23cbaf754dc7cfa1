"""Convolution with a known impulse response: a room, a loudspeaker, a filter of finite length."""

from dataclasses import dataclass
from typing import cast

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators.least_squares import conjugate_gradients


@dataclass(frozen=True, eq=False)
class Convolution:
    """A(x)[n] = Σ_k taps[k] x[n + delay − k]: the signal is zero outside its ends, the output has its length.

    Attributes:
        taps: (taps,) or (..., taps), which broadcasts against the signal's leading axes, as (channels, taps).
        delay: how many samples the output is moved forward; 0 is causal, the place of the direct sound takes
            the delay out of a room's response, taps // 2 centres a linear-phase filter of odd length.
        epsilon: regularisation of pinv and project: frequencies that are attenuated by more than √epsilon
            count as lost. Above 0.

    Raises:
        UsageError: delay is not the place of a tap, or epsilon is not above 0.
    """

    taps: Tensor
    delay: int = 0
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.delay < self.taps.shape[-1]:
            raise UsageError(
                f"Convolution: delay is {self.delay}; it must be from 0 to below {self.taps.shape[-1]} taps."
            )
        if not self.epsilon > 0:
            raise UsageError(f"Convolution: epsilon is {self.epsilon:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time), by FFT."""
        size, response = self._response(x)
        return _filter(x, size, response)

    def adjoint(self, y: Tensor) -> Tensor:
        """Correlation with the taps: (Aᵀ y)[n] = Σ_k taps[k] y[n − delay + k]."""
        size, response = self._response(y)
        return _filter(y, size, response.conj())

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y, the regularised pseudo-inverse (Tikhonov): A⁺ y in the limit epsilon → 0.

        By conjugate gradients, preconditioned by the inverse on the circle (Chan & Ng, SIAM Review 38, 1996).
        """
        wide = y.to(torch.float64)
        size, response = self._response(wide)
        power = response.abs().square()
        return conjugate_gradients(
            lambda z: self.adjoint(self.forward(z)) + self.epsilon * z,
            self.adjoint(wide),
            lambda residual: _filter(residual, size, 1 / (power + self.epsilon)),
        ).to(y.dtype)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²: x + pinv(observation − A x)."""
        return x + self.pinv(observation - self.forward(x))

    def _response(self, x: Tensor) -> tuple[int, Tensor]:
        """An FFT size without wrap-around for signals like x, and the frequency response there."""
        count = self.taps.shape[-1]
        reach = max(self.delay, count - 1 - self.delay)
        size = cast("int", next_fast_len(max(x.shape[-1] + reach, count), real=True))
        placed = torch.nn.functional.pad(self.taps.to(torch.float64), (0, size - count)).roll(-self.delay, -1)
        return size, torch.fft.rfft(placed).to(x.dtype.to_complex()).to(x.device)


def _filter(x: Tensor, size: int, response: Tensor) -> Tensor:
    """Multiply the spectrum of the zero-padded x by a response: (..., time) to (..., time)."""
    return torch.fft.irfft(torch.fft.rfft(x, size) * response, size)[..., : x.shape[-1]]
