"""Samplers that are not walks: their arithmetic by another road, and exactness where theory promises it.

What they make of the published test bed stands in test_guidance.py.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.errors import UsageError
from audiomend.operators.convolution import Convolution
from audiomend.operators.mask import Mask
from audiomend.processes.base import Coefficients, Process
from audiomend.processes.edm import EDM
from audiomend.samplers.base import Noise, seeded
from audiomend.samplers.daps import daps
from audiomend.samplers.particles import resampled, twisted
from audiomend.samplers.red_diff import red_diff
from audiomend.schedules import karras
from audiomend.solvers.base import State
from audiomend.solvers.first_order import first_order

N = 12
FIR = Convolution(torch.tensor([0.2, 0.5, 0.4], dtype=torch.float64), delay=1)
SIGMA_Y = 0.3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Y = normal(2, N, seed=1), normal(2, N, seed=2)
MIX = normal(N, N, seed=3) / math.sqrt(N)


def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
    """The same for every channel, as the counter-based noise is."""
    return normal(stop - start, seed=1000 * step + draw)


@dataclass(frozen=True)
class Shrinking:
    """A process whose every coefficient counts: a = 1 - t / 4, b = t / 5, s = t."""

    anchor: Tensor

    def coefficients(self, t: float) -> Coefficients:
        return Coefficients(1 - t / 4, t / 5, t)

    def derivatives(self, t: float) -> Coefficients:
        return Coefficients(-1 / 4, 1 / 5, 1.0)


ANCHOR = normal(2, N, seed=4)
PROCESS = Shrinking(ANCHOR)


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """Not linear, and each sample of x_0 depends on every sample of its own row of x."""
    return Estimate(torch.tanh(x @ MIX.to(x) + t), carry=(carry, s))


def clean_of(x: Tensor, t: float) -> Tensor:
    return torch.tanh(x @ MIX + t)


def noise_in(x: Tensor, t: float) -> Tensor:
    return (x - (1 - t / 4) * clean_of(x, t) - t / 5 * ANCHOR) / t


# --- DAPS ---------------------------------------------------------------------------------------------


def by_daps(process: Process, x: Tensor, levels: list[float], **settings: float) -> Iterator[Tensor]:
    steps = {"ode_steps": 3, "langevin_steps": 2, **settings}
    for reached in daps(denoise, process, x, levels, FIR.forward, Y, noise, SIGMA_Y, **steps):
        assert reached.evaluations % 3 == 0
        yield reached.x


@pytest.mark.parametrize(("t", "s", "end"), [(0.8, 0.5, 0.01), (0.05, 0.03, 0.005)])
def test_a_level_of_daps_by_hand(t, s, end):
    state = X
    times = [((1 - k / 3) * t ** (1 / 7) + k / 3 * end ** (1 / 7)) ** 7 for k in range(4)]
    for here, there in pairwise(times):
        state = (1 - there / 4) * clean_of(state, here) + there / 5 * ANCHOR + there * noise_in(state, here)
    centre = (state - end / 5 * ANCHOR) / (1 - end / 4)
    sigma = t / (1 - t / 4)
    rate = 0.3 / (1 / SIGMA_Y**2 + 1 / sigma**2)
    clean = centre
    for draw in (1, 2):
        leaf = clean.clone().requires_grad_()
        fit, near = Normal(FIR.forward(leaf), SIGMA_Y).log_prob(Y), Normal(centre, sigma).log_prob(leaf)
        (slope,) = torch.autograd.grad(fit.sum() + near.sum(), leaf)
        clean = clean + rate * slope + math.sqrt(2 * rate) * noise(1, draw, 0, N)
    expected = (1 - s / 4) * clean + s / 5 * ANCHOR + s * noise(1, 0, 0, N)
    (found,) = by_daps(PROCESS, X, [t, s])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_levels_of_daps_follow_each_other_and_end_clean():
    first, second = by_daps(PROCESS, X, [0.8, 0.5, 0.0])
    (again,) = by_daps(PROCESS, X, [0.8, 0.5])
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    other = Shrinking(100 * ANCHOR)  # an end without noise is an end without anchor
    assert list(by_daps(other, X, [0.8, 0.0]))[-1].abs().max() < 10
    reached = [(r.t, r.evaluations) for r in daps_of_x([0.8, 0.5, 0.0])]
    assert reached == [(0.5, 5), (0.0, 10)]
    assert second.isfinite().all()


def daps_of_x(levels: list[float]):
    return daps(denoise, EDM(), X, levels, FIR.forward, Y, noise, SIGMA_Y, langevin_steps=1)


def test_langevin_steps_of_daps_reach_their_law():
    """With an estimate that is constant, x_0 ~ N(centre, sigma²) times the likelihood of a known sample."""
    start = torch.zeros(4000, 2, dtype=torch.float64)
    known, y = Mask(torch.tensor([True, False])), torch.tensor([1.0, 0.0], dtype=torch.float64)

    def fresh(step: int, draw: int, start: int, stop: int) -> Tensor:
        return normal(4000, 2, seed=1000 * step + draw)

    def constant(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(torch.zeros_like(x), noise=torch.zeros_like(x))

    settings = {"ode_end": 1e-9, "langevin_steps": 60, "stride": 0.2}
    (last,) = daps(constant, EDM(), start, [0.6, 0.0], known.forward, y, fresh, SIGMA_Y, **settings)
    precision = 1 / SIGMA_Y**2 + 1 / 0.6**2
    assert last.x[:, 0].mean().item() == pytest.approx(1 / SIGMA_Y**2 / precision, abs=0.02)
    assert last.x[:, 0].var().item() == pytest.approx(1 / precision / (1 - 0.2 / 2), rel=0.08)
    slow = 0.2 / 0.6**2 / precision  # how far a step goes where A sees nothing
    reached = 0.6**2 * (1 - (1 - slow) ** 120) / (1 - slow / 2)
    assert last.x[:, 1].var().item() == pytest.approx(reached, rel=0.08)


def test_a_level_of_daps_takes_five_evaluations_and_a_hundred_langevin_steps():
    drawn = []

    def listed(step: int, draw: int, start: int, stop: int) -> Tensor:
        drawn.append(draw)
        return noise(step, draw, start, stop)

    (last,) = daps(denoise, EDM(), X, [0.8, 0.5], FIR.forward, Y, listed, SIGMA_Y)
    assert last.evaluations == 5
    assert sorted(drawn) == list(range(101))  # and the noise of the next level


# --- RED-diff -----------------------------------------------------------------------------------------


def test_red_diff_is_adam_on_its_loss():
    levels, mu = [0.9, 0.5, 0.4, 0.1], X.clone().requires_grad_()
    adam = torch.optim.Adam([mu], lr=0.1, betas=(0.9, 0.99))
    found = red_diff(denoise, PROCESS, X, levels, FIR.forward, Y, noise)
    for step, (t, reached) in enumerate(zip(levels, found, strict=True), start=1):
        state = ((1 - t / 4) * mu + t / 5 * ANCHOR + t * noise(step, 0, 0, N)).detach()
        surprise = noise_in(state, t) - noise(step, 0, 0, N)
        loss = (Y - FIR.forward(mu)).square().mean(-1) / 2
        loss = loss + 0.25 * t / (1 - t / 4) * (surprise * mu).mean(-1)
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        torch.testing.assert_close(reached.x, mu.detach(), rtol=0, atol=1e-12)
        assert (reached.t, reached.evaluations) == (t, step)


# --- Particles ----------------------------------------------------------------------------------------


def log_twist(x: Tensor, t: float, sd: float) -> Tensor:
    """log N(y; A x̂_0, sigma_y² + r²) of each row."""
    sigma = t / (1 - t / 4)
    spread = math.sqrt(SIGMA_Y**2 + 1 / (1 / sigma**2 + 1 / sd**2))
    return Normal(FIR.forward(clean_of(x, t)), spread).log_prob(Y).sum(-1)


def test_the_weight_of_one_particle_by_its_densities():
    """Alone it is never resampled, and its weight is the product of every ratio on its way."""
    levels, sd, log_weight, x = [0.9, 0.5, 0.2, 0.0], 0.7, torch.zeros(2).double(), X
    clouds = list(twisted(denoise, PROCESS, X[None], levels, FIR.forward, Y, noise, SIGMA_Y, sd))
    for step, (t, s) in enumerate(pairwise(levels[:-1]), start=1):
        leaf = x.clone().requires_grad_()
        before = log_twist(x, t, sd)
        log_weight = log_weight + before
        (gradient,) = torch.autograd.grad(log_twist(leaf, t, sd).sum(), leaf)
        a, a_s = 1 - t / 4, 1 - s / 4
        kept = a * s / (a_s * t)
        spread = s * math.sqrt(1 - kept**2)
        means = []
        for clean in (clean_of(x, t), clean_of(x, t) + t**2 / a * gradient):
            implied = (x - a * clean - t / 5 * ANCHOR) / t
            means.append(a_s * clean + s / 5 * ANCHOR + s * kept * implied)
        x = means[1] + spread * noise(step, 0, 0, N)
        torch.testing.assert_close(clouds[step - 1].x[0], x, rtol=0, atol=1e-12)
        p, q = (Normal(mean, spread).log_prob(x).sum(-1) for mean in means)
        log_weight = log_weight + p - q
        torch.testing.assert_close(clouds[step - 1].log_weights[0], log_weight)
        log_weight = log_weight - before
    last = clean_of(x, 0.2)  # the twists at 0.2 cancel: what the last step foresees, it takes back
    log_weight = log_weight + Normal(FIR.forward(last), SIGMA_Y).log_prob(Y).sum(-1)
    torch.testing.assert_close(clouds[-1].x[0], last)
    torch.testing.assert_close(clouds[-1].log_weights[0], log_weight)
    assert [(cloud.t, cloud.evaluations) for cloud in clouds] == [(0.5, 1), (0.2, 2), (0.0, 3)]


def test_a_particle_of_a_single_step_weighs_its_likelihood():
    (cloud,) = twisted(denoise, EDM(), X[None], [0.9, 0.0], FIR.forward, Y, noise, SIGMA_Y, 0.7)
    clean = clean_of(X, 0.9)
    torch.testing.assert_close(cloud.x[0], clean)
    likelihood = Normal(FIR.forward(clean), SIGMA_Y).log_prob(Y).sum(-1)
    torch.testing.assert_close(cloud.log_weights[0], likelihood)


PRIOR = torch.tensor([[1.0, 0.6, 0.2], [0.6, 0.8, 0.5], [0.2, 0.5, 0.9]], dtype=torch.float64)
SEEN = torch.tensor([[0.8, 0.5, 0.0], [0.0, 0.3, -0.9]], dtype=torch.float64)
OBSERVED = torch.tensor([0.5, -1.0], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)


def gaussian(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    return Estimate(x @ torch.linalg.solve(PRIOR + t**2 * EYE, PRIOR))


def prior_of_the_walk(levels: list[float]) -> Tensor:
    """Covariance of what the unguided ancestral walk returns, which differs a little from PRIOR."""
    covariance = levels[0] ** 2 * EYE
    rows, fresh = torch.cat((EYE, 0 * EYE)), torch.cat((0 * EYE, EYE))
    for stage in first_order("ancestral")(EDM(), levels):
        left = stage.leave(State(rows), gaussian(rows, stage.t, stage.s), lambda number: fresh).x
        covariance = left[:3].T @ covariance @ left[:3] + left[3:].T @ left[3:]
    return covariance


def cloud_of(count: int, levels: list[float], threshold: float, seed: int):
    table = normal(len(levels), count + 1, 3, seed=seed)
    start = levels[0] * table[0, :count]
    *_, last = twisted(
        gaussian,
        EDM(),
        start,
        levels,
        lambda x: x @ SEEN.T,
        OBSERVED,
        lambda step, draw, first, stop: table[step, draw, first:stop],
        noise_level=0.2,
        sigma_data=1.0,
        threshold=threshold,
    )
    return last


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_particles_give_the_posterior_and_its_evidence(threshold):
    """Of the walk's own prior, however few its steps and whether they are resampled or not."""
    levels, count = karras(8, 0.05, 5), 6000
    prior = prior_of_the_walk(levels)
    innovation = SEEN @ prior @ SEEN.T + 0.2**2 * torch.eye(2)
    gain = prior @ SEEN.T @ torch.linalg.inv(innovation)
    covariance = prior - gain @ SEEN @ prior
    last = cloud_of(count, levels, threshold, seed=5)
    shares = last.log_weights.softmax(0)
    mean = shares @ last.x
    found = (last.x - mean).T @ ((last.x - mean) * shares[:, None])
    deviations = (mean - gain @ OBSERVED) / covariance.diag().sqrt()
    assert deviations.abs().max() < 4 / math.sqrt(count / 10)
    torch.testing.assert_close(found, covariance, rtol=0.1, atol=0.02)
    evidence = MultivariateNormal(torch.zeros(2).double(), innovation).log_prob(OBSERVED)
    estimate = last.log_weights.logsumexp(0) - math.log(count)
    assert estimate.item() == pytest.approx(evidence.item(), abs=0.08)


