"""What a denoiser is, and what it answers."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from audiomend.processes.base import Coefficients, Process, centred


@dataclass(frozen=True)
class Estimate:
    """The answer of one evaluation.

    Attributes:
        clean: (..., time) the estimate of x_0.
        noise: (..., time) the estimate of e; None where it is the one that `clean` implies.
        carry: what this denoiser wants to see at its next evaluation; most want nothing.
    """

    clean: Tensor
    noise: Tensor | None = None
    carry: object = None


class Denoiser(Protocol):
    """Estimates the clean signal from the state x (..., time) at time t, on the way to time s <= t.

    Most ignore s; a bridge tells it its network. `carry` is the carry of the previous estimate.
    """

    def __call__(self, x: Tensor, t: float, s: float, carry: object = None) -> Estimate: ...


def implied_noise(process: Process, x: Tensor, t: float, clean: Tensor) -> Tensor:
    """e = (x - a x_0 - b anchor) / s: the noise in x (..., time) if x_0 is `clean`; none where s(t) = 0."""
    return noise_beside(process.coefficients(t), centred(process, x, t), clean)


def noise_beside(c: Coefficients, x: Tensor, clean: Tensor) -> Tensor:
    """The same for a state x (..., time) without its anchor at a time whose coefficients are c."""
    return (x - c.a * clean) / c.s if c.s > 0 else torch.zeros_like(x)


def noise_of(process: Process, x: Tensor, t: float, estimate: Estimate) -> Tensor:
    """The noise that an estimate stands for: its own, or the implied one."""
    return implied_noise(process, x, t, estimate.clean) if estimate.noise is None else estimate.noise
