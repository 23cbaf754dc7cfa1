import math

import numpy as np
import pytest
import torch
from torch import nn

from audiomend.training.ema import LONG_GAMMA, SHORT_GAMMA, Averages


class One(nn.Module):
    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)


def averaged(steps: int) -> Averages:
    """Averages of a parameter that is the unit vector of its step: entry i is the weight of step i + 1."""
    network = One(torch.full((steps,), 7.0, dtype=torch.float64))
    averages = Averages(network)
    for row in torch.eye(steps, dtype=torch.float64):
        network.values.data.copy_(row)
        averages.update(network)
    return averages


@pytest.mark.parametrize(("kind", "gamma"), [("short", SHORT_GAMMA), ("long", LONG_GAMMA)])
def test_the_profile_is_a_power_function_of_the_step(kind: str, gamma: float):
    # The product of beta_j = (1 - 1/j)^(gamma + 1) over j = i + 1 .. T telescopes to (i / T)^(gamma + 1).
    steps = 40
    edges = (np.arange(steps + 1) / steps) ** (gamma + 1)
    np.testing.assert_allclose(
        getattr(averaged(steps), kind)["values"], np.diff(edges), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("gamma", "width"), [(SHORT_GAMMA, 0.05), (LONG_GAMMA, 0.10)])
def test_gammas_have_the_relative_widths_of_their_names(gamma: float, width: float):
    # Standard deviation of the profile over the length of the run, Karras et al. 2024, eq. 126.
    relative = math.sqrt(gamma + 1) / ((gamma + 2) * math.sqrt(gamma + 3))
    assert relative == pytest.approx(width, rel=1e-3)


def test_the_first_update_forgets_the_start():
    assert averaged(1).short["values"].tolist() == [1.0]


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    network = One(torch.zeros(3))
    first, second = Averages(network), Averages(network)
    for value in (1.0, 5.0):
        network.values.data.fill_(value)
        first.update(network)
    second.load(first.step, first.state())
    network.values.data.fill_(-2.0)
    first.update(network)
    second.update(network)
    assert torch.equal(first.short["values"], second.short["values"])
    assert torch.equal(first.long["values"], second.long["values"])
    assert second.step == 3


def test_the_state_holds_both_averages_of_every_parameter():
    assert set(Averages(One(torch.zeros(3))).state()) == {"short.values", "long.values"}


def test_averages_are_copies():
    network = One(torch.zeros(3))
    averages = Averages(network)
    network.values.data.fill_(1.0)
    assert averages.long["values"].tolist() == [0.0, 0.0, 0.0]
