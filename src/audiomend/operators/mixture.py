"""A mixture of sources: what was recorded is their weighted sum (source separation)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.errors import UsageError


@dataclass(frozen=True)
class Mixture:
    """A(x) = Σ_i gains[i] x[i] over an axis of sources before time.

    Attributes:
        gains: one a source, not all 0.

    Raises:
        UsageError: no source or no gain other than 0.
    """

    gains: tuple[float, ...]

    def __post_init__(self) -> None:
        if not any(self.gains):
            raise UsageError(f"Mixture: the gains are {self.gains}; one of them must differ from 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., sources, time) to (..., time)."""
        return (x * self._column(x)).sum(-2)

    def adjoint(self, y: Tensor) -> Tensor:
        """(..., time) to (..., sources, time): the mixture times the gain of each source."""
        return y[..., None, :] * self._column(y)

    def pinv(self, y: Tensor) -> Tensor:
        """Aᵀ y / Σ gains²: the mixture is shared out among the sources."""
        return self.adjoint(y) / self._column(y).square().sum()

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest sources that add up to the observation, exactly: x + A⁺ (observation − A x)."""
        return x + self.pinv(observation - self.forward(x))

    def _column(self, x: Tensor) -> Tensor:
        return torch.tensor(self.gains, dtype=x.dtype, device=x.device)[:, None]
