"""The adaptive walk: as exact as its tolerance, at the price that this has."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.errors import UsageError
from audiomend.processes.base import Process
from audiomend.processes.edm import EDM
from audiomend.processes.ouve import OUVE
from audiomend.processes.sbve import SBVE
from audiomend.processes.vp import VP
from audiomend.samplers.adaptive import Reached, adaptive

SPREAD = 0.5
X = torch.tensor([[1.0, -3.0, 0.2]], dtype=torch.float64)
ANCHOR = torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64)


def gaussian(process: Process):
    """E[x_0 | x_t] for x_0 ~ N(0, SPREAD^2)."""

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        c = process.coefficients(t)
        centre = 0 if process.anchor is None else c.b * process.anchor
        return Estimate(SPREAD**2 * c.a / ((c.a * SPREAD) ** 2 + c.s**2) * (x - centre))

    return denoise


def exact(process: Process, start: float, stop: float) -> Tensor:
    before, after = process.coefficients(start), process.coefficients(stop)
    anchor = 0 if process.anchor is None else process.anchor
    ratio = math.hypot(after.a * SPREAD, after.s) / math.hypot(before.a * SPREAD, before.s)
    return after.b * anchor + ratio * (X - before.b * anchor)


def walked(process: Process, start: float, stop: float, tolerance: float = 1e-5) -> list[Reached]:
    return list(adaptive(gaussian(process), process, X, start, stop, tolerance))


@pytest.mark.parametrize(
    ("process", "start", "stop"),
    [(EDM(), 10, 0.01), (VP(), 1, 0.01), (OUVE(ANCHOR), 1, 0.03), (SBVE(ANCHOR), 0.95, 0.05)],
)
def test_the_error_stays_near_the_tolerance(process, start, stop):
    for tolerance in (1e-3, 1e-5, 1e-8):
        *_, last = walked(process, start, stop, tolerance)
        assert last.t == stop
        assert (last.x - exact(process, start, stop)).abs().max() < 50 * tolerance


def test_a_finer_tolerance_costs_what_order_5_makes_it_cost():
    costs = [walked(EDM(), 10, 0.01, tolerance)[-1].evaluations for tolerance in (1e-5, 1e-10)]
    assert 3 < costs[1] / costs[0] < 14  # 10^(5 / 5) at most


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_tolerance_is_relative_and_absolute(size):
    """Against SciPy's solution of dx/dt = t x / (SPREAD^2 + t^2): one for the quiet, one for the loud."""
    steps = list(adaptive(gaussian(EDM()), EDM(), size * X, 10, 0.01, 1e-4))
    plain = solve_ivp(
        lambda t, x: t * x / (SPREAD**2 + t**2), (10, 0.01), size * X[0].numpy(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose([step.t for step in steps], plain.t[1:], rtol=1e-6)


def test_the_walk_tells_where_it_stands():
    called = []

    def counted(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        called.append((t, s, carry))
        return Estimate(gaussian(EDM())(x, t, s).clean, carry=len(called))

    reached, seen = [], []
    for step in adaptive(counted, EDM(), X, 2.0, 0.1):
        reached.append(step)
        seen.append(len(called))
    assert [step.evaluations for step in reached] == seen
    assert np.all(np.diff([2.0, *(step.t for step in reached)]) < 0)
    assert {s for _, s, _ in called} == {0.1}
    assert [carry for *_, carry in called] == [None, *range(1, len(called))]
    assert all(0.1 - 1e-12 <= t <= 2 for t, *_ in called)


def test_the_noise_that_a_guidance_has_kept_is_used():
    """A slope of s' e = 3 from time 2 to 1, with a x_0 that is constant."""

    def kept(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(torch.zeros_like(x), noise=torch.full_like(x, 3.0))

    *_, last = adaptive(kept, EDM(), X, 2.0, 1.0)
    torch.testing.assert_close(last.x, X - 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
def test_number_format_shape_and_input_stay(dtype):
    x = torch.ones(2, 1, 3, dtype=dtype)
    *_, last = adaptive(gaussian(EDM()), EDM(), x, 1.0, 0.5)
    assert (last.x.dtype, last.x.shape) == (dtype, x.shape)
    assert torch.equal(x, torch.ones_like(x))


@pytest.mark.parametrize(("start", "stop", "named"), [(1.0, 0.5, "1"), (0.5, 0.0, "0")])
def test_an_end_without_noise_is_refused(start, stop, named):
    with pytest.raises(UsageError, match=f"time {named},"):
        next(adaptive(gaussian(SBVE(ANCHOR)), SBVE(ANCHOR), X, start, stop))


def test_a_tolerance_out_of_reach_is_said():
    def rough(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        return Estimate(x / (t - 0.5))

    with pytest.raises(UsageError, match="tolerance of 1e-08"):
        list(adaptive(rough, EDM(), X, 1.0, 0.1, 1e-8))
