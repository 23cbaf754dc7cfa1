"""Guidance and samplers on a Gaussian, where the posterior is known: its moments, the published test bed.

The prior is circulant with spectrum 1 / (1 + (k / 4)^2), 64 samples, unit variance; the operators are a
low-pass (the 17 lowest Fourier dimensions) and a gap of 16 samples; the observation has noise of 0.05.
Denoisers here are affine, so mean and covariance of what a sampler returns are found exactly, by pushing the
unit vectors of every noise through it.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.guidance.gaussian import conditioned
from audiomend.guidance.null_space import ddnm_plus
from audiomend.guidance.projection import projected
from audiomend.guidance.proximal import proximal
from audiomend.guidance.pseudo_inverse import noisy, pigdm
from audiomend.guidance.reconstruction import reconstruction
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Constant
from audiomend.noise import normal
from audiomend.processes.edm import EDM
from audiomend.samplers.base import Reached
from audiomend.samplers.daps import daps
from audiomend.samplers.particles import twisted
from audiomend.samplers.red_diff import red_diff
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers.base import Solver, Stage, State
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


@lru_cache(maxsize=1024)
def shrink(t: float) -> Tensor:
    return PRIOR @ torch.linalg.inv(PRIOR + t**2 * EYE)


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    return Estimate(x @ shrink(t))


@dataclass(frozen=True)
class Rows:
    """A matrix with orthonormal rows, so that A^+ = A^T."""

    matrix: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T

    def adjoint(self, y: Tensor) -> Tensor:
        return y @ self.matrix

    def pinv(self, y: Tensor) -> Tensor:
        return y @ self.matrix

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        return x + self.pinv(observation - self.forward(x))


@dataclass(frozen=True)
class Bed:
    matrix: Tensor
    observation: Tensor
    mean: Tensor
    covariance: Tensor

    def exact(self) -> Denoiser:
        return conditioned(denoise, self.matrix, self.observation, NOISE_LEVEL, lambda t: t**2 * shrink(t))

    def ddnm(self) -> Denoiser:
        return projected(denoise, self.operator.project, self.observation, keep_noise=EDM())

    def ddnm_plus(self) -> Denoiser:
        return ddnm_plus(denoise, EDM(), self.operator, self.observation, NOISE_LEVEL)

    def pigdm(self) -> Denoiser:
        return pigdm(denoise, EDM(), noisy(self.operator, self.observation, NOISE_LEVEL, sigma_data=1.0))

    def diffpir(self, weight: float = 1.0) -> Denoiser:
        return proximal(denoise, EDM(), self.operator, self.observation, NOISE_LEVEL, weight)

    def diffpir_8(self) -> Denoiser:
        return self.diffpir(8.0)

    def normalised_dps(self, zeta: float) -> Denoiser:
        """The table's name for what CQT-Diff calls reconstruction guidance."""
        return reconstruction(denoise, EDM(), self.operator.forward, self.observation, Constant(zeta))

    @property
    def operator(self) -> "Rows":
        return Rows(self.matrix)


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


@dataclass(frozen=True)
class Quality:
    """Columns of the published table.

    bias: RMS error of the mean over the largest standard deviation of the posterior.
    spread: ratio of standard deviations in the directions where the posterior is wide.
    residual: RMS of A x - y.
    error: standard error of the spread over 500 samples.
    """

    bias: float
    spread: float
    residual: float
    error: float


def quality(truth: Bed, mean: Tensor, covariance: Tensor) -> Quality:
    variances, directions = torch.linalg.eigh(truth.covariance)
    wide = variances.sqrt() > 0.5 * variances.max().sqrt()
    spread = (directions.T @ covariance @ directions).diag().sqrt() / variances.sqrt()
    misfit = truth.matrix @ mean - truth.observation
    spread_of_fit = (truth.matrix @ covariance @ truth.matrix.T).diag()
    return Quality(
        bias=((mean - truth.mean).square().mean() / truth.covariance.diag().max()).sqrt().item(),
        spread=spread[wide].mean().item(),
        residual=(misfit.square() + spread_of_fit).mean().clamp_min(0).sqrt().item(),
        error=1 / math.sqrt(2 * SAMPLES * int(wide.sum())),
    )