def test_resampling_is_systematic_and_keeps_the_mean_weight():
    weights = torch.tensor([[0.5, 1.0], [0.1, 1.1], [0.35, 0.9], [0.05, 1.0]], dtype=torch.float64)
    for u in (0.001, 0.3, 1.0):
        left, chosen = resampled(weights.log() + 3, 0.9, torch.tensor(u).double())
        counts = torch.bincount(chosen[:, 0], minlength=4)
        assert ((counts - 4 * weights[:, 0]).abs() < 1).all()
        torch.testing.assert_close(left[:, 0], torch.full((4,), math.log(0.25) + 3).double())
        assert chosen[:, 1].tolist() == [0, 1, 2, 3]  # as even as that: left alone
        torch.testing.assert_close(left[:, 1], weights[:, 1].log() + 3)
    expected = torch.zeros(4)
    for u in torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64):
        expected += torch.bincount(resampled(weights.log(), 0.9, u)[1][:, 0], minlength=4) / 1000
    torch.testing.assert_close(expected, 4 * weights[:, 0].float(), rtol=0, atol=0.01)


def test_rows_are_resampled_where_few_particles_count():
    """1 / sum w² of (0.5, 0.5, 0, 0) is 2 of 4."""
    log_weights = torch.tensor([0.5, 0.5, 1e-9, 1e-9], dtype=torch.float64).log()
    for share, expected in ((0.51, [0, 0, 1, 1]), (0.49, [0, 1, 2, 3])):
        assert resampled(log_weights, share, torch.tensor(0.5).double())[1].tolist() == expected


