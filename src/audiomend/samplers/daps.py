"""Decoupled annealing, DAPS (Zhang et al. 2024): each level draws a clean signal anew and adds its noise.

One level does not inherit the errors of the one before, and gradients are of the operator alone, so that the
network is evaluated without a graph.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from audiomend.denoisers.base import Denoiser
from audiomend.errors import UsageError
from audiomend.guidance.gradient import gradient_of, relative_level
from audiomend.processes.base import Process, centred, combine
from audiomend.samplers.base import Noise, Reached
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers.base import State
from audiomend.solvers.first_order import first_order


def daps(
    denoise: Denoiser,
    process: Process,
    x: Tensor,
    levels: Sequence[float],
    forward: Callable[[Tensor], Tensor],
    observation: Tensor,
    noise: Noise,
    noise_level: float,
    ode_steps: int = 5,
    ode_end: float = 0.01,
    langevin_steps: int = 100,
    stride: float = 0.3,
) -> Iterator[Reached]:
    """Draw from p(x_0 | y) by annealing (algorithm 1, with Langevin dynamics).

    At each time t: walk the probability-flow equation from x_t to x̂_0; move x_0 from there by Langevin
    steps of exp(-‖y - A x_0‖² / (2 sigma_y²) - ‖x_0 - x̂_0‖² / (2 sigma²)), sigma = s / a, which takes
    p(x_0 | x_t) for a Gaussian of that width around x̂_0; add the noise of the next time. A level costs
    `ode_steps` evaluations and `langevin_steps` gradients of A.

    x: (..., time) the state at time levels[0].
    levels: falling times, the last one 0 for a clean result. The paper takes 200, of noise levels 100 to 0.1.
    forward: an operator's `forward`, differentiable.
    observation: y, of the shape that forward gives.
    noise: draw 0 of step i is the noise added after level i - 1, the other draws its Langevin steps'.
    noise_level: sigma_y > 0, standard deviation of the observation's noise.
    ode_end: the time where the equation's walk ends, a tenth of t where that is earlier; the noise left
        there counts as signal.
    stride: Langevin step times 1 / sigma_y² + 1 / sigma², the curvature where ‖A‖ = 1; stable below 2. The
        variance that a step leaves is too large by 1 / (1 - stride / 2) where the curvature is largest. The
        paper's step is 1e-4 at sigma_y = 0.01, a stride of 1 there, and falls linearly to a hundredth.

    Raises:
        UsageError: noise_level is not above 0, or stride not between 0 and 2.
    """
    if not noise_level > 0:
        raise UsageError(f"daps: noise_level is {noise_level:g}; it must be above 0.")
    if not 0 < stride < 2:
        raise UsageError(f"daps: stride is {stride:g}; it must lie between 0 and 2.")
    misfit = gradient_of(lambda clean: (forward(clean) - observation).square() / (2 * noise_level**2))
    for step, (t, s) in enumerate(pairwise(levels), start=1):
        times = karras(ode_steps + 1, min(ode_end, t / 10), t)[:-1]
        centre = _clean(denoise, process, x, times, noise)
        _, sigma = relative_level(process, t)
        rate = stride / (1 / noise_level**2 + 1 / sigma**2)
        clean = centre
        for draw in range(1, langevin_steps + 1):
            slope = misfit(clean) + (clean - centre) / sigma**2
            clean = clean - rate * slope + sqrt(2 * rate) * noise(step, draw, 0, x.shape[-1]).to(x)
        x = combine(process, process.coefficients(s), clean, noise(step, 0, 0, x.shape[-1]).to(x))
        yield Reached(s, x, step * ode_steps)


def _clean(denoise: Denoiser, process: Process, x: Tensor, times: Sequence[float], noise: Noise) -> Tensor:
    """x̂_0: where the probability-flow equation takes x (..., time), by steps of first order."""
    *_, last = evaluations(denoise, first_order()(process, times), State(x), noise)
    return centred(process, last.state.x, times[-1]) / process.coefficients(times[-1]).a
