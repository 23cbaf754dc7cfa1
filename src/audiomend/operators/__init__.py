"""What happened to the sound: one damage a file, each a frozen dataclass that acts on (..., time).

Nothing here is a base class. An object with these methods is an operator, wherever it is written.
"""

from typing import Protocol

from torch import Tensor

from audiomend.conditions import Condition

__all__ = ["LinearOperator", "Operator"]


class Operator(Protocol):
    """observation = forward(x). Leading axes are a batch: rows are independent of each other."""

    def forward(self, x: Tensor) -> Tensor:
        """A(x), without noise: (..., time) to (..., time)."""
        ...

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The signal nearest to x that agrees with the observation, exactly or regularised as it says."""
        ...

    def condition(self, observation: Tensor) -> Condition:
        """What a conditioned network is told of the observation, (batch, time)."""
        ...


class LinearOperator(Operator, Protocol):
    """An operator with A(u + v) = A(u) + A(v)."""

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y: <A x, y> = <x, Aᵀ y> for every x and y."""
        ...

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺ y, the shortest of the least-squares solutions, exactly or regularised as it says."""
        ...