# --- What holds for each ------------------------------------------------------------------------------

Run = Callable[[Denoiser, Tensor, Tensor, Noise], Tensor]


def last_of_daps(denoiser: Denoiser, x: Tensor, y: Tensor, source: Noise) -> Tensor:
    *_, last = daps(denoiser, EDM(), x, [1.0, 0.3, 0.0], FIR.forward, y, source, 0.2, langevin_steps=3)
    return last.x


def last_of_red_diff(denoiser: Denoiser, x: Tensor, y: Tensor, source: Noise) -> Tensor:
    *_, last = red_diff(denoiser, EDM(), x, [1.0, 0.3, 0.1], FIR.forward, y, source)
    return last.x


def last_of_twisted(denoiser: Denoiser, x: Tensor, y: Tensor, source: Noise) -> Tensor:
    particles = torch.stack([(k + 1) * x for k in range(8)])
    levels = [1.0, 0.3, 0.0]
    *_, last = twisted(denoiser, EDM(), particles, levels, FIR.forward, y, source, 0.2, 1.0, threshold=0.99)
    return last.x.movedim(0, -2)


SAMPLERS: dict[str, Run] = {"DAPS": last_of_daps, "RED-diff": last_of_red_diff, "TDS": last_of_twisted}


@pytest.mark.parametrize("run", SAMPLERS.values(), ids=SAMPLERS)
def test_a_row_does_not_know_of_the_others(run):
    together = run(denoise, torch.stack((X[0], 100 * X[1])), Y, noise)
    alone = run(denoise, X[:1], Y[:1], noise)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("run", SAMPLERS.values(), ids=SAMPLERS)
