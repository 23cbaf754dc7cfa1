"""RED-diff (Mardani et al. 2023): a signal is fitted to the observation, the denoiser a regulariser.

It seeks a mode: what it returns is one plausible signal, and several runs hardly differ from each other.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, noise_of
from audiomend.guidance.gradient import gradient_of, relative_level
from audiomend.processes.base import Process, combine
from audiomend.samplers.base import Noise, Reached

DECAY = (0.9, 0.99)  # of Adam's moments, as in the paper
TINY = 1e-8  # added to Adam's denominator


def red_diff(
    denoise: Denoiser,
    process: Process,
    x: Tensor,
    levels: Sequence[float],
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    noise: Noise,
    rate: float = 0.1,
    weight: float = 0.25,
) -> Iterator[Reached]:
    """Minimise mean (y - A mu)² / 2 + weight (s / a) mean (ê - e) mu over mu, ê - e held (algorithm 1).

    At each time t: draw x_t = a mu + b anchor + s e, let the denoiser tell the noise ê, and take one step of
    Adam (Kingma and Ba 2015). One evaluation and one gradient of A a step, no backward pass through the
    network. Means are over a row of the observation and of mu.

    x: (..., time) mu to begin with, such as the observation or A⁺ y.
    levels: the times of the steps, above 0, falling; 100 to 1000 are usual.
    forward: an operator's `forward`, differentiable.
    observation: y, of the shape that forward gives.
    noise: draw 0 of step i is e at levels[i - 1].
    rate: Adam's step, in units of the signal; the paper's 0.1 is for images.
    weight: of the denoiser; 0.25 is the paper's.

    Yields:
        mu after each step.
    """

    def loss(mu: Tensor) -> Tensor:
        return (observation - forward(mu)).square().flatten(mu.ndim - 1).mean(-1) / 2

    misfit, carry = gradient_of(loss), None
    mu, first, second = x, torch.zeros_like(x), torch.zeros_like(x)
    for step, t in enumerate(levels, start=1):
        drawn = noise(step, 0, 0, mu.shape[-1]).to(mu)
        state = combine(process, process.coefficients(t), mu, drawn)
        estimate = denoise(state, t, t, carry)
        carry = estimate.carry
        _, sigma = relative_level(process, t)
        surprise = noise_of(process, state, t, estimate) - drawn
        slope = misfit(mu) + weight * sigma * surprise / mu.shape[-1]
        first = DECAY[0] * first + (1 - DECAY[0]) * slope
        second = DECAY[1] * second + (1 - DECAY[1]) * slope**2
        unbiased = (second / (1 - DECAY[1] ** step)).sqrt() + TINY
        mu = mu - rate * first / (1 - DECAY[0] ** step) / unbiased
        yield Reached(t, mu, step)
