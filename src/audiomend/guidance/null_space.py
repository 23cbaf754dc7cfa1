"""Null-space guidance for noisy observations, DDNM+ (Wang et al. 2023)."""

import dataclasses

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, noise_of
from audiomend.operators import LinearOperator
from audiomend.processes.base import Process


def ddnm_plus(
    denoise: Denoiser,
    process: Process,
    operator: LinearOperator,
    observation: Tensor,
    noise_level: float,
) -> Denoiser:
    """x_0 <- x_0 + lambda A⁺ (y - A x_0), lambda = min(1, s_s / (a_s sigma_y)); the noise is the unguided.

    Below the observation's own noise level the walk takes ever less of it and leaves the rest to the prior:
    the paper's rule for singular values 0 and 1, as masks and decimation have them. The fresh noise of the
    solver stays white; the paper takes out of it what A⁺ y brings in, which a denoiser cannot.

    noise_level: sigma_y, standard deviation of the observation's noise; 0 gives DDNM. One evaluation.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        noise = noise_of(process, x, t, estimate)
        after = process.coefficients(s)
        share = 1.0 if after.s >= after.a * noise_level else after.s / (after.a * noise_level)
        residual = observation - operator.forward(estimate.clean)
        clean = estimate.clean + share * operator.pinv(residual)
        return dataclasses.replace(estimate, clean=clean, noise=noise)

    return guided
