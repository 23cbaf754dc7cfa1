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
from audiomend.processes.ouve import OUVE
from audiomend.processes.sbve import SBVE
from audiomend.processes.sub_vp import SubVP
from audiomend.processes.vp import VP
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras, linear
from audiomend.solvers.base import Solver, Stage, State
from audiomend.solvers.bridge import bridge_ode, bridge_sde
from audiomend.solvers.churn import churn_factors, churned
from audiomend.solvers.dpm import dpm_pp_2m, half_log_snr, lambda_steps
from audiomend.solvers.dpm_3m import dpm_pp_3m
from audiomend.solvers.euler_maruyama import euler_maruyama
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import heun
from audiomend.solvers.momentum import momentum
from audiomend.solvers.predictor_corrector import predictor_corrector
from audiomend.solvers.repaint import repainted
from audiomend.solvers.unipc import unipc

SPREAD = 0.5  # standard deviation of the Gaussian prior

ODE_SOLVERS = {"first": first_order(), "heun": heun(), "2m": dpm_pp_2m(), "3m": dpm_pp_3m(), "unipc": unipc()}
EVALUATIONS_PER_STEP = {"first": 1, "heun": 2, "2m": 1, "3m": 1, "unipc": 1}


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


FALLING = [  # a process, and times that fall with a number of steps
    (EDM(), lambda steps: karras(steps + 1, 0.01, 10)[:-1]),
    (DECAY, lambda steps: karras(steps + 1, 0.05, 2)[:-1]),
    (VP(), lambda steps: karras(steps + 1, 0.01, 1, rho=2)[:-1]),
    (SubVP(), lambda steps: karras(steps + 1, 0.1, 1, rho=2)[:-1]),
    (OUVE(DECAY.anchor), lambda steps: karras(steps + 1, 0.03, 1, rho=2)[:-1]),
    (SBVE(DECAY.anchor), lambda steps: karras(steps + 1, 0.05, 0.9, rho=2)[:-1]),
]
BRIDGE = SBVE(DECAY.anchor)


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


def on_its_way(process: Process, x: Tensor, t: float, s: float) -> Tensor:
    """Where the ordinary equation of `gaussian` takes x from time t to time s."""
    before, after = process.coefficients(t), process.coefficients(s)
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    return after.b * anchor + math.sqrt(variance(after) / variance(before)) * (x - before.b * anchor)


@pytest.mark.parametrize(("name", "order"), [("first", 1), ("heun", 2), ("2m", 2), ("unipc", 3)])
@pytest.mark.parametrize(("process", "levels"), FALLING)
def test_error_falls_with_the_order_of_the_solver(name, order, process, levels):
    """UniPC's free corrector raises the order of its second-order predictor by one."""
    x = vector(1.0, -3.0)
    errors = []
    for steps in (64, 128, 256, 512):
        times = levels(steps)
        exact = on_its_way(process, x, times[0], times[-1])
        result = solved(gaussian(process), process, ODE_SOLVERS[name], times, x)
        errors.append((result - exact).abs().max().item())
    assert -np.diff(np.log2(errors)).mean() == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("process", "levels"), FALLING[:-1])  # on the bridge the error changes its sign
def test_3m_is_of_order_3_once_it_has_its_history(process, levels):
    """A start of first order leaves an error of order 2, so it is given the two estimates before it."""
    x, denoise, errors = vector(1.0, -3.0), gaussian(process), []
    for steps in (128, 256, 512, 1024):
        times = levels(steps)
        earlier = [on_its_way(process, x, times[0], t) for t in times[:3]]
        memory = tuple(denoise(earlier[k], times[k], 0.0).clean for k in (1, 0))
        stages = dpm_pp_3m()(process, times)[2:]
        *_, last = evaluations(denoise, stages, State(earlier[2], memory), silent)
        errors.append((last.state.x - on_its_way(process, x, times[0], times[-1])).abs().max().item())
    assert -np.diff(np.log2(errors)).mean() == pytest.approx(3, abs=0.15)


