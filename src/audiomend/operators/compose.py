"""One damage after another."""

from dataclasses import dataclass
from functools import reduce

from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators import Forward, LinearOperator
from audiomend.operators.least_squares import damped


@dataclass(frozen=True)
class Compose:
    """A(x) = A_n(... A_1(x)), the damages in the order in which they happened.

    Attributes:
        parts: A_1 to A_n; none is the identity.
    """

    parts: tuple[Forward, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Through all parts; each says what it makes of its input's shape."""
        return reduce(lambda signal, part: part.forward(signal), self.parts, x)


@dataclass(frozen=True)
class ComposeLinear:
    """The same for linear parts, A = A_n ... A_1.

    Attributes:
        parts: A_1 to A_n.
        epsilon: regularisation of pinv and project, above 0.

    Raises:
        UsageError: epsilon not above 0.
    """

    parts: tuple[LinearOperator, ...]
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise UsageError(f"ComposeLinear: epsilon is {self.epsilon:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """Through all parts."""
        return Compose(self.parts).forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ = A_1ᵀ ... A_nᵀ."""
        return reduce(lambda signal, part: part.adjoint(signal), reversed(self.parts), y)

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y: the parts' own pseudo-inverses one after another would not do."""
        return damped(self, y, self.epsilon)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²."""
        return x + self.pinv(observation - self.forward(x))
