"""The prior's network: equal to its plain form, and to the Wiener estimate before training."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from audiomend.networks.patch_unet import Architecture, PatchUnet, Seen
from audiomend.networks.wiener_gain import wiener_gain
from audiomend.transforms.stft import Stft

SMALL = Architecture(length=16_384, widths=(8, 16, 24), window=256, hop=64, long_window=1024)


def filled(architecture: Architecture = SMALL, scale: float = 0.3) -> PatchUnet:
    torch.manual_seed(0)
    network = PatchUnet(architecture)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.abs().max() == 0 or "bias" in name or "modulation" in name:
                parameter.normal_(0, scale / math.sqrt(parameter.shape[-1]))
    return network.requires_grad_(False)


def inputs(batch: int = 3, length: int = SMALL.length) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, length, generator=generator)
    # 51/128 is the centre of a column, which counts as below the bandwidth
    return x, torch.tensor([-4.0, 0.3, 2.0])[:batch], torch.tensor([0.0, 51 / 128, 1.0])[:batch]


def seen(batch: int = 3, length: int = SMALL.length) -> Seen:
    generator = torch.Generator().manual_seed(2)
    unknown = (torch.rand(batch, length, generator=generator) < 0.1).float()
    observation = torch.randn(batch, length, generator=generator) * (1 - unknown)
    return Seen(
        observation=observation,
        unknown=unknown,
        clip=unknown * 1.3,
        cutoff=torch.tensor([0.0, 0.25, 0.5])[:batch],
        present=torch.tensor([1.0, 1.0, 0.0])[:batch],
    )


@pytest.mark.parametrize(("conditioned", "depth"), [(False, 1), (True, 1), (True, 3)])
def test_equals_its_plain_form(
    conditioned: bool, depth: int, benchmark_file: Callable[[str], ModuleType]
) -> None:
    network = filled(replace(SMALL, depth=depth))
    knowledge = seen() if conditioned else None
    fast = network(*inputs(), knowledge)
    plain_form = benchmark_file("plain_prior").plain_prior
    plain = plain_form(dict(network.state_dict()), network.architecture, *inputs(), knowledge)
    assert (fast - plain).abs().max() < 2e-5 * plain.abs().max()
    assert plain.std() > 0.1


def test_bfloat16_stays_near_float32() -> None:
    exact, network = filled(), PatchUnet(SMALL, torch.bfloat16)
    network.load_state_dict(exact.state_dict())
    full, coarse = exact(*inputs(), seen()), network(*inputs(), seen())
    assert (full - coarse).square().mean() < 1e-4 * full.square().mean()


def test_before_training_it_is_the_wiener_estimate() -> None:
    torch.manual_seed(0)
    x, level, bandwidth = inputs(1)
    predicted = PatchUnet(SMALL).requires_grad_(False)(x, level, bandwidth)
    s, c = math.exp(level) / math.hypot(1, math.exp(level)), 1 / math.hypot(1, math.exp(level))
    # F = s x0 - c e with x0 = D(y) and y = (x0 + sigma e) c, all in units of sigma_data.
    clean = (predicted + (c / s) * x) / (s + c * c / s)

    def shrunk(window: int, hop: int, bins: int) -> torch.Tensor:
        transform = Stft(window, hop, bins)
        u = transform.forward(x) / s
        gain = wiener_gain(u.abs().square(), level)
        return transform.inverse(u * gain) * s / c

    short, long = shrunk(256, 64, 128), shrunk(1024, 128, 512)
    band = 64 * SMALL.length // 1024  # of the whole transform, where the long window ends
    found, expected_short, expected_long = (torch.fft.rfft(y[0]) for y in (clean, short, long))
    below, above = slice(0, int(0.45 * band)), slice(int(1.2 * band), SMALL.length // 2 - 400)
    scale = expected_short[above].abs().max()
    assert (found[above] - expected_short[above]).abs().max() < 0.02 * scale
    mean = (expected_short + expected_long)[below] / 2
    assert (found[below] - mean).abs().max() < 0.02 * mean.abs().max()


def test_rows_are_independent() -> None:
    network, (x, level, bandwidth), knowledge = filled(), inputs(), seen()
    together = network(x, level, bandwidth, knowledge)
    for row in range(3):
        one = slice(row, row + 1)
        alone = Seen(**{name: value[one] for name, value in vars(knowledge).items()})
        torch.testing.assert_close(
            network(x[one], level[one], bandwidth[one], alone), together[one], atol=1e-5, rtol=1e-4
        )


def test_a_row_without_observation_is_unconditioned() -> None:
    network, knowledge = filled(), seen()
    absent = replace(knowledge, present=torch.zeros(3), cutoff=torch.zeros(3))
    torch.testing.assert_close(network(*inputs(), absent), network(*inputs()), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["observation", "unknown", "clip", "cutoff"])
def test_everything_it_is_told_matters(name: str) -> None:
    network, knowledge = filled(), seen()
    changed = replace(knowledge, **{name: getattr(knowledge, name) * 0.7})
    difference = network(*inputs(), changed) - network(*inputs(), knowledge)
    assert difference[1].abs().max() > 1e-4
    if name != "cutoff":
        assert difference[2].abs().max() == 0  # present is 0


def test_the_bandwidth_matters_and_0_means_not_told() -> None:
    network, (x, level, _) = filled(), inputs()
    told = network(x, level, torch.full((3,), 0.3))
    assert (told - network(x, level, torch.full((3,), 0.6))).abs().max() > 1e-4
    assert (told - network(x, level, torch.zeros(3))).abs().max() > 1e-4


def test_more_depth_begins_as_the_shallower_network_and_is_then_more() -> None:
    shallow = filled()
    deep = PatchUnet(replace(SMALL, depth=2))
    missing, unexpected = deep.load_state_dict(shallow.state_dict(), strict=False)
    assert unexpected == []
    assert {name.split(".")[0] for name in missing} == {"encoder", "decoder"}
    assert torch.equal(deep(*inputs(), seen()), shallow(*inputs(), seen()))
    network = filled(replace(SMALL, depth=2))
    for place in range(len(network.encoder)):
        for blocks in (network.encoder, network.decoder):
            before = network(*inputs())
            blocks[place].second.weight.data *= 2
            assert not torch.equal(network(*inputs()), before)


def test_gradients_reach_every_parameter() -> None:
    network = filled().requires_grad_(True)
    network(*inputs(), seen()).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_shipped_size() -> None:
    assert sum(p.numel() for p in PatchUnet(Architecture()).parameters()) == 5_050_496


@pytest.mark.parametrize("conditioned", [False, True])
def test_every_tensor_of_an_evaluation_is_on_the_networks_device(conditioned: bool) -> None:
    # The meta device holds no numbers but refuses, as a GPU does, what lies elsewhere.
    network = PatchUnet(SMALL).to("meta")
    knowledge = seen() if conditioned else None
    there = None if knowledge is None else Seen(**{n: t.to("meta") for n, t in vars(knowledge).items()})
    assert network(*(x.to("meta") for x in inputs()), there).device.type == "meta"
