"""A trained prior: what the network is given, and where."""

import math

import pytest
import torch
from torch import Tensor, nn

from audiomend.conditions import Condition
from audiomend.models.prior import TrainedPrior
from audiomend.models.untrained import CARD
from audiomend.networks.patch_unet import Seen


class Noted(nn.Module):
    """Keeps what it was given and answers with zeros."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, device=device))
        self.given: list[object] = []

    def forward(self, x: Tensor, log_level: Tensor, bandwidth: Tensor, seen: Seen | None) -> Tensor:
        self.given = [x, log_level, bandwidth, seen]
        return torch.zeros_like(x)


def condition() -> Condition:
    return Condition(
        torch.full((2, 8), 0.3), torch.ones(2, 8), torch.full((2, 8), -0.2), torch.tensor([math.inf, 4410.0])
    )


def test_the_network_sees_units_of_sigma_data_and_shares_of_nyquist() -> None:
    network = Noted("cpu")
    x = torch.ones(2, 8)
    clean = TrainedPrior(CARD, network).denoiser(11_025.0, condition())(x, 0.1, 0.0).clean  # type: ignore[arg-type]
    scaled, level, bandwidth, seen = network.given
    assert isinstance(seen, Seen)
    torch.testing.assert_close(scaled, x / math.hypot(0.1, 0.1))
    torch.testing.assert_close(level, torch.zeros(2))
    torch.testing.assert_close(bandwidth, torch.full((2,), 0.5))
    torch.testing.assert_close(seen.observation, torch.full((2, 8), 3.0))
    torch.testing.assert_close(seen.clip, torch.full((2, 8), -2.0))
    torch.testing.assert_close(seen.cutoff, torch.tensor([0.0, 0.2]))
    torch.testing.assert_close(seen.present, torch.ones(2))
    torch.testing.assert_close(seen.unknown, torch.ones(2, 8))
    torch.testing.assert_close(clean, x / 2)


@pytest.mark.parametrize(("band", "share"), [(None, 0.0), (22_050.0, 1.0), (48_000.0, 1.0)])
def test_an_unknown_bandwidth_is_0_and_none_is_above_nyquist(band: float | None, share: float) -> None:
    network = Noted("cpu")
    TrainedPrior(CARD, network).denoiser(band)(torch.ones(1, 8), 1.0, 0.0)  # type: ignore[arg-type]
    assert network.given[2] == torch.tensor([share])
    assert network.given[3] is None


def test_all_goes_to_the_networks_device() -> None:
    network = Noted("meta")
    with pytest.raises(NotImplementedError, match="meta"):  # its answer has no numbers to bring back
        TrainedPrior(CARD, network).denoiser(None, condition())(torch.ones(2, 8), 1.0, 0.0)  # type: ignore[arg-type]
    seen = network.given.pop()
    assert isinstance(seen, Seen)
    assert {t.device.type for t in (*network.given, *vars(seen).values())} == {"meta"}  # type: ignore[union-attr]