def pushed(process: Process, solver: Solver, times: list[float]) -> float:
    """The variance of what a solver makes of the marginal at times[0]; the denoiser `gaussian` is affine."""
    stages, places = solver(process, times), []

    def listening(step: int, draw: int, *_: int) -> Tensor:
        places.append((step, draw))
        return torch.zeros(1).double()

    def unit(step: int, draw: int, *_: int) -> Tensor:
        return torch.eye(len(places) + 2).double()[2 + places.index((step, draw))]

    list(evaluations(gaussian(process), stages, State(torch.zeros(1).double()), listening))
    assert len(set(places)) == len(places)  # no draw is used twice
    start = torch.zeros(len(places) + 2).double()
    start[1] = math.sqrt(variance(process.coefficients(times[0])))
    *_, last = evaluations(gaussian(process), stages, State(start), unit)
    mean, *images = last.state.x.tolist()
    return sum((image - mean) ** 2 for image in images)


@pytest.mark.parametrize(
    ("solver", "order"),
    [(first_order("ancestral"), 1), (euler_maruyama(), 1), (dpm_pp_2m(sde=True), 2)],
)
@pytest.mark.parametrize(
    ("process", "levels"), [FALLING[0], (VP(), lambda n: karras(n + 1, 0.05, 1, 2)[:-1])]
)
def test_the_variance_of_a_stochastic_solver_converges_with_its_order(solver, order, process, levels):
    errors = []
    for steps in (64, 128, 256, 512):
        times = levels(steps)
        errors.append(abs(pushed(process, solver, times) - variance(process.coefficients(times[-1]))))
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
    [
        *ODE_SOLVERS.values(),
        heun(churn=8),
        churned(first_order(0.5), 8),
        momentum(0.7, 0.4, 1.5),
        first_order(1),
        first_order("ancestral"),
        dpm_pp_2m(sde=True),
        dpm_pp_3m(sde=True),
        predictor_corrector(unipc()),
        repainted(unipc(), 2, 0, 3),
    ],
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
    [
        (first_order(), 5),
        (dpm_pp_2m(), 5),
        (dpm_pp_3m(), 5),
        (unipc(), 5),
        (momentum(0.5, 0.5), 5),
        (euler_maruyama(), 5),
        (heun(), 9),
        (heun(3), 9),
    ],
)
def test_stages_tell_where_they_evaluate_and_where_they_go(solver, evaluated):
    levels = karras(5, 0.1, 3)
    stages = solver(EDM(), levels)
    assert len(stages) == evaluated
    assert sorted({stage.step for stage in stages}) == [0, 1, 2, 3, 4]
    for stage in stages:
        assert stage.s == levels[stage.step + 1]
    first_of_each = [next(stage for stage in stages if stage.step == step) for step in range(5)]
    higher = 1.0 if evaluated == 5 or solver(EDM(), levels)[0].t == levels[0] else 1 + min(3 / 5, 2**0.5 - 1)
    assert [stage.t for stage in first_of_each] == pytest.approx([higher * t for t in levels[:-1]])
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


@pytest.mark.parametrize("inner", [first_order(0.4), dpm_pp_2m(), heun(), unipc(), momentum(0.5, 1.0)])
def test_churn_begins_each_step_of_any_solver_higher(inner):
    levels = karras(4, 0.1, 3)
    gammas = churn_factors(levels, 0.9, s_tmin=0.5, s_tmax=2.0)
    assert gammas[0] == gammas[2] == gammas[3] == 0 < gammas[1]
    stages = churned(inner, 0.9, s_tmin=0.5, s_tmax=2.0)(EDM(), levels)
    expected = [
        (step, stage.t, stage.s)
        for step, gamma in enumerate(gammas)
        for stage in inner(EDM(), [(1 + gamma) * levels[step], levels[step + 1]])
    ]
    assert [(stage.step, stage.t, stage.s) for stage in stages] == expected
    places = []

    def noise(step: int, draw: int, *_: int) -> Tensor:
        places.append((step, draw))
        return torch.zeros(2).double()

    *_, last = evaluations(gaussian(EDM()), stages, State(vector(1.0, -3.0)), noise)
    assert len(places) == len(set(places))  # churn and freshness draw apart
    x = vector(1.0, -3.0)
    for step, gamma in enumerate(gammas):  # a multistep solver starts anew
        x = solved(gaussian(EDM()), EDM(), inner, [(1 + gamma) * levels[step], levels[step + 1]], x)
    torch.testing.assert_close(last.state.x, x)


