"""Processes: coefficients, derivatives, and the arithmetic that every process shares."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Estimate, implied_noise, noise_of
from audiomend.processes.base import Coefficients, centred, combine
from audiomend.processes.edm import EDM


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


@pytest.mark.parametrize("process", [EDM(), Decay(torch.zeros(1))])
@pytest.mark.parametrize("t", [0.2, 1.5])
def test_derivatives_are_the_slopes_of_the_coefficients(process, t):
    above, below, slope = (
        process.coefficients(t + 1e-5),
        process.coefficients(t - 1e-5),
        process.derivatives(t),
    )
    for name in ("a", "b", "s"):
        assert (getattr(above, name) - getattr(below, name)) / 2e-5 == pytest.approx(
            getattr(slope, name), abs=1e-8
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
