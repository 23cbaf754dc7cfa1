"""Quantisation: every sample was rounded to a multiple of a step, as few bits or a codec do it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.errors import UsageError


@dataclass(frozen=True)
class Quantize:
    """A(x) = step round(x / step), mid-tread. 2^(1 − bits) is the step of PCM with full scale 1.

    Attributes:
        step: above 0.

    Raises:
        UsageError: step is not above 0.
    """

    step: float

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise UsageError(f"Quantize: step is {self.step:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time), with the gradient of x: the true one is 0 nearly everywhere and would guide nothing.

        The straight-through estimator (Bengio et al. 2013).
        """
        return x + (self._rounded(x) - x).detach()

    def pinv(self, y: Tensor) -> Tensor:
        """y itself, since A(y) = y; the cell's centre."""
        return y

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal: each sample is put into its cell, y ± step / 2.

        The cell ends just inside its borders, where forward may round the other way. An observation that was
        rounded in another number format is taken for the nearest that A gives in this one.
        """
        y = self._rounded(observation)
        low, high = self._inside(y, -self.step / 2), self._inside(y, self.step / 2)
        return torch.minimum(torch.maximum(x, low), high)

    def _rounded(self, x: Tensor) -> Tensor:
        return torch.round(x / self.step) * self.step

    def _inside(self, y: Tensor, offset: float) -> Tensor:
        border = y + offset
        while (wrong := (self._rounded(border) != y) & ((border - y).abs() > 0)).any():
            border = torch.where(wrong, torch.nextafter(border, y), border)
        return border