def test_a_bridge_is_left_without_churn_where_churn_begins_later():
    clean, levels = vector(0.4, -2.0), [1.0, 0.8]
    found, plain = (
        solved(constant(clean), BRIDGE, solver, levels, BRIDGE.anchor)
        for solver in (churned(first_order(), churn=1, s_tmax=0.9), first_order())
    )
    assert torch.equal(found, plain)


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


@pytest.mark.parametrize("solver", [dpm_pp_2m(), dpm_pp_3m(), unipc(), first_order()])
@pytest.mark.parametrize("process", [EDM(), DECAY, VP()])
def test_a_constant_estimate_makes_every_step_exact(solver, process):
    clean = vector(0.4, -2.0)
    levels = [1.5, 0.4, 0.3, 0.2]
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
    "solver",
    [
        *ODE_SOLVERS.values(),
        heun(churn=8),
        momentum(0.7, 0.4, 1.5),
        first_order(0.5),
        dpm_pp_3m(sde=True),
        predictor_corrector(euler_maruyama()),
        repainted(unipc(), 1),
    ],
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


def test_lambda_grows_without_end_at_both_ends_of_a_bridge():
    assert half_log_snr(BRIDGE, 1.0) == -math.inf
    assert half_log_snr(BRIDGE, 0.0) == math.inf
    c = BRIDGE.coefficients(0.4)
    assert half_log_snr(BRIDGE, 0.4) == pytest.approx(math.log(c.a) - math.log(c.s))
    assert lambda_steps(BRIDGE, [1.0, 0.4, 0.0]) == [math.inf, math.inf]


@pytest.mark.parametrize("solver", ODE_SOLVERS)
def test_a_bridge_is_left_from_its_anchor_without_noise(solver):
    clean, times = vector(0.4, -2.0), [1.0, 0.8, 0.5, 0.2]
    times = times[:2] if solver == "heun" else times  # whose later steps are not exact
    c = BRIDGE.coefficients(times[-1])
    result = solved(constant(clean), BRIDGE, ODE_SOLVERS[solver], times, BRIDGE.anchor)
    torch.testing.assert_close(result, c.a * clean + c.b * BRIDGE.anchor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", [first_order("ancestral"), dpm_pp_2m(sde=True), dpm_pp_3m(sde=True)])
def test_a_bridge_left_by_a_stochastic_step_has_all_the_noise_of_its_marginal(solver):
    [stage] = solver(BRIDGE, [1.0, 0.6])
    clean, c = vector(0.4, -2.0), BRIDGE.coefficients(0.6)
    result = left(stage, State(BRIDGE.anchor), Estimate(clean), draw=1.5)
    torch.testing.assert_close(result, c.a * clean + c.b * BRIDGE.anchor + c.s * 1.5)


@pytest.mark.parametrize(("solver", "limit"), [(bridge_ode(), 0.1), (bridge_sde(), 1e-7)])
def test_the_published_samplers_of_the_bridge_are_exact_but_for_what_they_add(solver, limit):
    clean, times = vector(0.4, -2.0), [1.0, 0.8, 0.5, 0.2]
    exact = dpm_pp_2m() if limit == 0.1 else first_order("ancestral")
    expected = solved(constant(clean), BRIDGE, exact, times, BRIDGE.anchor)
    found = solved(constant(clean), BRIDGE, solver, times, BRIDGE.anchor)
    if limit < 0.1:  # without noise in the last step
        assert (found - expected).abs().max() < limit
    inner = [0.9, 0.6, 0.2]  # where the variances are large, both are exact
    x = BRIDGE.anchor + 0.1
    ours, theirs = (solved(constant(clean), BRIDGE, s, inner, x) for s in (exact, solver))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("t", "s"), [(1.0, 0.8), (0.5, 0.2), (3e-8, 1e-8)])