def test_the_mode_changes_nothing_the_input_stays_and_no_graph_is_left(run):
    x = X.clone()
    plain = run(denoise, x, Y, noise)
    assert torch.equal(x, X)
    assert not plain.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(run(denoise, X.clone(), Y, noise), plain, rtol=0, atol=0)


@pytest.mark.parametrize("run", SAMPLERS.values(), ids=SAMPLERS)
def test_the_counter_based_noise_and_single_precision_serve(run):
    first, again, other = (run(denoise, X.float(), Y.float(), seeded(seed)) for seed in (3, 3, 4))
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("level", [0.0, -1.0, math.nan])
def test_a_noise_level_must_be_above_zero(level):
    problem = (denoise, EDM(), X, [1.0, 0.0], FIR.forward, Y, noise, level)
    with pytest.raises(UsageError, match=f"daps: noise_level is {level:g}; it must be above 0"):
        next(daps(*problem))
    with pytest.raises(UsageError, match=f"twisted: noise_level is {level:g}; it must be above 0"):
        next(twisted(*problem, 1.0))


@pytest.mark.parametrize("stride", [0.0, 2.0, math.nan])
def test_a_stride_that_does_not_converge_is_refused(stride):
    with pytest.raises(UsageError, match=f"stride is {stride:g}; it must lie between 0 and 2"):
        next(daps(denoise, EDM(), X, [1.0, 0.0], FIR.forward, Y, noise, 0.1, stride=stride))


