"""Solvers: order of convergence, exactness where theory promises it, and the arithmetic of each step."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.errors import UsageError
from audiomend.processes.base import Coefficients, Process
from audiomend.processes.edm import EDM
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras, linear
from audiomend.solvers.base import Solver, Stage, State
from audiomend.solvers.dpm import dpm_pp_2m
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import churn_factors, heun
from audiomend.solvers.momentum import momentum
from audiomend.solvers.unipc import unipc

SPREAD = 0.5  # standard deviation of the Gaussian prior

ODE_SOLVERS = {"first": first_order(), "heun": heun(), "2m": dpm_pp_2m(), "unipc": unipc()}
EVALUATIONS_PER_STEP = {"first": 1, "heun": 2, "2m": 1, "unipc": 1}


@dataclass(frozen=True)
class Decay:
    """A process with all three coefficients: clean sound decays into the anchor."""

    anchor: Tensor

    def coefficients(self, t: float) -> Coefficients:
        return Coefficients(math.exp(-t), 1 - math.exp(-t), 0.7 * t)

    def derivatives(self, t: float) -> Coefficients:
        return Coefficients(-math.exp(-t), math.exp(-t), 0.7)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


DECAY = Decay(anchor=vector(2.0, -1.0))


def gaussian(process: Process):
    """E[x_0 | x_t] for x_0 ~ N(0, SPREAD^2)."""

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        c = process.coefficients(t)
        centre = 0 if process.anchor is None else c.b * process.anchor
        return Estimate(SPREAD**2 * c.a / variance(c) * (x - centre))

    return denoise


def variance(c: Coefficients) -> float:
    return (c.a * SPREAD) ** 2 + c.s**2


def solved(denoise, process: Process, solver: Solver, levels: list[float], x: Tensor) -> Tensor:
    *_, last = evaluations(denoise, solver(process, levels), State(x), silent)
    return last.state.x


def silent(*place: int) -> Tensor:
    return torch.zeros(())


def constant(value: Tensor):
    return lambda x, t, s, carry=None: Estimate(value)


@pytest.mark.parametrize(("name", "order"), [("first", 1), ("heun", 2), ("2m", 2), ("unipc", 3)])
@pytest.mark.parametrize(
    ("process", "levels"),
    [
        (EDM(), lambda steps: karras(steps + 1, 0.01, 10)[:-1]),
        (DECAY, lambda steps: karras(steps + 1, 0.05, 2)[:-1]),
    ],
)
def test_error_falls_with_the_order_of_the_solver(name, order, process, levels):
    """UniPC's free corrector raises the order of its second-order predictor by one."""
    x = vector(1.0, -3.0)
    errors = []
    for steps in (64, 128, 256, 512):
        times = levels(steps)
        first, last = (process.coefficients(t) for t in (times[0], times[-1]))
        anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
        exact = last.b * anchor + math.sqrt(variance(last) / variance(first)) * (x - first.b * anchor)
        result = solved(gaussian(process), process, ODE_SOLVERS[name], times, x)
        errors.append((result - exact).abs().max().item())
    assert -np.diff(np.log2(errors)).mean() == pytest.approx(order, abs=0.15)


MIXTURE = torch.tensor([[-1.0, 0.7], [0.4, 0.6]], dtype=torch.float64)  # means, weights