def test_the_published_samplers_of_the_bridge_by_their_formulas(t, s):
    """With what is added to variances, 1e-8: beside that of the last time here it is no longer small."""
    c, k, eps = 0.4, 2.6, 1e-8
    before = [c * math.expm1(2 * math.log(k) * time) / (2 * math.log(k)) for time in (t, s, 1.0)]
    sigma_t, sigma_s = (math.sqrt(v) for v in before[:2])
    rest_t, rest_s = (math.sqrt(max(before[2] - v, 0) + eps) for v in before[:2])
    x, clean, y = vector(0.5, 1.5), vector(0.4, -2.0), BRIDGE.anchor
    whole = before[2] + eps
    expected = sigma_s * rest_s / (sigma_t * rest_t + eps) * x
    expected = expected + (rest_s**2 - rest_t * rest_s * sigma_s / (sigma_t + eps)) / whole * clean
    expected = expected + (sigma_s**2 - sigma_t * sigma_s * rest_s / (rest_t + eps)) / whole * y
    [stage] = bridge_ode()(BRIDGE, [t, s])
    torch.testing.assert_close(left(stage, State(x), Estimate(clean)), expected, rtol=1e-10, atol=0)
    m = before[1] / (before[0] + eps)
    drift = m * x + (1 - m) * clean
    first, last = bridge_sde()(BRIDGE, [t, s, s / 2])
    noisy = drift + math.sqrt(before[1] * (1 - m)) * 0.7
    torch.testing.assert_close(left(first, State(x), Estimate(clean), 0.7), noisy, rtol=1e-10, atol=0)
    silence = vector(0.0, 0.0)  # the last step adds no noise
    assert torch.equal(left(last, State(silence), Estimate(silence), 0.7), silence)


@pytest.mark.parametrize("solver", [bridge_ode(), bridge_sde()])
def test_a_sampler_of_the_bridge_refuses_other_processes(solver):
    with pytest.raises(UsageError, match="not EDM"):
        solver(EDM(), [1.0, 0.5])


@pytest.mark.parametrize("process", [EDM(), DECAY, VP()])
def test_the_first_step_of_the_stochastic_multistep_solvers_is_the_ancestral_one(process):
    x, clean = vector(1.0, -2.0), vector(0.4, 0.3)
    expected = left(*first_order("ancestral")(process, [0.9, 0.4]), State(x), Estimate(clean), 0.7)
    for solver in (dpm_pp_2m(sde=True), dpm_pp_3m(sde=True)):
        torch.testing.assert_close(
            left(*solver(process, [0.9, 0.4]), State(x), Estimate(clean), 0.7), expected
        )


@pytest.mark.parametrize("sde", [False, True])
def test_3m_is_exact_where_the_estimate_is_quadratic_in_lambda(sde):
    """The estimate is weighted by e^lambda over the step, by its square for the stochastic equation."""
    levels = [4.0, 2.5, 0.6, 0.5]
    lambdas = [-math.log(level) for level in levels]

    def estimate(lam):
        return 1 + 0.7 * lam - 0.4 * lam**2

    grid = np.linspace(lambdas[2], lambdas[3], 20_001)
    rate = 2 if sde else 1
    kept = (0.5 / 0.6) ** rate
    exact = kept * 3.0 + np.trapezoid(rate * np.exp(rate * (grid - lambdas[3])) * estimate(grid), grid)
    exact += 0.5 * math.sqrt(1 - (0.5 / 0.6) ** 2) * 0.9 if sde else 0
    clean = [vector(estimate(lam)) for lam in lambdas]
    stage = dpm_pp_3m(sde)(EDM(), levels)[2]
    state = State(vector(3.0), (clean[1], clean[0]))
    torch.testing.assert_close(left(stage, state, Estimate(clean[2]), 0.9), vector(exact), rtol=1e-7, atol=0)