@pytest.mark.parametrize(
    ("guidance", "freshness", "steps", "name", "table", "exact"),
    [
        (Bed.exact, 0.0, 50, "low-pass", (0.044, 0.955, 0.048), (0.00695, 0.96491, 0.047449)),
        (Bed.exact, 0.0, 50, "gap", (0.022, 0.962, 0.047), (0.02007, 0.95899, 0.047450)),
        (Bed.exact, "ancestral", 50, "low-pass", (0.042, 0.936, 0.044), (0.00004, 0.93306, 0.044666)),
        (Bed.exact, "ancestral", 50, "gap", (0.020, 0.950, 0.045), (0.00323, 0.93982, 0.044789)),
        (Bed.exact, 1.0, 50, "low-pass", (0.030, 0.672, 0.033), (0.00000, 0.68072, 0.033333)),
        (Bed.exact, 1.0, 50, "gap", (0.017, 0.662, 0.033), (0.00000, 0.68339, 0.033618)),
        (Bed.pigdm, 0.2, 100, "low-pass", (0.029, 0.970, 0.007), (0.00189, 0.97784, 0.006826)),
        (Bed.pigdm, 0.2, 100, "gap", (0.029, 0.939, 0.007), (0.05318, 0.95854, 0.006849)),
        (Bed.pigdm, 1.0, 100, "low-pass", (0.023, 0.692, 0.034), (0.00000, 0.69307, 0.034140)),
        (Bed.pigdm, 1.0, 100, "gap", (0.038, 0.698, 0.034), (0.01041, 0.69779, 0.034419)),
        (Bed.ddnm_plus, 0.85, 100, "low-pass", (0.049, 0.855, 0.016), (0.00153, 0.85707, 0.015754)),
        (Bed.ddnm_plus, 0.85, 100, "gap", (0.054, 0.854, 0.016), (0.01467, 0.86763, 0.015755)),
        (Bed.ddnm_plus, 0.0, 50, "low-pass", (0.038, 0.955, 0.0001), (0.00188, 0.96491, 0.000136)),
        (Bed.ddnm_plus, 0.0, 50, "gap", (0.090, 0.947, 0.0004), (0.03320, 0.97377, 0.000498)),
        (Bed.ddnm, 0.85, 100, "gap", (0.054, 0.854, 0.0), (0.01485, 0.86763, 0.000000)),
        (Bed.ddnm, 0.0, 50, "low-pass", (0.038, 0.955, 0.0), (0.00173, 0.96491, 0.000000)),
        (Bed.diffpir, 1.0, 50, "low-pass", (0.035, 0.682, 0.033), (0.00000, 0.68072, 0.033327)),
        (Bed.diffpir, 1.0, 50, "gap", (0.086, 0.690, 0.033), (0.02493, 0.69518, 0.033567)),
        (Bed.diffpir_8, 1.0, 50, "low-pass", (0.032, 0.686, 0.097), (0.01191, 0.68072, 0.095686)),
        (Bed.diffpir_8, 1.0, 50, "gap", (0.093, 0.688, 0.096), (0.03867, 0.69577, 0.099381)),
        (Bed.diffpir, 0.3**0.5, 50, "low-pass", (0.035, 0.921, 0.045), (0.00001, 0.92504, 0.044852)),
        (Bed.diffpir, 0.3**0.5, 50, "gap", (0.140, 0.944, 0.045), (0.06458, 0.96364, 0.044721)),
    ],
)
def test_rows_of_the_published_test_bed(guidance, freshness, steps, name, table, exact):
    """Bias and spread within 3 standard errors of the table's 500 samples, the residual as it is rounded.

    The table's bias holds the error of a mean of 500 samples, 0.045; ours is exact, for another observation,
    and so is pinned as well: 0.045 hides a guidance that is a tenth too strong.
    Plain DDNM, which has no row, differs from DDNM+ in nothing but its residual, which is 0.
    """
    truth = bed(name)
    found = quality(
        truth, *moments_with_noise(guidance(truth), first_order(freshness), karras(steps, 0.01, 10))
    )
    bias, spread, residual = table
    assert found.spread == pytest.approx(spread, abs=3 * found.error)
    assert found.bias == pytest.approx(bias, abs=3 * 0.045)
    assert found.residual == pytest.approx(residual, rel=0.04, abs=0.0006 if residual else 1e-6)
    assert (found.bias, found.spread, found.residual) == pytest.approx(exact, rel=0, abs=1e-5)


