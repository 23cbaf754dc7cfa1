"""Twisted particles, TDS (Wu et al. 2023): many walks, weighted by how well they foresee the observation.

Guidance proposes, weights correct it: with ever more particles the weighted law becomes the posterior of the
walk's own prior, whatever the guidance leaves out.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.special import ndtr

from audiomend.denoisers.base import Denoiser, Estimate, noise_of
from audiomend.errors import UsageError
from audiomend.guidance.gradient import gradient_of, pulled_back, relative_level, row_norm
from audiomend.processes.base import Process
from audiomend.samplers.base import Noise
from audiomend.solvers.base import State
from audiomend.solvers.first_order import ancestral_freshness, first_order


@dataclass(frozen=True)
class Cloud:
    """Where the particles stand after a step.

    Attributes:
        t: the time reached.
        x: (particles, ..., time) their states.
        log_weights: (particles, ...) one for each particle and row; their exponentials' mean estimates
            p(y), without bias.
        evaluations: of the denoiser so far, all particles counted as one batch.
    """

    t: float
    x: Tensor
    log_weights: Tensor
    evaluations: int


def twisted(
    denoise: Denoiser,
    process: Process,
    x: Tensor,
    levels: Sequence[float],
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    noise: Noise,
    noise_level: float,
    sigma_data: float,
    threshold: float = 0.5,
    longest: float = math.inf,
) -> Iterator[Cloud]:
    """Walk particles from x to a weighted sample of p(x_0 | y) (algorithm 1).

    At each time: resample where the weights have grown uneven; propose by the ancestral step of the estimate
    that is guided by ∇ log p̃(y | x_t); weigh by p̃(y | x_s) p(x_s | x_t) / (p̃(y | x_t) q(x_s | x_t, y)),
    where p̃(y | x_t) = N(y; A x̂_0, sigma_y² + r²), r² = sigma² sd² / (sigma² + sd²). The last step, to s = 0,
    has no noise that could be guided: it takes the estimate, and p̃ becomes p(y | x_0). One evaluation and
    one backward pass a particle and step. The denoiser sees no carry, since resampling would mix them up.

    x: (particles, ..., time) states at time levels[0], independent of each other. The axes between are rows
        that are weighted and resampled each for itself.
    levels: falling times, the last one 0.
    forward: an operator's `forward`, differentiable, of any batch.
    observation: y, of the shape that forward gives of one particle.
    noise: draw k of a step is particle k's; the draw after the last chooses who is resampled.
    noise_level: sigma_y > 0, standard deviation of the observation's noise.
    sigma_data: sd, RMS of clean signals.
    threshold: particles are resampled where the effective number of them is below this share, 0 to 1.
    longest: guidance moves an estimate by at most so many times its residual. With ‖A‖ = 1 and the exact
        denoiser of white clean signals it moves it by less than 1 of them; a network's Jacobian in loud noise
        is not as small, and the walk runs away. Weights correct any proposal.

    Raises:
        UsageError: noise_level is not above 0, or the last of the levels is not 0.
    """
    if not noise_level > 0:
        raise UsageError(f"twisted: noise_level is {noise_level:g}; it must be above 0.")
    if levels[-1] != 0:
        raise UsageError(f"twisted: the walk ends at time {levels[-1]:g}; it must end at 0.")

    def twist(clean: Tensor, sigma: float) -> Tensor:
        variance = noise_level**2 + sigma**2 * sigma_data**2 / (sigma**2 + sigma_data**2)
        residual = (forward(clean) - observation).flatten(x.ndim - 1)
        normaliser = residual.shape[-1] * math.log(2 * math.pi * variance)
        return -(residual.square().sum(-1) / variance + normaliser) / 2

    log_weights = foreseen = torch.zeros_like(x[..., 0])
    for step, (t, s) in enumerate(pairwise(levels), start=1):
        a, sigma = relative_level(process, t)
        weight = gradient_of(partial(twist, sigma=sigma))
        estimate, gradient = pulled_back(denoise, x, t, s, None, weight)
        clean, implied = estimate.clean, noise_of(process, x, t, estimate)
        now = twist(clean, sigma)
        u = ndtr(noise(step, len(x), 0, 1).to(x)).flatten()[0]
        log_weights, chosen = resampled(log_weights + now - foreseen, threshold, u)
        x, clean, implied, gradient, foreseen = (
            _taken(values, chosen) for values in (x, clean, implied, gradient, now)
        )
        residual = (forward(clean) - observation).flatten(x.ndim - 1)
        shift = (
            _no_longer(a * sigma**2 * gradient, longest * row_norm(residual))
            if s > 0
            else torch.zeros_like(x)
        )
        x, odds = _proposed(process, x, t, s, Estimate(clean, implied), shift, _draws(noise, step, x))
        log_weights = log_weights + odds
        if step == len(levels) - 1:
            log_weights = log_weights + twist(x, 0.0) - foreseen
        yield Cloud(s, x, log_weights, step)


def resampled(log_weights: Tensor, share: float, u: Tensor) -> tuple[Tensor, Tensor]:
    """Systematic resampling along the first axis, of the rows whose weights are uneven.

    log_weights: (particles, ...).
    share: a row is resampled where 1 / sum w², the effective number of particles, is below this share.
    u: () uniform, above 0 and at most 1; all rows share it.

    Returns:
        log_weights, in resampled rows all the logarithm of the mean weight, and the index of the particle
        that takes each place, both (particles, ...).
    """
    count = len(log_weights)
    normalised = log_weights.log_softmax(0)
    uneven = (-(2 * normalised).logsumexp(0)).exp() < share * count
    heights = normalised.exp().cumsum(0).movedim(0, -1).contiguous()
    own = torch.arange(count, device=u.device)
    points = ((own + u) / count).expand_as(heights).contiguous()
    drawn = torch.searchsorted(heights, points).clamp_max(count - 1).movedim(-1, 0)
    own = own.reshape(-1, *[1] * uneven.ndim)
    mean = log_weights.logsumexp(0) - math.log(count)
    return torch.where(uneven, mean, log_weights), torch.where(uneven, drawn, own)


def _taken(values: Tensor, chosen: Tensor) -> Tensor:
    """(particles, ...) or (particles, ..., time) -> the chosen particle in each place of each row."""
    index = chosen if values.ndim == chosen.ndim else chosen[..., None].expand_as(values)
    return values.gather(0, index)


def _no_longer(x: Tensor, most: Tensor) -> Tensor:
    """x (..., time), shortened to the norm `most` (..., 1) where it is longer."""
    return x * (most / row_norm(x).clamp(min=torch.finfo(x.dtype).tiny)).clamp(max=1)


def _draws(noise: Noise, step: int, x: Tensor) -> Tensor:
    """A draw for each particle, the same in all its rows: (particles, ..., time)."""
    return torch.stack([noise(step, k, 0, x.shape[-1]).to(x).expand(x.shape[1:]) for k in range(len(x))])


def _proposed(
    process: Process, x: Tensor, t: float, s: float, estimate: Estimate, shift: Tensor, draw: Tensor
) -> tuple[Tensor, Tensor]:
    """The guided ancestral step from x, and log p(x_s | x_t) - log q(x_s | x_t, y) of where it leads.

    shift: what guidance adds to the estimate.
    """
    (stage,) = first_order("ancestral")(process, [t, s])
    guided = Estimate(estimate.clean + shift)
    plain, bent = (stage.leave(State(x), one, lambda number: draw).x for one in (estimate, guided))
    if s == 0:
        return plain, torch.zeros_like(x[..., 0])
    offset = (bent - plain) / (ancestral_freshness(process, t, s) * process.coefficients(s).s)
    return bent, -(offset * (draw + offset / 2)).sum(-1)