@pytest.mark.parametrize("sde", [False, True])
def test_2m_and_the_second_step_of_3m_extrapolate_to_the_middle_of_the_step(sde):
    levels, clean, before = [8.0, 1.0, 0.5], vector(5.0), vector(2.0)
    middle = 5 + (5 - 2) * math.log(2) / (2 * math.log(8))
    [single] = dpm_pp_2m(sde)(EDM(), levels[1:])
    expected = left(single, State(vector(3.0)), Estimate(vector(middle)), 0.4)
    for solver in (dpm_pp_2m(sde), dpm_pp_3m(sde)):
        found = left(solver(EDM(), levels)[1], State(vector(3.0), (before,)), Estimate(clean), 0.4)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("solver", [dpm_pp_2m(), dpm_pp_3m(), unipc()])
def test_a_multistep_solver_without_memory_starts_anew(solver):
    x, clean = vector(3.0), vector(5.0)
    later = solver(EDM(), [4.0, 2.0, 1.0, 0.5])[2]
    expected = left(*first_order()(EDM(), [1.0, 0.5]), State(x), Estimate(clean))
    torch.testing.assert_close(left(later, State(x), Estimate(clean)), expected)


@pytest.mark.parametrize("process", [DECAY, VP(), OUVE(DECAY.anchor), BRIDGE])
def test_euler_maruyama_is_a_step_of_the_reverse_equation(process):
    """Drift and diffusion by the slopes of the coefficients, the score by the noise."""
    t, s, x, clean, fresh = 0.8, 0.6, vector(1.0, -2.0), vector(0.4, 0.3), 0.7
    c, d = process.coefficients(t), process.derivatives(t)
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    score = -(x - c.a * clean - c.b * anchor) / c.s**2
    drift = d.a / c.a * (x - c.b * anchor) + d.b * anchor
    g2 = 2 * c.s * d.s - 2 * d.a / c.a * c.s**2
    expected = x - 0.2 * (drift - g2 * score) + math.sqrt(0.2 * g2) * fresh
    torch.testing.assert_close(
        left(*euler_maruyama()(process, [t, s]), State(x), Estimate(clean), fresh), expected
    )
    longer = left(*euler_maruyama(dt=0.3)(process, [t, s]), State(x), Estimate(clean), fresh)
    expected = x - 0.3 * (drift - g2 * score) + math.sqrt(0.3 * g2) * fresh
    torch.testing.assert_close(longer, expected)
    last = left(*euler_maruyama()(process, [t, 0.0]), State(x), Estimate(clean), fresh)
    torch.testing.assert_close(last, x - 0.8 * (drift - g2 * score))


