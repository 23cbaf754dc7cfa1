"""Processes: coefficients, derivatives, and the arithmetic that every process shares."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from audiomend.denoisers.base import Estimate, implied_noise, noise_of
from audiomend.errors import UsageError
from audiomend.processes.base import Coefficients, Process, centred, combine, renoised, sde
from audiomend.processes.edm import EDM
from audiomend.processes.ouve import OUVE
from audiomend.processes.sbve import SBVE
from audiomend.processes.sub_vp import SubVP
from audiomend.processes.vp import VP


@dataclass(frozen=True)
class Decay:
    """A process with all three coefficients: clean sound decays into the anchor."""

    anchor: Tensor

    def coefficients(self, t: float) -> Coefficients:
        return Coefficients(math.exp(-t), 1 - math.exp(-t), 0.7 * t)

    def derivatives(self, t: float) -> Coefficients:
        return Coefficients(-math.exp(-t), math.exp(-t), 0.7)


def test_edm_adds_noise_of_level_t_to_the_clean_signal():
    assert EDM().anchor is None
    assert EDM().coefficients(0.3) == Coefficients(a=1, b=0, s=0.3)


@dataclass(frozen=True)
class Published:
    """dx = (alpha x + beta anchor) dt + g dw as its paper has it: t -> (alpha, beta, g^2)."""

    process: Process
    equation: Callable[[float], tuple[float, float, float]]


def vp(t: float) -> float:
    return 0.1 + 19.9 * t


def bridge(t: float) -> tuple[float, float, float]:
    """Brownian motion of variance 0.4 2.6^(2 t) that is drawn to its end by what is left of the variance."""
    left = 0.4 * (2.6**2 - 2.6 ** (2 * t)) / (2 * math.log(2.6))
    pull = 0.4 * 2.6 ** (2 * t) / left
    return -pull, pull, 0.4 * 2.6 ** (2 * t)


ANCHOR = torch.tensor([2.0, -3.0], dtype=torch.float64)
PUBLISHED = {
    "edm": Published(EDM(), lambda t: (0, 0, 2 * t)),
    "vp": Published(VP(), lambda t: (-vp(t) / 2, 0, vp(t))),
    "narrow vp": Published(VP(0.3, 4.0), lambda t: (-(0.3 + 3.7 * t) / 2, 0, 0.3 + 3.7 * t)),
    "sub-vp": Published(
        SubVP(), lambda t: (-vp(t) / 2, 0, vp(t) * (1 - math.exp(-2 * (0.1 * t + 9.95 * t**2))))
    ),
    "ouve": Published(OUVE(ANCHOR), lambda t: (-1.5, 1.5, 0.05**2 * 10 ** (2 * t) * 2 * math.log(10))),
    "ouve 48k": Published(
        OUVE(ANCHOR, 2.0, 0.1, 1.0), lambda t: (-2, 2, 0.1**2 * 10 ** (2 * t) * 2 * math.log(10))
    ),
    "ouve 4": Published(
        OUVE(ANCHOR, 0.7, 0.2, 0.8), lambda t: (-0.7, 0.7, 0.2**2 * 4 ** (2 * t) * 2 * math.log(4))
    ),
    "sbve": Published(SBVE(ANCHOR), bridge),
}
TIMES = [0.004, 0.2, 0.5, 0.77, 0.98]


@pytest.mark.parametrize("name", PUBLISHED)
def test_coefficients_are_the_moments_of_the_published_equation(name):
    """The mean obeys m' = alpha m + beta anchor and the variance V' = 2 alpha V + g^2, from x_0 on."""

    def slope(t: float, moments: np.ndarray) -> list[float]:
        a, b, variance = moments
        alpha, beta, g2 = PUBLISHED[name].equation(t)
        return [alpha * a, alpha * b + beta, 2 * alpha * variance + g2]

    walked = solve_ivp(slope, (0, TIMES[-1]), [1, 0, 0], t_eval=TIMES, rtol=1e-11, atol=1e-13)
    for t, (a, b, variance) in zip(TIMES, walked.y.T, strict=True):
        c = PUBLISHED[name].process.coefficients(t)
        assert (c.a, c.b, c.s**2) == pytest.approx((a, b, variance), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_equation_of_a_process_follows_from_its_coefficients(name):
    for t in TIMES:
        found = sde(PUBLISHED[name].process, t)
        expected = PUBLISHED[name].equation(t)
        assert (found.alpha, found.beta, found.g2) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_process_starts_from_the_clean_signal(name):
    assert PUBLISHED[name].process.coefficients(0) == Coefficients(1, 0, 0)


def test_the_bridge_ends_at_its_anchor():
    assert SBVE(ANCHOR).coefficients(1) == Coefficients(0, 1, 0)
    for process in (VP(), SubVP()):
        assert process.coefficients(1).a == pytest.approx(math.exp(-5.025))
    assert SBVE(ANCHOR).variances(1)[0] == pytest.approx(1.2056, abs=5e-5)  # as published


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_a_process_has_no_equation_where_there_is_no_noise(t):
    with pytest.raises(UsageError, match=f"time {t:g}"):
        sde(SBVE(ANCHOR), t)


@pytest.mark.parametrize("name", PUBLISHED)
def test_fresh_noise_takes_a_state_to_a_later_marginal(name):
    process, clean = PUBLISHED[name].process, torch.tensor([0.4, -2.0]).double()
    before, after = process.coefficients(0.2), process.coefficients(0.5)

    def offset(old: float, fresh: float) -> Tensor:
        x = combine(process, before, clean, torch.full((2,), old).double())
        later = renoised(process, x, 0.2, 0.5, torch.full((2,), fresh).double())
        return later - combine(process, after, clean)

    torch.testing.assert_close(offset(0, 0), torch.zeros(2).double())
    kept, fresh = offset(1, 0), offset(0, 1)
    torch.testing.assert_close(kept, torch.full((2,), before.s * after.a / before.a).double())
    torch.testing.assert_close(kept**2 + fresh**2, torch.full((2,), after.s**2).double())


@pytest.mark.parametrize("process", [EDM(), Decay(torch.zeros(1)), *(p.process for p in PUBLISHED.values())])
@pytest.mark.parametrize("t", [0.2, 0.9])
def test_derivatives_are_the_slopes_of_the_coefficients(process, t):
    above, below, slope = (
        process.coefficients(t + 1e-5),
        process.coefficients(t - 1e-5),
        process.derivatives(t),
    )
    for name in ("a", "b", "s"):
        assert (getattr(above, name) - getattr(below, name)) / 2e-5 == pytest.approx(
            getattr(slope, name), rel=1e-7, abs=1e-8
        )


def test_a_state_combines_clean_signal_anchor_and_noise():
    process = Decay(anchor=torch.tensor([2.0, -3.0], dtype=torch.float64))
    clean, noise = torch.tensor([[1.0, 4.0]]).double(), torch.tensor([0.5, -1.0]).double()
    x = combine(process, Coefficients(0.25, 0.5, 3.0), clean, noise)
    torch.testing.assert_close(x, torch.tensor([[0.25 + 1.0 + 1.5, 1.0 - 1.5 - 3.0]]).double())


@pytest.mark.parametrize("anchored", [False, True])
def test_the_implied_noise_and_the_anchor_come_back_out_of_the_state(anchored):
    generator = torch.Generator().manual_seed(0)
    clean, noise, anchor = torch.randn(3, 2, 16, generator=generator, dtype=torch.float64)
    process = Decay(anchor) if anchored else EDM()
    c = process.coefficients(0.4)
    x = combine(process, c, clean, noise)
    torch.testing.assert_close(implied_noise(process, x, 0.4, clean), noise)
    torch.testing.assert_close(centred(process, x, 0.4), c.a * clean + c.s * noise)


def test_an_estimate_stands_for_its_own_noise_or_the_implied_one():
    x, clean, noise = torch.tensor([3.0]), torch.tensor([1.0]), torch.tensor([7.0])
    assert noise_of(EDM(), x, 0.5, Estimate(clean, noise)) is noise
    torch.testing.assert_close(noise_of(EDM(), x, 0.5, Estimate(clean)), torch.tensor([4.0]))


def test_a_state_without_noise_implies_none():
    x = torch.tensor([2.5, -3.5]).double()
    assert implied_noise(SBVE(ANCHOR), x, 1.0, torch.ones(2).double()).tolist() == [0, 0]
