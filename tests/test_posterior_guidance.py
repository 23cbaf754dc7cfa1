"""Truths of guidance that bends an estimate by gradients, pseudo-inverses and proximal steps."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, implied_noise
from audiomend.denoisers.windowed import Windows
from audiomend.errors import UsageError
from audiomend.guidance.dps import dps
from audiomend.guidance.null_space import ddnm_plus
from audiomend.guidance.projection import projected
from audiomend.guidance.proximal import proximal
from audiomend.guidance.pseudo_inverse import noisy, pigdm, pigdm_without_gradient, pseudo_inverse
from audiomend.guidance.reconstruction import reconstruction, reconstruction_as_printed, spectral
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Between, Constant, PowerLaw
from audiomend.guidance.vocal_restoration import pigdm_dc, rg, rg_dc
from audiomend.operators.compose import ComposeLinear
from audiomend.operators.convolution import Convolution
from audiomend.operators.decimate import Decimate
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.iir import biquad_low_pass, chebyshev_low_pass
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.operators.mixture import Mixture
from audiomend.operators.quantize import Quantize
from audiomend.operators.resample import Resample
from audiomend.operators.time_frequency_mask import TimeFrequencyMask
from audiomend.processes.base import Coefficients
from audiomend.processes.edm import EDM
from audiomend.samplers.base import Walk, seeded, silence
from audiomend.samplers.trajectory import trajectory
from audiomend.schedules import karras
from audiomend.solvers.base import State
from audiomend.solvers.first_order import first_order

N = 24
MASK = Mask(torch.arange(N) % 3 > 0)
FIR = Convolution(torch.tensor([0.2, 0.5, 0.4], dtype=torch.float64), delay=1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Y = noise(2, N, seed=1), noise(2, N, seed=2)
MIX = noise(N, N, seed=3) / math.sqrt(N)


@dataclass(frozen=True)
class Shrinking:
    """A process whose every coefficient counts: a = 1 - t / 4, b = t / 5, s = t."""

    anchor: Tensor

    def coefficients(self, t: float) -> Coefficients:
        return Coefficients(1 - t / 4, t / 5, t)

    def derivatives(self, t: float) -> Coefficients:
        return Coefficients(-1 / 4, 1 / 5, 1.0)


PROCESS = Shrinking(noise(2, N, seed=4))
T, S = 0.8, 0.4
A_T, A_S = 0.8, 0.9
SIGMA = 1.0  # T / A_T


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """Not linear, and each sample of x_0 depends on every sample of its own row of x."""
    return Estimate(torch.tanh(x @ MIX.to(x) + t), carry=(carry, s))


CLEAN = denoise(X, T, S).clean


def jacobian(row: int) -> Tensor:
    """dx_0/dx of one row, (N, N), by one backward pass an output."""
    return torch.autograd.functional.jacobian(lambda x: denoise(x, T, S).clean, X[row])


def gradient(loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Of a loss of x_0, with respect to x / a."""
    rows = []
    for row in range(len(X)):
        outer = torch.autograd.functional.jacobian(lambda clean, row=row: loss(clean, row), CLEAN[row])
        rows.append(A_T * outer @ jacobian(row))
    return torch.stack(rows)


def test_reconstruction_guidance_as_coded():
    seen = []

    def scale(sigma: float) -> float:
        seen.append(sigma)
        return 0.3

    estimate = reconstruction(denoise, PROCESS, FIR.forward, Y, scale)(X, T, S, "carried")
    g = gradient(lambda clean, row: (Y[row] - FIR.forward(clean)).norm())
    step = SIGMA**2 * 0.3 * g / (SIGMA * g.norm(dim=-1, keepdim=True) / math.sqrt(N) + 1e-6)
    torch.testing.assert_close(estimate.clean, CLEAN - step, rtol=0, atol=1e-12)
    moved = (estimate.clean - CLEAN).square().mean(-1).sqrt()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.3 * SIGMA), rtol=1e-4, atol=0)
    assert estimate.noise is None
    assert estimate.carry == ("carried", S)
    assert seen == pytest.approx([SIGMA])