def test_euler_maruyama_is_milsteins_method_and_so_of_strong_order_1():
    """On one Brownian path, whatever the steps; Euler-Maruyama alone promises 1/2."""
    process, finest, paths = OUVE(DECAY.anchor), 1024, 64
    path = torch.randn(finest, paths, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = DECAY.anchor + torch.zeros(paths, 2).double()

    def walked(steps: int) -> Tensor:
        draws = path.reshape(steps, finest // steps, paths, 1).sum(1) * math.sqrt(steps / finest)
        times = [1 - 0.97 * step / steps for step in range(steps + 1)]
        stages = euler_maruyama()(process, times)
        *_, last = evaluations(gaussian(process), stages, State(start), lambda step, *_: draws[step - 1])
        return last.state.x

    fine = walked(finest)
    errors = [(walked(steps) - fine).square().mean().sqrt().item() for steps in (16, 32, 64, 128)]
    assert -np.diff(np.log2(errors)).mean() == pytest.approx(1, abs=0.15)


def test_milsteins_correction_vanishes_where_the_noise_does_not_depend_on_the_state():
    """It is g dg/dx (dw^2 - dt) / 2; what a step makes of its noise is the same at every state."""
    for solver in (euler_maruyama(), first_order("ancestral"), dpm_pp_2m(sde=True)):
        [stage] = solver(DECAY, [0.9, 0.5])

        def step(x: Tensor, fresh: Tensor, stage: Stage = stage) -> Tensor:
            return stage.leave(State(x), gaussian(DECAY)(x, 0.9, 0.5), lambda number: fresh).x

        for x in (vector(0.3, 1.0), vector(-4.0, 20.0)):
            slope = step(x, vector(1.0, 1.0)) - step(x, vector(0.0, 0.0))
            torch.testing.assert_close(
                slope, step(vector(0, 0), vector(1.0, 1.0)) - step(vector(0, 0), vector(0, 0))
            )


def test_corrections_come_before_the_prediction_and_draw_before_it():
    levels, asked = [2.0, 1.0, 0.0], []
    stages = predictor_corrector(first_order(1), snr=0.3, corrections=2)(EDM(), levels)
    assert [(stage.step, stage.t, stage.s) for stage in stages] == [
        (step, t, s) for step, t in enumerate((2.0, 1.0)) for s in (t, t, t - 1)
    ]

    def noise(step: int, draw: int, *_: int) -> Tensor:
        asked.append((step, draw))
        return torch.zeros(2, 3)

    list(evaluations(gaussian(EDM()), stages, State(torch.ones(2, 3)), noise))
    assert asked == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


def test_an_annealed_correction_leaves_the_marginal_but_for_the_size_of_its_step():
    """x + eps score + sqrt(2 eps) e' of N(0, v): the variance v (1 - eps / v)^2 + 2 eps."""
    t, snr = 0.8, 0.1
    [stage, _] = predictor_corrector(first_order(), snr)(EDM(), [t, 0.0])
    eps, v = 2 * (snr * t) ** 2, SPREAD**2 + t**2
    x = vector(1.7)
    estimate = gaussian(EDM())(x, t, t)
    torch.testing.assert_close(left(stage, State(x), estimate), x * (1 - eps / v))
    fresh = left(stage, State(x), estimate, draw=1.0) - left(stage, State(x), estimate)
    torch.testing.assert_close(fresh, vector(math.sqrt(2 * eps)))


def test_a_langevin_correction_is_as_large_as_the_norms_of_noise_and_score_say():
    """Norms over all axes but the first, and their means over that (Song et al. 2021, algorithms 4 and 5)."""
    generator = torch.Generator().manual_seed(0)
    x, clean, fresh = torch.randn(3, 2, 3, 5, generator=generator, dtype=torch.float64)
    [stage, _] = predictor_corrector(first_order(), 0.16, size="langevin")(EDM(), [0.8, 0.0])
    score = (clean - x) / 0.64
    norms = [torch.stack([row.square().sum().sqrt() for row in rows]).mean() for rows in (fresh, score)]
    eps = 2 * (0.16 * norms[0] / norms[1]) ** 2
    found = stage.leave(State(x), Estimate(clean), lambda number: fresh).x
    torch.testing.assert_close(found, x + eps * score + (2 * eps).sqrt() * fresh)
    assert stage.whole


def test_there_is_nothing_to_correct_where_there_is_no_noise():
    [stage, _] = predictor_corrector(first_order())(BRIDGE, [1.0, 0.5])
    assert left(stage, State(BRIDGE.anchor), Estimate(vector(0, 0)), 9.0).tolist() == [2, -1]


@pytest.mark.parametrize(
    ("steps", "window", "repeated"),
    [(9, (1, 2), [3, 4, 5, 6]), (6, (0, 3), [0, 1, 2, 3, 4, 5]), (6, (0, 1), [4, 5]), (7, (1, 2), [3, 4])],
)
@pytest.mark.parametrize("inner", [first_order(), heun()])
def test_repaint_repeats_the_steps_inside_its_window(steps, window, repeated, inner):
    """Of the steps T, T - 1, ..., 1 those from phi_1 T / 3 to phi_2 T / 3."""
    levels = karras(steps, 0.1, 3)
    stages = repainted(inner, 2, *window)(EDM(), levels)
    plain = inner(EDM(), levels)
    expected = [
        (stage.t, stage.s)
        for step in range(steps)
        for _ in range(3 if step in repeated else 1)
        for stage in plain
        if stage.step == step
    ]
    assert [(stage.t, stage.s) for stage in stages] == expected
    assert sorted({stage.step for stage in stages}) == list(range(steps + 2 * len(repeated)))


@pytest.mark.parametrize("process", [EDM(), DECAY, BRIDGE])
def test_repaint_takes_a_step_back_to_the_marginal_of_its_start(process):
    t, s, clean = 0.8, 0.5, vector(0.4, -2.0)
    before, after = process.coefficients(s), process.coefficients(t)
    anchor = torch.zeros(2).double() if process.anchor is None else process.anchor
    _, again = repainted(first_order(), 1, 0, 3)(process, [t, s])

    def offset(old: float, fresh: float) -> Tensor:
        state = State(before.a * clean + before.b * anchor + before.s * old, memory=(clean,))
        entered = again.enter(state, lambda number: torch.tensor(fresh if number == 0 else 99.0).double())
        assert entered.memory == ()
        return entered.x - after.a * clean - after.b * anchor

    torch.testing.assert_close(offset(0, 0), torch.zeros(2).double())
    kept, fresh = offset(1, 0), offset(0, 1)
    torch.testing.assert_close(kept, torch.full((2,), before.s * after.a / before.a).double())
    torch.testing.assert_close(kept**2 + fresh**2, torch.full((2,), after.s**2).double())


@pytest.mark.parametrize("inner", [first_order("ancestral"), heun(churn=3), dpm_pp_3m(sde=True)])
def test_every_pass_of_repaint_has_draws_of_its_own(inner):
    asked = []

    def noise(step: int, draw: int, *_: int) -> Tensor:
        asked.append((step, draw))
        return torch.zeros(2)

    stages = repainted(inner, 2)(EDM(), karras(6, 0.1, 2))
    list(evaluations(gaussian(EDM()), stages, State(torch.ones(2)), noise))
    assert len(asked) == len(set(asked)) >= 5 + 2 * 6  # 6 steps, of which one may be without, and 6 returns


@pytest.mark.parametrize(("repeats", "window"), [(-1, (1, 2)), (1, (-0.1, 2)), (1, (2, 1)), (1, (1, 3.1))])
def test_a_window_or_a_number_of_repeats_out_of_range_is_refused(repeats, window):
    with pytest.raises(UsageError):
        repainted(first_order(), repeats, *window)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_renewing_all_noise_samples_with_a_consistency_function(steps):
    """It says where the ordinary equation ends; any number of steps gives the prior (Song et al. 2023)."""

    def consistency(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(x * SPREAD / math.hypot(SPREAD, t))

    samples = 10 * torch.eye(steps + 1).double()[0]  # the images of every noise; the first is the start's
    start = samples * math.hypot(SPREAD, 10) / 10
    stages = first_order(1)(EDM(), karras(steps, 0.5, 10))
    units = torch.eye(steps + 1).double()
    *_, last = evaluations(consistency, stages, State(start), lambda step, *_: units[step])
    assert last.state.x.square().sum().item() == pytest.approx(SPREAD**2)
