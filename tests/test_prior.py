"""A trained prior: what the network is given, and where; and that its weights fit its card."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from audiomend.conditions import Condition
from audiomend.errors import ModelError
from audiomend.models.prior import TrainedPrior, arguments_of, load
from audiomend.models.store import write_model
from audiomend.models.untrained import CARD
from audiomend.networks import patch_unet
from audiomend.networks.patch_unet import Architecture, PatchUnet, Seen


class Noted(nn.Module):
    """Keeps what it was given, row by row as a network on the CPU is, and answers with zeros."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, device=device))
        self.given: list[list[object]] = []

    def forward(self, x: Tensor, log_level: Tensor, bandwidth: Tensor, seen: Seen | None) -> Tensor:
        assert len(x) == 1 or x.device.type != "cpu"
        self.given.append([x, log_level, bandwidth, seen])
        return torch.zeros_like(x)


def condition() -> Condition:
    return Condition(
        torch.full((2, 8), 0.3), torch.ones(2, 8), torch.full((2, 8), -0.2), torch.tensor([math.inf, 4410.0])
    )


def test_the_network_sees_units_of_sigma_data_and_shares_of_nyquist() -> None:
    network = Noted("cpu")
    x = torch.tensor([[1.0], [3.0]]).expand(2, 8)
    clean = TrainedPrior(CARD, network).denoiser(11_025.0, condition())(x, 0.1, 0.0).clean  # type: ignore[arg-type]
    assert len(network.given) == 2
    for row, (scaled, level, bandwidth, seen) in enumerate(network.given):
        assert isinstance(seen, Seen)
        torch.testing.assert_close(scaled, x[row : row + 1] / math.hypot(0.1, 0.1))
        torch.testing.assert_close(level, torch.zeros(1))
        torch.testing.assert_close(bandwidth, torch.full((1,), 0.5))
        torch.testing.assert_close(seen.observation, torch.full((1, 8), 3.0))
        torch.testing.assert_close(seen.clip, torch.full((1, 8), -2.0))
        torch.testing.assert_close(seen.cutoff, torch.tensor([(0.0, 0.2)[row]]))
        torch.testing.assert_close(seen.present, torch.ones(1))
        torch.testing.assert_close(seen.unknown, torch.ones(1, 8))
    torch.testing.assert_close(clean, x / 2)


@pytest.mark.parametrize(("band", "share"), [(None, 0.0), (22_050.0, 1.0), (48_000.0, 1.0)])
def test_an_unknown_bandwidth_is_0_and_none_is_above_nyquist(band: float | None, share: float) -> None:
    network = Noted("cpu")
    TrainedPrior(CARD, network).denoiser(band)(torch.ones(1, 8), 1.0, 0.0)  # type: ignore[arg-type]
    assert network.given[0][2] == torch.tensor([share])
    assert network.given[0][3] is None


def test_all_goes_to_the_networks_device() -> None:
    network = Noted("meta")
    with pytest.raises(NotImplementedError, match="meta"):  # its answer has no numbers to bring back
        TrainedPrior(CARD, network).denoiser(None, condition())(torch.ones(2, 8), 1.0, 0.0)  # type: ignore[arg-type]
    *others, seen = network.given[0]
    assert isinstance(seen, Seen)
    assert {t.device.type for t in (*others, *vars(seen).values())} == {"meta"}  # type: ignore[union-attr]


SMALL = Architecture(length=8192, widths=(8, 16), window=256, hop=64, long_window=1024)
FIRST = "embedding.layers.0.weight"


def changed(name: str, tensor: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({name: tensor(tensors[name]).contiguous()})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop(FIRST), f"1 tensors are missing or unknown, {FIRST} among them"),
        (lambda tensors: tensors.update(a=torch.zeros(1)), "1 tensors are missing or unknown, a among them"),
        (changed(FIRST, lambda t: t[:-1]), f"{FIRST} is .* of torch.float32, the network has .* of torch.fl"),
        (changed(FIRST, lambda t: t.int()), f"{FIRST} is .* of torch.int32, the network has"),
    ],
)
def test_weights_that_do_not_fit_the_card_are_refused_before_the_network_is_made(
    change: Callable[[dict[str, Tensor]], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = PatchUnet(SMALL).state_dict()
    change(tensors)
    arguments = {"architecture": PatchUnet.__name__, "arguments": arguments_of(SMALL)}
    write_model(dataclasses.replace(CARD, **arguments), save(tensors), tmp_path / "model")
    devices = list[str]()
    monkeypatch.setattr(patch_unet._Embedding, "__init__", noting(devices, patch_unet._Embedding.__init__))
    with pytest.raises(ModelError, match=f"The weights of wiener do not fit its card: {words}"):
        load(tmp_path / "model")
    assert devices == ["meta"]


def noting(devices: list[str], init: Callable[[nn.Module], None]) -> Callable[[nn.Module], None]:
    """A constructor that notes where tensors are made."""

    def noted(module: nn.Module) -> None:
        devices.append(torch.zeros(1).device.type)
        init(module)

    return noted