def test_reconstruction_guidance_moves_less_than_a_share_of_sigma_where_the_floor_counts():
    """An RMS of xi' sigma r / (r + 1e-6), r = sigma ‖g‖ / √N: here ‖g‖ = 1/100, as the residual's is 1."""
    sigma = 1e-3
    r = sigma * 0.01 / math.sqrt(N)  # 2e-6
    guided = reconstruction(
        lambda x, t, s, carry=None: Estimate(x / 100), EDM(), MASK.forward, MASK.forward(Y), Constant(0.3)
    )
    moved = (guided(X, sigma, 0.0).clean - X / 100).square().mean(-1).sqrt()
    assert moved.tolist() == pytest.approx([0.3 * sigma * r / (r + 1e-6)] * 2, rel=1e-9)


def test_the_gradient_is_cut_after_its_norm_was_taken():
    limit = 0.02
    estimate = reconstruction(denoise, PROCESS, FIR.forward, Y, Constant(0.3), limit)(X, T, S)
    g = gradient(lambda clean, row: (Y[row] - FIR.forward(clean)).norm())
    assert (g.abs() > limit).any(-1).all()
    step = SIGMA * 0.3 * math.sqrt(N) * g.clamp(-limit, limit) / g.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(estimate.clean, CLEAN - step, rtol=0, atol=1e-5)


def test_reconstruction_guidance_as_printed():
    estimate = reconstruction_as_printed(denoise, PROCESS, FIR.forward, Y, Constant(0.3))(X, T, S, "carried")
    g = gradient(lambda clean, row: (Y[row] - FIR.forward(clean)).square().sum())
    step = SIGMA**2 * 0.3 * math.sqrt(N) / (SIGMA * g.square().sum(-1, keepdim=True)) * g
    torch.testing.assert_close(estimate.clean, CLEAN - step, rtol=0, atol=1e-12)
    assert estimate.noise is None
    assert estimate.carry == ("carried", S)


def test_reconstruction_guidance_as_printed_grows_as_sigma():
    """Of x / 2 with all known the gradient is x_0 - y: the step is sigma xi' √N g / ‖g‖²."""
    everything = Mask(torch.ones(N, dtype=torch.bool))
    guided = reconstruction_as_printed(
        lambda x, t, s, carry=None: Estimate(x / 2), EDM(), everything.forward, Y, Constant(0.3)
    )
    g = X / 2 - Y
    step = 0.25 * 0.3 * math.sqrt(N) * g / g.square().sum(-1, keepdim=True)
    torch.testing.assert_close(guided(X, 0.25, 0.1).clean, X / 2 - step)


def test_the_two_readings_agree_in_direction_and_differ_in_length():
    coded = reconstruction(denoise, PROCESS, FIR.forward, Y, Constant(0.3))(X, T, S).clean - CLEAN
    printed = (
        reconstruction_as_printed(denoise, PROCESS, FIR.forward, Y, Constant(0.3))(X, T, S).clean - CLEAN
    )
    assert torch.nn.functional.cosine_similarity(coded, printed).tolist() == pytest.approx([1, 1])
    half = FIR.forward(CLEAN) + (Y - FIR.forward(CLEAN)) / 2  # an observation that is half as far away
    for make, factor in ((reconstruction, 1), (reconstruction_as_printed, 2)):
        far, near = (make(denoise, PROCESS, FIR.forward, y, Constant(0.3))(X, T, S).clean for y in (Y, half))
        ratio = (near - CLEAN).norm() / (far - CLEAN).norm()
        assert ratio.item() == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("make", [reconstruction, reconstruction_as_printed, dps])
def test_where_everything_fits_nothing_moves(make):
    estimate = make(denoise, PROCESS, FIR.forward, FIR.forward(CLEAN), Constant(0.3))(X, T, S)
    torch.testing.assert_close(estimate.clean, CLEAN, rtol=0, atol=1e-15)