def test_particles_are_moved_by_no_more_than_their_residual():
    """A denoiser of slope 50 would move them by 50 residuals and more; half a one is allowed."""
    x, table = torch.tensor([[0.3, -0.2, 0.1]]).double(), torch.zeros(3).double()

    def steep(x, t, s, carry=None):
        return Estimate(50 * x)

    def moved(longest):
        problem = steep, EDM(), x, [1.0, 0.5, 0.0], lambda x: x, torch.ones(3).double(), lambda *_: table
        return next(twisted(*problem, noise_level=0.2, sigma_data=1.0, longest=longest)).x

    free, held = moved(math.inf) - moved(0.0), moved(0.5) - moved(0.0)
    kept = 0.75  # of a shift of the estimate: 1 - rho s / t
    assert held.norm().item() == pytest.approx(0.5 * (1 - 50 * x).norm().item() * kept)
    torch.testing.assert_close(free / free.norm(), held / held.norm())
    assert free.norm() > 50 * held.norm()


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        (
            lambda denoise: red_diff(denoise, EDM(), X, [0.9, 0.5], FIR.forward, Y, noise),
            [(0.9, 0.9, None), (0.5, 0.5, 1)],  # it goes nowhere, but to the next draw
        ),
        (
            lambda denoise: twisted(
                denoise, EDM(), X[None], [0.9, 0.5, 0.0], FIR.forward, Y, noise, SIGMA_Y, 0.7
            ),
            [(0.9, 0.5, None), (0.5, 0.0, None)],  # carries would be mixed up by resampling
        ),
    ],
    ids=["RED-diff", "TDS"],
)
def test_the_denoiser_is_told_where_it_stands_where_it_goes_and_what_it_carried(walk, expected):
    told = []

    def telling(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        told.append((t, s, carry))
        return Estimate(torch.tanh(x), carry=len(told))

    list(walk(telling))
    assert told == expected


def test_who_is_resampled_is_drawn_apart_from_how_the_particles_move():
    drawn = []

    def listed(step: int, draw: int, start: int, stop: int) -> Tensor:
        drawn.append((step, draw, start, stop))
        return noise(step, draw, start, stop)

    particles = X[None].expand(3, -1, -1)
    next(twisted(denoise, EDM(), particles, [0.9, 0.5, 0.0], FIR.forward, Y, listed, SIGMA_Y, 0.7))
    assert sorted(drawn) == [(1, 0, 0, N), (1, 1, 0, N), (1, 2, 0, N), (1, 3, 0, 1)]


def test_particles_must_arrive():
    with pytest.raises(UsageError, match=r"ends at time 0\.5; it must end at 0"):
        next(twisted(denoise, EDM(), X, [1.0, 0.5], FIR.forward, Y, noise, 0.1, 1.0))
