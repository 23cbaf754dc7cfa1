"""Guidance on a Gaussian, where the posterior is known: mean, covariance, and the published test bed.

The prior is circulant with spectrum 1 / (1 + (k / 4)^2), 64 samples, unit variance; the operators are a
low-pass (the 17 lowest Fourier dimensions) and a gap of 16 samples; the observation has noise of 0.05.
Denoisers here are affine, so mean and covariance of what a sampler returns are found exactly, by pushing the
unit vectors of every noise through it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.guidance.gaussian import conditioned
from audiomend.guidance.projection import projected
from audiomend.guidance.replace import replaced
from audiomend.noise import normal
from audiomend.processes.edm import EDM
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers.base import Solver, State
from audiomend.solvers.dpm import dpm_pp_2m
from audiomend.solvers.dpm_3m import dpm_pp_3m
from audiomend.solvers.euler_maruyama import euler_maruyama
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import heun
from audiomend.solvers.predictor_corrector import predictor_corrector
from audiomend.solvers.repaint import repainted
from audiomend.solvers.unipc import unipc

N = 64
NOISE_LEVEL = 0.05
SAMPLES = 500  # of the published test bed
EYE = torch.eye(N, dtype=torch.float64)


def circulant(spectrum: Tensor) -> Tensor:
    return torch.fft.ifft(spectrum[:, None] * torch.fft.fft(EYE, dim=0), dim=0).real


FREQUENCY = torch.minimum(torch.arange(N), N - torch.arange(N)).double()
SPECTRUM = 1 / (1 + (FREQUENCY / 4) ** 2)
PRIOR = circulant(SPECTRUM / SPECTRUM.mean())


def low_pass() -> Tensor:
    angle = 2 * math.pi / N * torch.arange(1, 9)[:, None] * torch.arange(N)
    rows = torch.cat((torch.full((1, N), 0.5**0.5), torch.cos(angle), torch.sin(angle)))
    return rows.double() * math.sqrt(2 / N)


MATRICES = {"low-pass": low_pass(), "gap": torch.cat((EYE[:24], EYE[40:]))}


def shrink(t: float) -> Tensor:
    return PRIOR @ torch.linalg.inv(PRIOR + t**2 * EYE)


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    return Estimate(x @ shrink(t))


@dataclass(frozen=True)
class Bed:
    matrix: Tensor
    observation: Tensor
    mean: Tensor
    covariance: Tensor

    def exact(self) -> Denoiser:
        return conditioned(denoise, self.matrix, self.observation, NOISE_LEVEL, lambda t: t**2 * shrink(t))

    def ddnm(self) -> Denoiser:
        def project(x: Tensor, observation: Tensor) -> Tensor:
            return x + (observation - x @ self.matrix.T) @ self.matrix  # orthonormal rows: A^+ = A^T

        return projected(denoise, project, self.observation, keep_noise=EDM())


def bed(name: str) -> Bed:
    matrix, generator = MATRICES[name], torch.Generator().manual_seed(4)
    clean = torch.linalg.cholesky(PRIOR) @ torch.randn(N, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(matrix), generator=generator, dtype=torch.float64)
    observation = matrix @ clean + NOISE_LEVEL * noise
    innovation = matrix @ PRIOR @ matrix.T + NOISE_LEVEL**2 * torch.eye(len(matrix)).double()
    gain = PRIOR @ matrix.T @ torch.linalg.inv(innovation)
    return Bed(matrix, observation, gain @ observation, PRIOR - gain @ matrix @ PRIOR)


def walked(denoise: Denoiser, solver: Solver, levels: list[float], noise: Callable[..., Tensor]) -> Tensor:
    state = State(levels[0] * noise(0, 0, 0, N))
    *_, last = evaluations(denoise, solver(EDM(), levels), state, noise)
    return last.state.x


def moments(denoise: Denoiser, solver: Solver, levels: list[float]) -> tuple[Tensor, Tensor]:
    """Mean (N,) and covariance (N, N) of what an ODE solver without noise of its own returns."""
    rows = torch.cat((torch.zeros(1, N).double(), EYE))
    mean, *images = walked(denoise, solver, levels, lambda *_: rows)
    images = torch.stack(images) - mean
    return mean, images.T @ images


def moments_with_noise(denoise: Denoiser, solver: Solver, levels: list[float]) -> tuple[Tensor, Tensor]:
    """The same for a solver that adds noise and whose state has no memory, stage by stage."""
    mean, covariance = torch.zeros(N).double(), levels[0] ** 2 * EYE
    rows = torch.cat((torch.zeros(1, N).double(), EYE, torch.zeros(N, N).double()))
    fresh = torch.cat((torch.zeros(N + 1, N).double(), EYE))
    for stage in solver(EDM(), levels):
        x = mean + rows
        state = stage.leave(State(x), denoise(x, stage.t, stage.s), lambda number: fresh)
        mean, offsets = state.x[0], state.x[1:] - state.x[0]
        old, new = offsets[:N], offsets[N:]
        covariance = old.T @ covariance @ old + new.T @ new
    return mean, covariance


def moments_with_memory(denoise: Denoiser, solver: Solver, levels: list[float]) -> tuple[Tensor, Tensor]:
    """The same for any solver: the unit vectors of every draw, all at once."""
    places: list[tuple[int, int]] = []

    def listening(step: int, draw: int, start: int, stop: int) -> Tensor:
        places.append((step, draw))
        return torch.zeros(1, N).double()

    def units(step: int, draw: int, start: int, stop: int) -> Tensor:
        rows = torch.zeros(1 + len(places), N, N).double()
        rows[1 + places.index((step, draw))] = EYE
        return rows.flatten(0, 1)

    walked(denoise, solver, levels, listening)
    images = walked(denoise, solver, levels, units)
    offsets = images[N:] - images[0]  # the first N rows have no noise at all
    return images[0], offsets.T @ offsets


def relative(x: Tensor, reference: Tensor) -> float:
    return (torch.linalg.norm(x - reference) / torch.linalg.norm(reference)).item()


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("solver", [heun(), dpm_pp_2m(), dpm_pp_3m(), unipc()])
def test_exact_likelihood_gives_the_posterior_along_the_ode(name, solver):
    truth = bed(name)
    mean, covariance = moments(truth.exact(), solver, karras(200, 0.002, 80))
    assert relative(mean, truth.mean) < 0.005
    assert relative(covariance, truth.covariance) < 0.01


@pytest.mark.parametrize("name", MATRICES)
def test_exact_likelihood_gives_the_posterior_by_ancestral_sampling(name):
    truth = bed(name)
    mean, covariance = moments_with_noise(truth.exact(), first_order("ancestral"), karras(800, 0.002, 80))
    assert relative(mean, truth.mean) < 0.001
    assert relative(covariance, truth.covariance) < 0.02


def test_without_an_observation_the_prior_comes_back():
    mean, covariance = moments(denoise, unipc(), karras(100, 0.002, 80))
    assert mean.abs().max() < 1e-12
    assert relative(covariance, PRIOR) < 0.01


@pytest.mark.parametrize(
    ("guidance", "freshness", "steps", "name", "std_ratio", "residual"),
    [
        (Bed.exact, 0.0, 50, "low-pass", 0.955, 0.048),
        (Bed.exact, 0.0, 50, "gap", 0.962, 0.047),
        (Bed.exact, "ancestral", 50, "low-pass", 0.936, 0.044),
        (Bed.exact, "ancestral", 50, "gap", 0.950, 0.045),
        (Bed.exact, 1.0, 50, "low-pass", 0.672, 0.033),
        (Bed.exact, 1.0, 50, "gap", 0.662, 0.033),
        (Bed.ddnm, 0.85, 100, "low-pass", 0.855, 0.0),
        (Bed.ddnm, 0.85, 100, "gap", 0.854, 0.0),
        (Bed.ddnm, 0.0, 50, "low-pass", 0.955, 0.0),
        (Bed.ddnm, 0.0, 50, "gap", 0.947, 0.0),
    ],
)
def test_rows_of_the_published_test_bed(guidance, freshness, steps, name, std_ratio, residual):
    """The spread where the posterior is wide, within 3 standard errors of the table's 500 samples.

    The table's DDNM is the variant for noisy observations (DDNM+, residual 0.0001 to 0.016); on the
    dimensions that are not observed the two agree, and the plain one must fit the observation exactly.
    """
    truth = bed(name)
    mean, covariance = moments_with_noise(guidance(truth), first_order(freshness), karras(steps, 0.01, 10))
    variances, directions = torch.linalg.eigh(truth.covariance)
    wide = variances.sqrt() > 0.5 * variances.max().sqrt()
    spread = (directions.T @ covariance @ directions).diag().sqrt() / variances.sqrt()
    error = 1 / math.sqrt(2 * SAMPLES * int(wide.sum()))
    assert spread[wide].mean().item() == pytest.approx(std_ratio, abs=3 * error)
    bias = (mean - truth.mean).square().mean().sqrt() / truth.covariance.diag().max().sqrt()
    assert bias < (0.15 if guidance is Bed.ddnm else 0.06)
    misfit = truth.matrix @ mean - truth.observation
    spread_of_fit = (truth.matrix @ covariance @ truth.matrix.T).diag()
    assert (misfit.square() + spread_of_fit).mean().clamp_min(0).sqrt().item() == pytest.approx(
        residual, abs=0.0025 if residual else 1e-6
    )


@pytest.mark.parametrize(
    ("solver", "steps", "evaluated", "std_ratios"),
    [
        (first_order(), 50, 50, (0.965, 0.959)),
        (heun(), 25, 49, (1.006, 0.994)),
        (dpm_pp_2m(), 50, 50, (1.000, 0.989)),
        (dpm_pp_3m(), 50, 50, (0.997, 0.987)),
        (unipc(), 50, 50, (0.998, 0.988)),
        (first_order("ancestral"), 50, 50, (0.933, 0.940)),
        (first_order(1), 50, 50, (0.681, 0.683)),
        (euler_maruyama(), 50, 50, (1.029, 1.025)),
        (dpm_pp_2m(sde=True), 50, 50, (1.005, 1.004)),
        (dpm_pp_3m(sde=True), 50, 50, (1.000, 1.000)),
        (predictor_corrector(euler_maruyama(), snr=0.16), 25, 50, (1.048, 1.040)),
        (repainted(first_order("ancestral"), 2), 30, 52, (0.890, 0.899)),
    ],
)
def test_spread_of_every_solver_at_50_evaluations_of_the_exact_likelihood(
    solver, steps, evaluated, std_ratios
):
    """The table of docs/how-it-works.md: low-pass and gap; the mean is within 0.03 of the widest spread."""
    levels = karras(steps, 0.01, 10)
    assert len(solver(EDM(), levels)) == evaluated
    for name, std_ratio in zip(MATRICES, std_ratios, strict=True):
        truth = bed(name)
        mean, covariance = moments_with_memory(truth.exact(), solver, levels)
        variances, directions = torch.linalg.eigh(truth.covariance)
        wide = variances.sqrt() > 0.5 * variances.max().sqrt()
        spread = (directions.T @ covariance @ directions).diag().sqrt() / variances.sqrt()
        assert spread[wide].mean().item() == pytest.approx(std_ratio, abs=0.001)
        bias = (mean - truth.mean).square().mean().sqrt() / truth.covariance.diag().max().sqrt()
        assert bias < 0.03
        misfit = truth.matrix @ mean - truth.observation
        fit = misfit.square() + (truth.matrix @ covariance @ truth.matrix.T).diag()
        assert fit.mean().sqrt().item() == pytest.approx(NOISE_LEVEL, abs=0.017)


@pytest.mark.parametrize("name", MATRICES)
def test_samples_have_the_mean_and_spread_that_the_exact_moments_promise(name):
    """500 samples with the counter-based noise: mean and variance within 3 to 4 standard errors."""
    truth = bed(name)
    levels, solver = karras(50, 0.01, 10), first_order("ancestral")

    def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
        return torch.from_numpy(
            np.stack([normal(11, sample, step, draw, start, stop) for sample in range(SAMPLES)])
        ).double()

    samples = walked(truth.exact(), solver, levels, noise)
    mean, covariance = moments_with_noise(truth.exact(), solver, levels)
    deviations = (samples.mean(0) - mean) / (covariance.diag() / SAMPLES).sqrt()
    assert deviations.abs().max() < 4
    bias = (samples.mean(0) - truth.mean).square().mean() / truth.covariance.diag().max()
    assert bias.sqrt() < 3 / math.sqrt(SAMPLES)
    chi_square = torch.linalg.solve(covariance, (samples - mean).T).T.mul(samples - mean).sum(-1)
    assert chi_square.mean().item() == pytest.approx(N, abs=3 * math.sqrt(2 * N / SAMPLES))


def test_exact_likelihood_is_the_gradient_of_the_likelihood_of_the_state():
    """x_0 + s^2 grad log p(y | x_t), the gradient taken by autograd."""
    truth, t = bed("low-pass"), 0.8
    x = torch.randn(N, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    spread = truth.matrix @ (t**2 * shrink(t)) @ truth.matrix.T + NOISE_LEVEL**2 * torch.eye(17).double()
    law = torch.distributions.MultivariateNormal(x @ shrink(t) @ truth.matrix.T, spread)
    (gradient,) = torch.autograd.grad(law.log_prob(truth.observation), x)
    expected = (x @ shrink(t) + t**2 * gradient).detach()
    torch.testing.assert_close(truth.exact()(x.detach(), t, 0.0).clean, expected)


def plain(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    return Estimate(t * x + s, noise=torch.full_like(x, 5.0), carry=(carry, "seen"))


def test_projection_replaces_the_estimate_and_leaves_the_noise_to_it():
    guided = projected(plain, lambda x, y: torch.where(y > 0, y, x), torch.tensor([0.0, 8.0]))
    estimate = guided(torch.tensor([1.0, 2.0]), 3.0, 0.5, "carried")
    assert estimate.clean.tolist() == [3.5, 8.0]
    assert estimate.noise is None
    assert estimate.carry == ("carried", "seen")


def test_projection_keeps_the_noise_of_the_unprojected_estimate_when_asked():
    def bare(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(t * x + s)

    x = torch.tensor([1.0, 2.0])
    guided = projected(bare, lambda x, y: y, torch.tensor([0.0, 8.0]), keep_noise=EDM())
    estimate = guided(x, 3.0, 0.5)
    assert estimate.clean.tolist() == [0.0, 8.0]
    torch.testing.assert_close(estimate.noise, (x - torch.tensor([3.5, 6.5])) / 3)
    assert projected(plain, lambda x, y: y, x, keep_noise=EDM())(x, 3.0, 0.5).noise.tolist() == [5.0, 5.0]


def test_exact_guidance_leaves_the_noise_to_the_estimate_and_hands_the_carry_on():
    matrix, unsure = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    guided = conditioned(plain, matrix, torch.tensor([5.5]), 1.0, lambda t: t * unsure)
    estimate = guided(torch.tensor([1.0, 2.0]), 3.0, 0.5, "carried")
    torch.testing.assert_close(estimate.clean, torch.tensor([3.5 + 3 / 4 * 2, 6.5]))  # gain V / (V + 1)
    assert estimate.noise is None
    assert estimate.carry == ("carried", "seen")


def test_replacement_adds_what_the_operator_misses():
    guided = replaced(plain, lambda x: 0.25 * x, torch.tensor([10.0, 20.0]))
    estimate = guided(torch.tensor([1.0, 2.0]), 3.0, 0.5, "carried")
    assert estimate.clean.tolist() == [10 + 0.75 * 3.5, 20 + 0.75 * 6.5]
    assert estimate.noise is None
    assert estimate.carry == ("carried", "seen")


def test_replacement_is_the_projection_where_the_operator_is_one():
    generator = torch.Generator().manual_seed(0)
    x, clean = torch.randn(2, 32, generator=generator)
    mask = (torch.arange(32) % 3 > 0).float()
    by_replacement = replaced(plain, lambda x: mask * x, mask * clean)(x, 0.7, 0.2)
    by_projection = projected(plain, lambda x, y: torch.where(mask > 0, y, x), mask * clean)(x, 0.7, 0.2)
    torch.testing.assert_close(by_replacement.clean, by_projection.clean)