def test_dps_takes_its_step_after_the_solvers():
    """x_s = step(x_t) - zeta grad_x ‖y - A(x_0)‖ for any solver of first order."""
    draw = noise(2, N, seed=5)
    for freshness in (0.0, 0.5):
        (stage,) = first_order(freshness)(PROCESS, [T, S])
        guided = dps(denoise, PROCESS, FIR.forward, Y, lambda sigma: 0.7 * sigma)
        bent, plain = (
            stage.leave(State(X), estimate, lambda number: draw).x
            for estimate in (guided(X, T, S, "carried"), denoise(X, T, S))
        )
        g = gradient(lambda clean, row: (Y[row] - FIR.forward(clean)).norm()) / A_T
        torch.testing.assert_close(bent, plain - 0.7 * SIGMA * g, rtol=0, atol=1e-12)
    assert guided(X, T, S, "carried").carry == ("carried", S)


def test_spectral_norm_is_the_largest_singular_value():
    residual = noise(2, 5, 3)
    expected = [torch.linalg.svdvals(matrix)[0].item() for matrix in residual]
    assert spectral(residual).tolist() == pytest.approx(expected)


def largest(residual: Tensor) -> Tensor:
    return residual.abs().amax(-1)


def test_the_norm_of_the_residual_can_be_another():
    for make, power in ((reconstruction, 1), (reconstruction_as_printed, 2), (dps, 1)):
        moved = make(denoise, PROCESS, FIR.forward, Y, Constant(0.3), norm=largest)(X, T, S).clean - CLEAN
        g = gradient(lambda clean, row, power=power: largest(Y[row] - FIR.forward(clean)) ** power)
        assert torch.nn.functional.cosine_similarity(moved, -g).tolist() == pytest.approx([1, 1])


# --- Pseudo-inverses ----------------------------------------------------------------------------------


def test_pigdm_pulls_the_correction_back_through_the_denoiser():
    """The step of first order becomes x_s + a_t Jᵀ correction, with the noise of the unguided estimate."""
    seen = []

    def correction(clean: Tensor, sigma: float) -> Tensor:
        seen.append(sigma)
        return clean**2 - Y

    estimate = pigdm(denoise, PROCESS, correction)(X, T, S, "carried")
    (stage,) = first_order()(PROCESS, [T, S])
    bent, plain = (stage.leave(State(X), e, lambda n: X).x for e in (estimate, denoise(X, T, S)))
    c = CLEAN**2 - Y
    added = A_T * torch.stack([c[row] @ jacobian(row) for row in range(2)])
    torch.testing.assert_close(bent, plain + added, rtol=0, atol=1e-12)
    torch.testing.assert_close(estimate.clean, CLEAN + added / A_S, rtol=0, atol=1e-12)
    torch.testing.assert_close(estimate.noise, implied_noise(PROCESS, X, T, CLEAN))
    assert estimate.carry == ("carried", S)
    assert seen == pytest.approx([SIGMA])


def test_pigdm_without_gradient_adds_the_correction_itself():
    estimate = pigdm_without_gradient(denoise, PROCESS, lambda clean, sigma: sigma * clean)(
        X, T, S, "carried"
    )
    torch.testing.assert_close(estimate.clean, CLEAN * (1 + SIGMA))
    torch.testing.assert_close(estimate.noise, implied_noise(PROCESS, X, T, CLEAN))
    assert estimate.carry == ("carried", S)


def test_pigdm_without_gradient_is_ddnm_for_a_projector():
    correction = pseudo_inverse(MASK.forward, MASK.pinv, MASK.forward(Y))
    one = pigdm_without_gradient(denoise, PROCESS, correction)(X, T, S)
    other = projected(denoise, MASK.project, MASK.forward(Y), keep_noise=PROCESS)(X, T, S)
    torch.testing.assert_close(one.clean, other.clean)
    torch.testing.assert_close(one.noise, other.noise)


