"""Erased regions of the spectrogram: a band that was filtered out for a while, a bird that was cut away."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators.least_squares import damped
from audiomend.transforms.stft import Stft


@dataclass(frozen=True, eq=False)
class TimeFrequencyMask:
    """A(x) = S⁺ (weight · S x) with a tight short-time Fourier transform S, so that Aᵀ = A and 0 <= A <= I.

    Attributes:
        weight: (frames, bins) from 0, erased, to 1, kept; frame n is centred on sample n hop, bin k on
            k / window of the rate. `frames(length, window)` says how many frames a signal has.
        window: frame length in samples, even; four frames cover each sample.
        epsilon: regularisation of pinv and project, above 0.

    Raises:
        UsageError: weight of another shape or out of range, or epsilon not above 0.
    """

    weight: Tensor
    window: int = 1024
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.weight.shape[1] != self.window // 2 + 1:
            raise UsageError(
                f"TimeFrequencyMask: weight is {tuple(self.weight.shape)}; "
                f"it must be (frames, {self.window // 2 + 1})."
            )
        if not ((self.weight >= 0) & (self.weight <= 1)).all():
            raise UsageError("TimeFrequencyMask: a weight is below 0 or above 1.")
        if not self.epsilon > 0:
            raise UsageError(f"TimeFrequencyMask: epsilon is {self.epsilon:g}; it must be above 0.")

    @classmethod
    def box(
        cls,
        length: int,
        sample_rate: float,
        band: tuple[float, float],
        region: tuple[float, float],
        window: int = 1024,
    ) -> "TimeFrequencyMask":
        """Erase the cells whose centre lies in a band (Hz) and a region (s), ends included.

        length: of the signal in samples.
        """
        seconds = torch.arange(frames(length, window)) * (window // 4) / sample_rate
        hertz = torch.arange(window // 2 + 1) * sample_rate / window
        inside = _between(seconds, region)[:, None] & _between(hertz, band)
        return cls((~inside).double(), window)

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        if frames(x.shape[-1], self.window) != len(self.weight):
            raise UsageError(
                f"TimeFrequencyMask: a signal of {x.shape[-1]} samples has "
                f"{frames(x.shape[-1], self.window)} frames; the weight has {len(self.weight)}."
            )
        stft = Stft(self.window, self.window // 4, self.window // 2 + 1)
        padded = torch.nn.functional.pad(x, (0, len(self.weight) * stft.hop - x.shape[-1]))
        return stft.inverse(stft.forward(padded) * self.weight.to(x))[..., : x.shape[-1]]

    def adjoint(self, y: Tensor) -> Tensor:
        """The same as forward."""
        return self.forward(y)

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y."""
        return damped(self, y, self.epsilon)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²."""
        return x + self.pinv(observation - self.forward(x))


def frames(length: int, window: int) -> int:
    """Frames of a signal of `length` samples and the zeros after it, by which its ends do not meet."""
    return 4 * -(-(length + window // 2) // window)


def _between(values: Tensor, ends: tuple[float, float]) -> Tensor:
    return (values >= ends[0]) & (values <= ends[1])