def euler_with_churn(gamma: float) -> Solver:
    """First order, each step from a noise level raised by the factor 1 + gamma."""

    def solver(process: EDM, levels: list[float]) -> list[Stage]:
        return [
            dataclasses.replace(
                first_order()(process, [t * (1 + gamma), s])[0],
                step=step,
                enter=lambda state, draw, t=t: State(state.x + t * math.sqrt((1 + gamma) ** 2 - 1) * draw(1)),
            )
            for step, (t, s) in enumerate(pairwise(levels))
        ]

    return solver


@pytest.mark.parametrize(
    ("zeta", "gamma", "steps", "name", "table", "ours"),
    [
        (1.0, 0.0, 50, "low-pass", (0.038, 0.962, 0.017), (0.04374, 0.97173, 0.017116)),
        (1.0, 0.0, 50, "gap", (0.186, 0.902, 0.010), (0.12250, 0.92571, 0.009895)),
        (3.0, 0.0, 50, "low-pass", (0.036, 0.960, 0.053), (0.04413, 0.97173, 0.055246)),
        (3.0, 0.0, 50, "gap", (None, 0.895, 0.032), (0.10374, 0.91883, 0.031284)),
        (1.0, 0.25, 50, "low-pass", (0.036, 0.915, 0.017), (0.03230, 0.90561, 0.016574)),
        (1.0, 0.25, 50, "gap", (0.061, 0.922, 0.006), (0.08237, 0.90193, 0.005821)),
        (1.0, 0.0, 200, "low-pass", (0.044, 0.975, 0.019), (0.04488, 0.99638, 0.018834)),
        (1.0, 0.0, 200, "gap", (0.192, 0.947, 0.011), (0.12310, 0.94583, 0.011206)),
        (0.3, 0.0, 50, "low-pass", (0.080, 0.985, 0.224), (0.07544, 0.97173, 0.215107)),
        (0.3, 0.0, 50, "gap", (0.157, 0.978, None), (0.24929, 0.97384, 0.435169)),
    ],
)
def test_rows_of_normalised_guidance(zeta, gamma, steps, name, table, ours):
    """The same for a guidance that is not affine, by as many samples as the table's: both spreads err.

    Two cells of the table are not reproduced, both on the gap: the bias of the strongest guidance (0.316) and
    the residual that the weakest leaves (0.320). They depend on the observation, and that of the table is not
    known: in 30 others they were 0.06 to 0.57 and 0.30 to 0.54.
    """
    truth, generator = bed(name), torch.Generator().manual_seed(8)
    samples = walked(
        truth.normalised_dps(zeta),
        euler_with_churn(gamma),
        karras(steps, 0.01, 10),
        lambda *_: torch.randn(SAMPLES, N, generator=generator, dtype=torch.float64),
    )
    found = quality(truth, samples.mean(0), samples.T.cov())
    bias, spread, residual = table
    assert found.spread == pytest.approx(spread, abs=3 * math.sqrt(2) * found.error)
    if bias is not None:
        assert found.bias == pytest.approx(bias, abs=3 * 0.045)
    if residual is not None:
        assert found.residual == pytest.approx(residual, rel=0.06, abs=0.0005)
    assert (found.bias, found.spread, found.residual) == pytest.approx(ours, rel=0, abs=1e-4)