LINEAR = {
    "mask": MASK,
    "decimate": Decimate(3, N),
    "mixture": Mixture((1.0, 0.5)),
    "room": FIR,
    "low-pass": LowPass(1000, 8000),
    "Chebyshev": chebyshev_low_pass(1000, 8000),
    "biquad": biquad_low_pass(1000, 8000),
    "resample": Resample(2, 1, N),
    "time-frequency": TimeFrequencyMask(torch.rand(8, 9, generator=torch.Generator().manual_seed(1)), 16),
    "one after another": ComposeLinear((FIR, Decimate(2, N))),
}


def identity(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    return Estimate(x)


@pytest.mark.parametrize("guide", [pigdm, pigdm_without_gradient])
@pytest.mark.parametrize("operator", LINEAR.values(), ids=LINEAR)
def test_with_any_pseudo_inverse_the_estimate_comes_to_fit(operator, guide):
    """With J = I: A of the estimate is y, or as near to it as the regularisation lets it come."""
    truth = noise(2, N, seed=6)
    y = operator.forward(truth)
    correction = pseudo_inverse(operator.forward, operator.pinv, y)
    estimate = guide(identity, EDM(), correction)(X, T, S)
    misfit = (operator.forward(estimate.clean) - y).norm()
    assert misfit <= math.sqrt(getattr(operator, "epsilon", 1e-24)) / 2 * (truth - X).norm() * (1 + 1e-6)


def test_pseudo_inverse_guidance_cannot_push_a_clipped_sample_beyond_its_level():
    clip, x = HardClip(-0.5, 0.5), torch.tensor([[0.3, 0.9, 0.1]], dtype=torch.float64)
    y = torch.tensor([[0.5, 0.5, -0.2]], dtype=torch.float64)
    guided = pigdm_without_gradient(identity, EDM(), pseudo_inverse(clip.forward, clip.pinv, y))
    assert guided(x, T, S).clean[0].tolist() == pytest.approx([0.5, 0.9, -0.2])
    grid = Quantize(0.5)
    guided = pigdm_without_gradient(identity, EDM(), pseudo_inverse(grid.forward, grid.pinv, y))
    assert guided(x, T, S).clean[0].tolist() == pytest.approx([0.3, 0.4, -0.1])


@pytest.mark.parametrize("operator", LINEAR.values(), ids=LINEAR)
def test_noisy_correction_by_dense_algebra(operator):
    """Aᵀ (A Aᵀ + (sigma_y² / r²) I)⁻¹ (y - A x_0), r² = sigma² sd² / (sigma² + sd²)."""
    units = torch.eye(2 * N, dtype=torch.float64).reshape(-1, 2, N)
    a = operator.forward(units).flatten(1).T
    y = noise(*operator.forward(X).shape, seed=7)
    sigma, sd, level = 0.6, 0.3, 0.05
    ratio = level**2 * (1 / sigma**2 + 1 / sd**2)
    residual = (y - operator.forward(X)).flatten()
    expected = a.T @ torch.linalg.solve(a @ a.T + ratio * torch.eye(len(a)).double(), residual)
    found = noisy(operator, y, level, sd)(X, sigma)
    torch.testing.assert_close(found.flatten(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("level", "share"), [(0.0, 1), (0.3, 1), (0.42, 1), (0.5, S / (A_S * 0.5)), (2.0, S / (A_S * 2))]
)
def test_ddnm_plus_takes_as_much_as_the_noise_allows(level, share):
    estimate = ddnm_plus(denoise, PROCESS, FIR, Y, level)(X, T, S, "carried")
    expected = CLEAN + share * FIR.pinv(Y - FIR.forward(CLEAN))
    torch.testing.assert_close(estimate.clean, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(estimate.noise, implied_noise(PROCESS, X, T, CLEAN))
    assert estimate.carry == ("carried", S)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_ddnm_plus_at_the_end_of_a_walk(level):
    """At s = 0 a noisy observation is left alone, a clean one holds to the end."""
    estimate = ddnm_plus(denoise, EDM(), MASK, MASK.forward(Y), level)(X, T, 0.0)
    clean = CLEAN if level else MASK.project(CLEAN, Y)
    torch.testing.assert_close(estimate.clean, clean)


# --- Proximal -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", LINEAR.values(), ids=LINEAR)
def test_proximal_step_minimises_its_objective(operator):
    y = noise(*operator.forward(X).shape, seed=7)
    estimate = proximal(denoise, PROCESS, operator, y, noise_level=0.3, weight=8)(X, T, S, "carried")
    rho = 8 * 0.3**2 / SIGMA**2
    slope = operator.adjoint(operator.forward(estimate.clean) - y) + rho * (estimate.clean - CLEAN)
    assert slope.norm() < 1e-8
    assert estimate.noise is None
    assert estimate.carry == ("carried", S)
    kept = proximal(lambda *state: replace(denoise(*state), noise=X), PROCESS, operator, y, noise_level=0.3)
    assert kept(X, T, S).noise is None
    at_half = proximal(identity, EDM(), operator, y, noise_level=0.3)(X, 0.5, S).clean
    slope = operator.adjoint(operator.forward(at_half) - y) + 0.3**2 / 0.5**2 * (at_half - X)
    assert slope.norm() < 1e-8


@pytest.mark.parametrize(("level", "weight"), [(0.0, 1.0), (-1.0, 1.0), (0.1, 0.0), (math.nan, 1.0)])
def test_an_impossible_compromise_is_refused(level, weight):
    with pytest.raises(UsageError, match=r"noise_level is .*, weight .*; both must be above 0"):
        proximal(denoise, EDM(), MASK, Y, level, weight)


# --- What holds for each ------------------------------------------------------------------------------

GUIDANCE: dict[str, Callable[[Denoiser, Tensor], Denoiser]] = {
    "reconstruction": lambda d, y: reconstruction(d, EDM(), MASK.forward, y, Constant(0.2)),
    "reconstruction, cut": lambda d, y: reconstruction(d, EDM(), MASK.forward, y, Constant(0.2), 0.01),
    "as printed": lambda d, y: reconstruction_as_printed(d, EDM(), MASK.forward, y, Constant(0.2)),
    "DPS": lambda d, y: dps(d, EDM(), MASK.forward, y, Constant(0.2)),
    "PIGDM": lambda d, y: pigdm(d, EDM(), pseudo_inverse(MASK.forward, MASK.pinv, y)),
    "PIGDM, noisy": lambda d, y: pigdm(d, EDM(), noisy(MASK, y, 0.1, 0.3)),
    "PIGDM without gradient": lambda d, y: pigdm_without_gradient(d, EDM(), noisy(MASK, y, 0.1, 0.3)),
    "DDNM+": lambda d, y: ddnm_plus(d, EDM(), MASK, y, 0.1),
    "proximal": lambda d, y: proximal(d, EDM(), MASK, y, 0.1),
    "row RG": lambda d, y: rg(d, EDM(), MASK, y, Constant(0.2)),
    "row RG + DC": lambda d, y: rg_dc(d, EDM(), MASK, y, PowerLaw(0.2, 1.0, -0.5)),
    "row PIGDM + DC": lambda d, y: pigdm_dc(d, EDM(), MASK, y),
}


@pytest.mark.parametrize("guide", GUIDANCE.values(), ids=GUIDANCE)
def test_a_window_does_not_know_of_the_others(guide):
    together = guide(denoise, MASK.forward(Y))(torch.stack((X[0], 1000 * X[1])), T, S)
    alone = guide(denoise, MASK.forward(Y[:1]))(X[:1], T, S)
    torch.testing.assert_close(together.clean[:1], alone.clean, rtol=0, atol=1e-12)
    if alone.noise is not None:
        torch.testing.assert_close(together.noise[:1], alone.noise, rtol=0, atol=1e-12)


@pytest.mark.parametrize("guide", GUIDANCE.values(), ids=GUIDANCE)
def test_no_graph_is_left_whatever_the_mode_and_the_state_stays_as_it_is(guide):
    plain = guide(denoise, MASK.forward(Y))(X, T, S)
    assert not plain.clean.requires_grad
    with torch.inference_mode():
        inside = guide(denoise, MASK.forward(Y))(X.clone(), T, S)
    with torch.no_grad():
        without = guide(denoise, MASK.forward(Y))(X, T, S)
    torch.testing.assert_close(inside.clean, plain.clean, rtol=0, atol=0)
    torch.testing.assert_close(without.clean, plain.clean, rtol=0, atol=0)
    assert torch.equal(X, noise(2, N, seed=1))
    assert not X.requires_grad


@pytest.mark.parametrize("guide", GUIDANCE.values(), ids=GUIDANCE)
def test_silence_is_no_division_by_zero(guide):
    silent = torch.zeros(2, N, dtype=torch.float64)
    estimate = guide(lambda x, t, s, carry=None: Estimate(x / 2), silent)(silent, T, S)
    assert torch.equal(estimate.clean, silent)


@dataclass(frozen=True)
class Gap:
    """Two channels with a gap, guided inside each window."""

    guide: Callable[[Denoiser, Tensor], Denoiser]
    channels: int = 2

    def idle(self, start: int, stop: int) -> Tensor | None:
        return None

    def observation(self, start: int, stop: int) -> Tensor:
        return MASK.forward(noise(2, N, seed=start % 97).float())

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        return self.guide(denoise, torch.cat([self.observation(start, start + length) for start in starts]))


@pytest.mark.parametrize("guide", GUIDANCE.values(), ids=GUIDANCE)
def test_how_many_windows_are_denoised_at_once_changes_nothing(guide):
    walks = [
        Walk(EDM(), karras(3, 0.05, 1), first_order(0.3), seeded(1), Windows(N, 18), batch)
        for batch in (1, 3)
    ]
    one, three = (list(trajectory(Gap(guide), walk, silence(2), 80))[-1].state.x for walk in walks)
    torch.testing.assert_close(one, three, rtol=0, atol=1e-5)


def test_rows_of_the_vocal_paper_are_replacement_after_guidance():
    clip = HardClip(-0.4, 0.4)
    y, scale = clip.forward(Y), Between(PowerLaw(0.2, 0.5, -1.0), 0.1, 2.0)
    more = 0.05, lambda residual: residual.abs().sum(-1)  # limit and norm
    guided = reconstruction(denoise, EDM(), clip.forward, y, scale, *more)
    assert not torch.equal(guided(X, T, S).clean, rg(denoise, EDM(), clip, y, scale)(X, T, S).clean)
    inverse = pigdm(denoise, EDM(), pseudo_inverse(clip.forward, clip.pinv, y))
    for row, by_hand in (
        (rg(denoise, EDM(), clip, y, scale, *more), guided),
        (rg_dc(denoise, EDM(), clip, y, scale, *more), replaced(guided, clip.forward, y)),
        (pigdm_dc(denoise, EDM(), clip, y), replaced(inverse, clip.forward, y)),
    ):
        torch.testing.assert_close(row(X, T, S).clean, by_hand(X, T, S).clean, rtol=0, atol=0)
        assert row(X, T, S).noise is None


@pytest.mark.parametrize("row", [rg, rg_dc])
def test_rows_of_the_vocal_paper_cut_no_gradient_unless_told(row):
    """Some are above 1, so that a limit of 1 would be felt."""

    def steep(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(50 * x @ MIX)

    free, told, cut = (
        row(steep, EDM(), MASK, MASK.forward(Y), Constant(0.2), *limit)(X, T, S).clean
        for limit in ((), (math.inf,), (1.0,))
    )
    assert torch.equal(free, told)
    assert not torch.equal(free, cut)


def test_scales_by_their_formulas():
    assert [Constant(0.2)(sigma) for sigma in (0.1, 1.0)] == [0.2, 0.2]
    law = PowerLaw(0.3, 2.0, -0.5)
    assert [law(2.0), law(0.5), law(8.0)] == pytest.approx([0.3, 0.6, 0.15])
    inside = Between(law, 0.5, 2.0)
    assert [inside(sigma) for sigma in (0.49, 0.5, 2.0, 2.01)] == pytest.approx([0, 0.6, 0.3, 0])
    assert law == PowerLaw(0.3, 2.0, -0.5)
