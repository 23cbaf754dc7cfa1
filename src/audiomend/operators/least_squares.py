"""Damped least squares with a linear operator: A⁺ where nothing closed is known, and what guidance solves."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

RESIDUAL = 1e-10  # at which conjugate gradients stop, relative to the right-hand side
MOST_STEPS = 500


class Adjointable(Protocol):
    """What damped least squares need of an operator."""

    def forward(self, x: Tensor) -> Tensor: ...

    def adjoint(self, y: Tensor) -> Tensor: ...


def damped(operator: Adjointable, y: Tensor, epsilon: float) -> Tensor:
    """Aᵀ (A Aᵀ + epsilon I)⁻¹ y = (AᵀA + epsilon I)⁻¹ Aᵀ y, the z that minimises ‖A z − y‖² + epsilon ‖z‖².

    Solved on the side of the observation, whose rows no operator mixes, by conjugate gradients in float64.

    y: (..., m), one observation a row; the result has the number format of y.
    epsilon: above 0; A⁺ y in the limit epsilon → 0.
    """

    def image(v: Tensor) -> Tensor:
        return operator.forward(operator.adjoint(v)) + epsilon * v

    return operator.adjoint(conjugate_gradients(image, y.to(torch.float64))).to(y.dtype)


def conjugate_gradients(
    image: Callable[[Tensor], Tensor],
    b: Tensor,
    precondition: Callable[[Tensor], Tensor] = lambda residual: residual,
) -> Tensor:
    """The z with image(z) = b, row by row: (..., n), to a relative residual of 1e-10 or after 500 steps.

    image: symmetric and positive definite on each row (Hestenes & Stiefel 1952).
    precondition: close to the inverse of image, symmetric and positive definite too.
    """
    z = torch.zeros_like(b)
    residual = b
    direction = preconditioned = precondition(b)
    energy = (residual * preconditioned).sum(-1, keepdim=True)
    goal = RESIDUAL * b.norm(dim=-1, keepdim=True)
    for _ in range(MOST_STEPS):
        active = residual.norm(dim=-1, keepdim=True) > goal
        if not active.any():
            break
        ahead = image(direction)
        step = torch.where(active, energy / (direction * ahead).sum(-1, keepdim=True), 0.0)
        z = z + step * direction
        residual = residual - step * ahead
        preconditioned = precondition(residual)
        previous, energy = energy, (residual * preconditioned).sum(-1, keepdim=True)
        direction = preconditioned + torch.where(active, energy / previous, 0.0) * direction
    return z
