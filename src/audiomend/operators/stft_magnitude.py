"""The magnitude of a short-time Fourier transform: all phases were lost (phase retrieval)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.errors import UsageError


@dataclass(frozen=True)
class StftMagnitude:
    """A(x) = |STFT(x)| with CQT-Diff's settings: periodic Hamming window, frames that begin at n hop.

    The signal is followed by `window` zeros, so that all samples but those of the first window lie in
    window / hop frames.

    Attributes:
        window, hop: frame length and step in samples; 1 <= hop <= window.

    Raises:
        UsageError: a value outside this range.
    """

    window: int = 1024
    hop: int = 256

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.window:
            raise UsageError(
                f"StftMagnitude: a window of {self.window} samples every {self.hop}; "
                "the hop must be from 1 to the window."
            )

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., window / 2 + 1, time // hop + 1); the gradient of a magnitude at 0 is 0."""
        return self._spectrum(x).abs()

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The signal of x's phases and the observed magnitudes, one step of Griffin & Lim (1984).

        Of all spectra with these magnitudes that is the nearest to that of x; the inverse transform takes the
        nearest spectrum that a signal has. Neither step is undone: A of the result is near the observation
        only, and equal to it where x fits already.
        """
        spectrum = torch.polar(observation, self._spectrum(x).angle())
        signal = torch.istft(
            spectrum.reshape(-1, *spectrum.shape[-2:]),
            self.window,
            self.hop,
            window=self._hamming(x),
            center=False,
        )
        return signal[..., : x.shape[-1]].reshape(x.shape)

    def _spectrum(self, x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x, (0, self.window)).reshape(-1, x.shape[-1] + self.window)
        spectrum = torch.stft(
            padded,
            self.window,
            self.hop,
            window=self._hamming(x),
            center=False,
            return_complex=True,
        )
        return spectrum.reshape(*x.shape[:-1], *spectrum.shape[-2:])

    def _hamming(self, x: Tensor) -> Tensor:
        window = torch.hamming_window(self.window, periodic=True, dtype=torch.float64)
        return window.to(x.dtype).to(x.device)
