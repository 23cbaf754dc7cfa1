"""What happened to the sound: one damage a file, each a frozen dataclass that acts on (..., time).

Nothing here is a base class. An object with these methods is an operator, wherever it is written.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor

from audiomend.conditions import Condition

__all__ = ["Forward", "LinearOperator", "Operator"]


@runtime_checkable
class Forward(Protocol):
    """observation = forward(x). Leading axes are a batch: rows are independent of each other."""

    def forward(self, x: Tensor) -> Tensor:
        """A(x), without noise: from (..., time) to whatever was measured, differentiable in x."""
        ...


class Operator(Forward, Protocol):
    """A damage that a restorer mends: its observation is a signal like x."""

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The signal nearest to x that agrees with the observation, exactly or regularised as it says."""
        ...

    def condition(self, observation: Tensor) -> Condition:
        """What a conditioned network is told of the observation, (batch, time)."""
        ...


@runtime_checkable
class LinearOperator(Forward, Protocol):
    """A damage with A(u + v) = A(u) + A(v); its observation may be shorter than x."""

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y: <A x, y> = <x, Aᵀ y> for every x and y."""
        ...

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺ y, the shortest of the least-squares solutions, exactly or regularised as it says."""
        ...

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The signal nearest to x that agrees with the observation, exactly or regularised as it says."""
        ...
