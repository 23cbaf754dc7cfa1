"""Decimation without a filter: every n-th sample was kept, the rest thrown away, aliases and all."""

from dataclasses import dataclass

from torch import Tensor

from audiomend.errors import UsageError


@dataclass(frozen=True)
class Decimate:
    """A(x)[i] = x[factor i]: orthonormal rows, so A⁺ = Aᵀ.

    CQT-Diff leaves out the last sample of the signal, which matters only where factor divides length − 1.

    Attributes:
        factor: at least 1.
        length: of the signal in samples, at least 1.

    Raises:
        UsageError: factor or length below 1.
    """

    factor: int
    length: int

    def __post_init__(self) -> None:
        if self.factor < 1 or self.length < 1:
            raise UsageError(
                f"Decimate: factor is {self.factor} and length {self.length}; both must be at least 1."
            )

    def forward(self, x: Tensor) -> Tensor:
        """(..., length) to (..., ⌈length / factor⌉)."""
        return x[..., :: self.factor]

    def adjoint(self, y: Tensor) -> Tensor:
        """Each sample at its place, zeros between."""
        return self.project(y.new_zeros(*y.shape[:-1], self.length), y)

    def pinv(self, y: Tensor) -> Tensor:
        """The same as adjoint."""
        return self.adjoint(y)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal, exactly: the observation where a sample was kept, x elsewhere."""
        z = x.clone()
        z[..., :: self.factor] = observation
        return z
