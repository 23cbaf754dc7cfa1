"""Pseudo-inverse guidance, PiGDM (Song et al. 2023): the likelihood of y if x_0 were Gaussian around x̂_0."""

import dataclasses
from collections.abc import Callable

from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, noise_of
from audiomend.guidance.gradient import pulled_back, relative_level
from audiomend.operators.least_squares import Adjointable, damped
from audiomend.processes.base import Process

Correction = Callable[[Tensor, float], Tensor]
"""(x_0 (..., time), noise level sigma) -> what the observation would have added to x_0."""


def pseudo_inverse(
    forward: Callable[[Tensor], Tensor], pinv: Callable[[Tensor], Tensor], observation: Tensor
) -> Correction:
    """A⁺ y - A⁺ A(x_0), for an observation without noise; A need be neither linear nor differentiable.

    forward, pinv: of any operator with A(A⁺(A(x))) = A(x). For clipping A⁺ is the identity, so that clipped
        samples are pulled down to the level and never pushed beyond it, and the method fails there.
    """
    explained = pinv(observation)
    return lambda clean, sigma: explained - pinv(forward(clean))


def noisy(operator: Adjointable, observation: Tensor, noise_level: float, sigma_data: float) -> Correction:
    """Aᵀ (A Aᵀ + (sigma_y² / r²) I)⁻¹ (y - A x_0), r² = sigma² sd² / (sigma² + sd²), solved for any linear A.

    noise_level: sigma_y > 0, standard deviation of the observation's noise.
    sigma_data: RMS of clean signals; r is what a denoiser of white Gaussian signals leaves unsure.
    """

    def correction(clean: Tensor, sigma: float) -> Tensor:
        unsure = sigma**2 * sigma_data**2 / (sigma**2 + sigma_data**2)
        return damped(operator, observation - operator.forward(clean), noise_level**2 / unsure)

    return correction


def pigdm(denoise: Denoiser, process: Process, correction: Correction) -> Denoiser:
    """a_s x_0 <- a_s x_0 + a_t Jᵀ correction(x_0), J = dx_0/dx_t; the noise stays the unguided estimate's.

    Written for any process: a_t Jᵀ is the Jacobian with respect to x / a; with EDM's both factors are 1. One
    evaluation and one backward pass, none through the operator.
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        _, sigma = relative_level(process, t)
        estimate, step = pulled_back(denoise, x, t, s, carry, lambda clean: correction(clean, sigma))
        noise = noise_of(process, x, t, estimate)
        ratio = process.coefficients(t).a / process.coefficients(s).a
        return dataclasses.replace(estimate, clean=estimate.clean + ratio * step, noise=noise)

    return guided


def pigdm_without_gradient(denoise: Denoiser, process: Process, correction: Correction) -> Denoiser:
    """x_0 <- x_0 + correction(x_0), the unguided noise: one evaluation, no backward pass.

    The Jacobian of a denoiser is close to the identity on what it keeps and to 0 on what it takes for noise;
    here it counts as the identity. With `pseudo_inverse` of a linear operator it is DDNM (Wang et al. 2023).
    """

    def guided(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        estimate = denoise(x, t, s, carry)
        noise = noise_of(process, x, t, estimate)
        _, sigma = relative_level(process, t)
        clean = estimate.clean + correction(estimate.clean, sigma)
        return dataclasses.replace(estimate, clean=clean, noise=noise)

    return guided