def by_daps(truth: Bed, noise: Callable[..., Tensor]) -> Iterator[Reached]:
    levels, start = karras(30, 0.01, 10), 10 * noise()
    forward = truth.operator.forward
    y = truth.observation
    return daps(denoise, EDM(), start, levels, forward, y, noise, NOISE_LEVEL, langevin_steps=50, stride=0.3)


def by_red_diff(truth: Bed, noise: Callable[..., Tensor]) -> Iterator[Reached]:
    levels, start = karras(500, 0.01, 10)[:-1], torch.zeros(SAMPLES, N).double()
    forward = truth.operator.forward
    return red_diff(denoise, EDM(), start, levels, forward, truth.observation, noise, rate=0.02)


@pytest.mark.parametrize(
    ("sampler", "evaluated", "name", "table", "ours"),
    [
        (by_daps, 150, "low-pass", (0.046, 1.113, 0.053), (0.04581, 1.12102, 0.052962)),
        (by_daps, 150, "gap", (0.104, 1.008, 0.054), (0.04313, 0.98347, 0.052543)),
        (by_red_diff, 500, "low-pass", (0.122, 0.107, 0.001), (0.10919, 0.11107, 0.000676)),
        (by_red_diff, 500, "gap", (0.106, 0.160, 0.001), (0.04604, 0.15894, 0.001245)),
    ],
)
def test_rows_of_samplers_that_are_not_walks(sampler, evaluated, name, table, ours):
    """The same for DAPS and RED-diff, whose rows do not state the Langevin step, Adam's step and its start.

    Taken: a stride of 0.3; a step of 0.02 from silence.
    """
    truth, generator = bed(name), torch.Generator().manual_seed(8)

    def noise(*_: int) -> Tensor:
        return torch.randn(SAMPLES, N, generator=generator, dtype=torch.float64)

    *_, last = sampler(truth, noise)
    found = quality(truth, last.x.mean(0), last.x.T.cov())
    assert last.evaluations == evaluated
    bias, spread, residual = table
    assert found.spread == pytest.approx(spread, abs=3 * math.sqrt(2) * found.error)
    assert found.bias == pytest.approx(bias, abs=3 * 0.045)
    assert found.residual == pytest.approx(residual, rel=0.04, abs=0.0006)
    assert (found.bias, found.spread, found.residual) == pytest.approx(ours, rel=0, abs=1e-4)


@pytest.mark.parametrize(("name", "spread"), [("low-pass", 0.85), ("gap", 0.18)])
def test_twisted_particles_fit_the_observation_and_lose_their_spread_where_guidance_is_far_off(name, spread):
    """They have no row. On the gap few of 500 lineages live on: guidance foresees too little there."""
    truth, generator = bed(name), torch.Generator().manual_seed(8)

    def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
        return torch.randn(stop - start, generator=generator, dtype=torch.float64)

    start = 10 * torch.stack([noise(0, k, 0, N) for k in range(SAMPLES)])
    forward, y = truth.operator.forward, truth.observation
    walk = twisted(denoise, EDM(), start, karras(50, 0.01, 10), forward, y, noise, NOISE_LEVEL, 1.0)
    *_, last = walk
    shares = last.log_weights.softmax(0)
    mean = shares @ last.x
    found = quality(truth, mean, (last.x - mean).T @ ((last.x - mean) * shares[:, None]))
    assert found.spread == pytest.approx(spread, abs=0.1)
    assert found.bias < 0.5
    assert found.residual == pytest.approx(NOISE_LEVEL, rel=0.06)


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
        found = quality(truth, *moments_with_memory(truth.exact(), solver, levels))
        assert found.spread == pytest.approx(std_ratio, abs=0.001)
        assert found.bias < 0.03
        assert found.residual == pytest.approx(NOISE_LEVEL, abs=0.017)


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
