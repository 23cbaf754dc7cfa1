"""Proximal guidance, DiffPIR (Zhu et al. 2023): the compromise between the estimate and the observation."""

import dataclasses

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.errors import UsageError
from audiomend.guidance.gradient import relative_level
from audiomend.operators.least_squares import Adjointable, damped
from audiomend.processes.base import Process


def proximal(
    denoise: Denoiser,
    process: Process,
    operator: Adjointable,
    observation: Tensor,
    noise_level: float,
    weight: float = 1.0,
) -> Denoiser:
    """x_0 <- argmin_z ‖y - A z‖² + rho ‖z - x_0‖², rho = weight sigma_y² / sigma², sigma = s / a.

    Solved by conjugate gradients for any linear A; the noise is the one that the result implies. One
    evaluation, no backward pass. Walk it with first_order(√zeta), zeta the paper's share of fresh noise.

    noise_level: sigma_y > 0, standard deviation of the observation's noise.
    weight: the paper's lambda; 1 trusts the estimate as far as its noise level says.

    Raises:
        UsageError: noise_level or weight is not above 0.
    """
    if not (noise_level > 0 and weight > 0):
        raise UsageError(
            f"proximal: noise_level is {noise_level:g}, weight {weight:g}; both must be above 0."
        )

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        _, sigma = relative_level(process, t)
        residual = observation - operator.forward(estimate.clean)
        clean = estimate.clean + damped(operator, residual, weight * noise_level**2 / sigma**2)
        return dataclasses.replace(estimate, clean=clean, noise=None)

    return guided