def mixture(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """E[x_0 | x_t] for two Gaussians of standard deviation 0.2."""
    means, weights = MIXTURE
    spread = 0.04 + t**2
    offset = x[:, None] - means
    share = torch.softmax(weights.log() - offset**2 / (2 * spread), dim=-1)
    return Estimate((share * (means + 0.04 / spread * offset)).sum(-1))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("first", [0.133, 0.105, 0.069, 0.058, 0.038, 0.015]),
        ("heun", [0.384, 0.223, 0.063, 0.035, 0.012, 0.0027]),
        ("2m", [0.094, 0.056, 0.018, 0.011, 0.0047, 0.0014]),
        ("unipc", [0.075, 0.036, 0.0087, 0.0065, 0.0028, 0.0005]),
    ],
)
def test_truncation_error_at_8_to_64_evaluations(name, published):
    """RMS distance to a fine solution, on a mixture, sigma from 20 to 0.01; within 20 %."""
    x = 20 * torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fine = solved(mixture, EDM(), unipc(), karras(2001, 0.01, 20)[:-1], x)
    for evaluated, error in zip((8, 10, 16, 20, 32, 64), published, strict=True):
        levels = karras(evaluated // EVALUATIONS_PER_STEP[name] + 1, 0.01, 20)[:-1]
        result = solved(mixture, EDM(), ODE_SOLVERS[name], levels, x)
        assert (result - fine).square().mean().sqrt().item() == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("process", [EDM(), DECAY])
@pytest.mark.parametrize(
    "solver",
    [*ODE_SOLVERS.values(), heun(churn=8), momentum(0.7, 0.4, 1.5), first_order(1), first_order("ancestral")],
)
def test_the_step_to_zero_noise_returns_the_last_estimate(process, solver):
    seen = []

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        seen.append(Estimate(torch.tanh(x)))
        return seen[-1]

    stages = solver(process, linear(4, 0.1, 1))
    noise = vector(0.3, -0.8)
    *_, last = evaluations(denoise, stages, State(torch.ones(2).double()), lambda *_: noise)
    torch.testing.assert_close(last.state.x, seen[-1].clean, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("solver", "evaluated"),
    [(first_order(), 5), (dpm_pp_2m(), 5), (unipc(), 5), (momentum(0.5, 0.5), 5), (heun(), 9), (heun(3), 9)],
)
def test_stages_tell_where_they_evaluate_and_where_they_go(solver, evaluated):
    levels = karras(5, 0.1, 3)
    stages = solver(EDM(), levels)
    assert len(stages) == evaluated
    assert sorted({stage.step for stage in stages}) == [0, 1, 2, 3, 4]
    for stage in stages:
        assert stage.s == levels[stage.step + 1]
    first_of_each = [next(stage for stage in stages if stage.step == step) for step in range(5)]
    churned = 1.0 if evaluated == 5 or solver(EDM(), levels)[0].t == levels[0] else 1 + min(3 / 5, 2**0.5 - 1)
    assert [stage.t for stage in first_of_each] == pytest.approx([churned * t for t in levels[:-1]])
    if evaluated == 9:  # the second evaluation of a step is at its end
        assert [stage.t for stage in stages[1::2]] == levels[1:-1]


def left(stage: Stage, state: State, estimate: Estimate, draw: float = 0.0) -> Tensor:
    return stage.leave(state, estimate, lambda number: torch.tensor(draw, dtype=torch.float64)).x


@pytest.mark.parametrize("process", [EDM(), DECAY])
@pytest.mark.parametrize("freshness", [0.0, 0.3, 1.0, "ancestral"])
def test_first_order_keeps_the_marginal_and_renews_its_share_of_the_noise(process, freshness):
    """With x_0 known, x_s ~ N(a x_0 + b anchor, s^2) for every freshness; only the memory of x_t differs."""
    t, s = 1.2, 0.7
    before, after = process.coefficients(t), process.coefficients(s)
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    clean = vector(0.4, -2.0)
    [stage] = first_order(freshness)(process, [t, s])

    def step(old: float, fresh: float) -> Tensor:
        x = before.a * clean + before.b * anchor + before.s * old
        return left(stage, State(x), Estimate(clean), fresh) - (after.a * clean + after.b * anchor)

    torch.testing.assert_close(step(0, 0), torch.zeros(2).double())
    kept, fresh = step(1, 0), step(0, 1)
    torch.testing.assert_close(kept**2 + fresh**2, torch.full((2,), after.s**2).double())
    if freshness == "ancestral":  # forward in time x_t = (a_t / a_s) x_s + ..., so Cov(x_t, x_s) follows
        expected = before.a / after.a * after.s**2
        torch.testing.assert_close(kept * before.s, torch.full((2,), expected).double())
    else:
        torch.testing.assert_close(fresh, torch.full((2,), freshness * after.s).double())


def test_first_order_uses_the_noise_that_a_guidance_has_kept():
    [stage] = first_order(0.6)(EDM(), [2.0, 0.5])
    clean, noise = vector(3.0), vector(-1.0)
    result = left(stage, State(vector(9.0)), Estimate(clean, noise), draw=2.0)
    torch.testing.assert_close(result, vector(3 + 0.5 * (0.8 * -1 + 0.6 * 2)))


@pytest.mark.parametrize("freshness", [-0.1, 1.1])
def test_a_freshness_out_of_range_is_refused(freshness):
    with pytest.raises(UsageError, match=str(freshness)):
        first_order(freshness)


def test_heun_averages_the_slopes_at_both_ends():
    stages = heun()(EDM(), [2.0, 0.5])
    state = stages[0].leave(State(vector(9.0)), Estimate(vector(1.0)), silent)
    torch.testing.assert_close(state.x, vector(9 - 1.5 * 4.0))  # slope (9 - 1) / 2
    result = left(stages[1], state, Estimate(vector(2.0)))
    torch.testing.assert_close(result, vector(9 - 1.5 * (4.0 + (3.0 - 2.0) / 0.5) / 2))


def test_heun_uses_the_noise_that_a_guidance_has_kept():
    stages = heun()(EDM(), [2.0, 0.5])
    x, clean = vector(9.0), vector(1.0)
    state = stages[0].leave(State(x), Estimate(clean, noise=vector(3.0)), silent)
    result = left(stages[1], state, Estimate(clean, noise=vector(5.0)))
    torch.testing.assert_close(result, vector(9 - 1.5 * 4.0))  # slopes 3 and 5


@pytest.mark.parametrize("process", [EDM(), DECAY])
def test_churn_raises_the_state_to_the_noisier_marginal(process):
    t, gamma, s_noise = 0.9, 0.25, 1.1
    [stage] = heun(churn=0.25, denominator=1, s_noise=s_noise)(process, [t, 0.0])
    assert stage.t == pytest.approx(t * (1 + gamma))
    before, after = process.coefficients(t), process.coefficients(t * (1 + gamma))
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    clean = vector(0.4, -2.0)

    def entered(old: float, fresh: float) -> Tensor:
        x = before.a * clean + before.b * anchor + before.s * old
        state = stage.enter(State(x), lambda number: torch.tensor(fresh, dtype=torch.float64))
        return state.x - (after.a * clean + after.b * anchor)

    torch.testing.assert_close(entered(0, 0), torch.zeros(2).double())
    kept, fresh = entered(1, 0), entered(0, 1)
    torch.testing.assert_close(kept, torch.full((2,), before.s * after.a / before.a).double())
    torch.testing.assert_close(kept**2 + (fresh / s_noise) ** 2, torch.full((2,), after.s**2).double())


def test_churn_factors_are_those_of_the_paper_unless_told_otherwise():
    levels = [4.0, 2.0, 1.0, 0.0]
    assert churn_factors(levels, 0.9) == pytest.approx([0.3, 0.3, 0.3])
    assert churn_factors(levels, 0.9, denominator=4) == pytest.approx([0.225] * 3)
    assert churn_factors(levels, 90.0) == pytest.approx([math.sqrt(2) - 1] * 3)
    assert churn_factors(levels, 0.9, s_tmin=2.0) == pytest.approx([0.3, 0.3, 0.0])
    assert churn_factors(levels, 0.9, s_tmax=2.0) == pytest.approx([0.0, 0.3, 0.3])


def test_dpm_pp_2m_extrapolates_by_the_ratio_of_its_steps():
    """On steps as unequal as ln 8 and ln 2, by hand: D_bar = (1 + 1/2r) D - 1/2r D_previous, r = 3."""
    clean = [vector(value) for value in (2.0, 5.0)]
    first, second = dpm_pp_2m()(EDM(), [8.0, 1.0, 0.5])
    state = first.leave(State(vector(10.0)), Estimate(clean[0]), silent)
    torch.testing.assert_close(state.x, vector(10 / 8 + 7 / 8 * 2))
    state = second.leave(state, Estimate(clean[1]), silent)
    d_bar = (1 + 1 / 6) * 5 - 1 / 6 * 2
    torch.testing.assert_close(state.x, vector(3.0 / 2 + d_bar / 2))


@pytest.mark.parametrize("solver", [dpm_pp_2m(), unipc(), first_order()])
@pytest.mark.parametrize("process", [EDM(), DECAY])
def test_a_constant_estimate_makes_every_step_exact(solver, process):
    clean = vector(0.4, -2.0)
    levels = [1.5, 0.4, 0.3]
    before, after = process.coefficients(levels[0]), process.coefficients(levels[-1])
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    x = before.a * clean + before.b * anchor + before.s * 0.9
    expected = after.a * clean + after.b * anchor + after.s * 0.9
    torch.testing.assert_close(solved(constant(clean), process, solver, levels, x), expected)


def test_unipc_corrects_a_step_exactly_where_the_estimate_is_quadratic_in_lambda():
    """Two past estimates and the new one fix a parabola, whatever the ratio of the steps."""
    levels = [4.0, 2.5, 0.6, 0.5]
    lambdas = [-math.log(level) for level in levels]

    def estimate(lam):
        return 1 + 0.7 * lam - 0.4 * lam**2

    def exact(x: float, step: int) -> float:  # x_s = s_s (x / s_t + integral of e^lambda D)
        grid = np.linspace(lambdas[step], lambdas[step + 1], 20_001)
        integrand = np.exp(grid) * estimate(grid)
        return levels[step + 1] * (x / levels[step] + np.trapezoid(integrand, grid))

    clean = [vector(estimate(lam)) for lam in lambdas]
    stages = unipc()(EDM(), levels)
    state = State(vector(77.0), (vector(3.0), clean[1], clean[0]))
    corrected = stages[2].leave(state, Estimate(clean[2]), silent).memory[0]
    torch.testing.assert_close(corrected, vector(exact(3.0, 1)), rtol=1e-7, atol=0)


def test_unipc_corrects_its_first_step_by_the_mean_of_both_estimates():
    stages = unipc()(EDM(), [4.0, 2.0, 1.0])
    state = stages[0].leave(State(vector(8.0)), Estimate(vector(2.0)), silent)
    torch.testing.assert_close(state.x, vector(8 / 2 + 2 / 2))
    state = stages[1].leave(state, Estimate(vector(6.0)), silent)
    corrected = 8 / 2 + (2 + 6) / 2 / 2
    torch.testing.assert_close(state.memory[0], vector(corrected))
    predicted = 6 + 0.5 * (6 - 2)  # equal steps: r = 1
    torch.testing.assert_close(state.x, vector(corrected / 2 + predicted / 2))


@pytest.mark.parametrize("process", [EDM(), DECAY])
def test_momentum_carries_the_estimate_on_and_adds_its_share_of_noise(process):
    m, kappa, stride, draws = 0.7, 0.4, 1.6, (0.9, -1.3, 0.2)
    levels = [1.5, 0.8, 0.3, 0.1]
    clean = [vector(2.0, 1.0), vector(3.0, -1.0), vector(5.0, 0.5)]
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    first = clean[0]
    second = first + stride * (clean[1] - first)
    third = second + stride * (clean[2] - second) + m * (second - first)
    state = State(torch.zeros(2).double())
    for stage, estimate, draw, expected in zip(
        momentum(m, kappa, stride)(process, levels), clean, draws, (first, second, third), strict=True
    ):
        state = stage.leave(state, Estimate(estimate), lambda number, draw=draw: torch.tensor(draw).double())
        c = process.coefficients(stage.s)
        torch.testing.assert_close(state.x, c.a * expected + c.b * anchor + c.s * kappa * draw)


@pytest.mark.parametrize(("m", "stride"), [(0.0, 1.0), (0.0, 1.9), (0.6, 3.1), (0.8, 1.0)])
def test_momentum_ends_at_the_gaussian_estimate_of_unknown_samples(m, stride):
    """With a Wiener filter as denoiser and the known samples put back, as EDM at a constant noise level."""
    sigma, points = 0.3, torch.arange(8).double()
    covariance = torch.exp(-(points[:, None] - points).abs() / 5)
    known = torch.tensor([1, 1, 0, 0, 1, 1, 0, 1]).bool()
    observed = torch.sin(points) * known
    noisy = covariance + sigma**2 * torch.eye(8)
    wiener = covariance @ torch.linalg.inv(noisy)

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(torch.where(known, observed, wiener @ x))

    stages = momentum(m, 0.0, stride)(EDM(), [sigma] * 2000)
    *_, last = evaluations(denoise, stages, State(observed), lambda *_: torch.zeros(8).double())
    expected = noisy[~known][:, known] @ torch.linalg.solve(noisy[known][:, known], observed[known])
    torch.testing.assert_close(last.state.x[~known], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "solver", [*ODE_SOLVERS.values(), heun(churn=8), momentum(0.7, 0.4, 1.5), first_order(0.5)]
)
def test_solvers_do_not_write_to_the_state_they_are_given(solver):
    x = torch.tensor([1.0, 2.0])
    *_, last = evaluations(
        gaussian(EDM()), solver(EDM(), karras(3, 0.1, 1)), State(x), lambda *_: torch.ones(2)
    )
    assert x.tolist() == [1.0, 2.0]
    assert last.index + 1 == last.total


def test_every_draw_of_a_walk_is_told_its_step_and_stretch():
    asked = []

    def noise(*place: int) -> Tensor:
        asked.append(place)
        return torch.zeros(5)

    levels = karras(3, 0.1, 1)
    list(evaluations(gaussian(EDM()), heun(churn=8)(EDM(), levels), State(torch.ones(2, 5)), noise, first=-7))
    assert asked == [(step + 1, 0, -7, -2) for step in range(3)]
