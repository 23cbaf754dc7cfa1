"""The network of CQT-Diff, number by number (tests/golden/README.md says where they come from)."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiomend.errors import UsageError
from audiomend.networks.cqtdiff import Architecture, CqtDiff, NoiseEmbedding

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "cqtdiff_network.npz")
WIDTHS = (8, 16, 16, 32, 32, 32)
NARROW = Architecture(length=8192, octaves=6, bins=48, widths=WIDTHS)
ODD = Architecture(length=6000, octaves=6, bins=48, widths=WIDTHS)  # odd numbers of columns in the pyramids


def filled(
    drawn: ModuleType,
    architecture: Architecture,
    seed: int,
    name: str,
    precision: torch.dtype = torch.float32,
) -> CqtDiff:
    network = CqtDiff(architecture, precision)
    sums = drawn.fill(network, seed, drawn.cqtdiff_rule, ("resample.kernel",))
    assert list(sums) == GOLDEN["names"].tolist()
    assert list(sums.values()) == GOLDEN[f"{name}_sums"].tolist()
    return network


def listened(network: nn.Module) -> dict[str, list[Tensor]]:
    """What each module of the goldens gives, every time it is called."""
    heard: dict[str, list[Tensor]] = {name: [] for name in GOLDEN["odd_stages"]}
    for name, results in heard.items():
        network.get_submodule(name).register_forward_hook(
            lambda *call, to=results: to.append(call[2].detach())
        )
    return heard


def test_output_stages_and_gradients(drawn: ModuleType) -> None:
    network = filled(drawn, ODD, 17, "odd", torch.float64).double()
    heard = listened(network)
    x = drawn.normal(18, 1, 6000).double().requires_grad_()
    y = network(x, torch.from_numpy(GOLDEN["odd_level"]).double())
    assert drawn.deviation("odd_output", y) < 1e-12
    for row, name in enumerate(GOLDEN["odd_stages"]):
        heard[name] = [r.permute(0, 3, 2, 1) if r.ndim == 4 else r for r in heard[name]]
        at, expected = torch.from_numpy(GOLDEN["odd_stage_at"][row]).long(), GOLDEN["odd_stage"][row]
        # samplers are called twice, for the signal and for its pyramid
        errors = [
            np.abs(result.flatten()[at % result.numel()].numpy() - expected).max() for result in heard[name]
        ]
        assert min(errors) < 1e-11, name

    (y * drawn.normal(19, 1, 6000)).sum().backward()
    assert x.grad is not None
    assert drawn.deviation("odd_gradient", x.grad) < 1e-12
    parameters = dict(network.named_parameters())
    assert [name for name, p in parameters.items() if p.requires_grad] == GOLDEN["trained"].tolist()
    norms = [parameters[name].grad.norm().item() for name in GOLDEN["trained"]]
    np.testing.assert_allclose(norms, GOLDEN["odd_gradient_norms"], rtol=1e-12)


def test_output_in_float32(drawn: ModuleType) -> None:
    network = filled(drawn, NARROW, 7, "narrow").requires_grad_(False)
    x, level = drawn.normal(8, 2, 8192), torch.from_numpy(GOLDEN["narrow_level"])
    assert drawn.deviation("narrow_output", network(x, level)) < 1e-6  # the published code in float32: 3.2e-6


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["reduced", "paper"])
def test_published_widths(drawn: ModuleType, name: str) -> None:
    found = dict(drawn.deviations(name))
    assert list(found) == [golden for golden in drawn.PUBLISHED_FLOAT32 if golden.startswith(name)]
    assert max(found.values()) < drawn.LIMIT == 1e-5


def test_bfloat16_stays_near_float32(drawn: ModuleType) -> None:
    network = filled(drawn, ODD, 17, "odd", torch.bfloat16).requires_grad_(False)
    y = network(drawn.normal(18, 1, 6000), torch.from_numpy(GOLDEN["odd_level"]))
    assert y.dtype == torch.float32
    assert drawn.deviation("odd_output", y) < 5e-2


def test_what_a_gradient_runs_again() -> None:
    """The narrowest blocks but for the last one."""
    architecture = Architecture(length=6000, octaves=6, bins=48, widths=(4, 8, 8))
    blocks = [block for block in CqtDiff(architecture).modules() if hasattr(block, "keep")]
    assert [block.keep for block in blocks] == [False, True, True, True, True, False, True]


def test_rows_know_their_number() -> None:
    network = CqtDiff(Architecture(length=6000, octaves=6, bins=48, widths=(4, 4)))
    turns = 2 * torch.pi * network.freq_encoding.RFF_freq[0, 3].double() * torch.arange(290)
    table = network.freq_encoding.embeddings[0]
    torch.testing.assert_close(table[3].double(), turns.sin(), rtol=0, atol=1e-6)
    torch.testing.assert_close(table[32 + 3].double(), turns.cos(), rtol=0, atol=1e-6)


def test_random_frequencies_spread_as_published() -> None:
    torch.manual_seed(0)
    assert NoiseEmbedding((20_000, 2)).RFF_freq.std().item() == pytest.approx(16, rel=0.03)
    network = CqtDiff(Architecture(length=6000, octaves=6, bins=48, widths=(4, 4)))
    assert network.freq_encoding.RFF_freq.std().item() == pytest.approx(16, rel=0.4)


def test_published_size() -> None:
    network = CqtDiff(Architecture())
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    assert len(network.state_dict()) == 181
    assert sum(sizes.values()) == 15_487_232
    assert sum(p.numel() for p in network.parameters() if not p.requires_grad) == 28_864
    assert list(network.state_dict())[10:12] == [
        "downs.0.0.film.output_layer.weight",
        "downs.0.0.film.output_layer.bias",
    ]
    assert network.state_dict()["downs.4.1.resample.kernel"].shape == (1, 1, 28)
    assert network.state_dict()["ups.0.1.resample.kernel"].shape == (2, 1, 15)
    assert network.state_dict()["ups.4.2.conv1x1.weight"].shape == (2, 32, 1, 1)


def test_before_training_it_gives_nothing() -> None:
    network = CqtDiff(Architecture(length=6000, octaves=6, bins=48, widths=(4, 4))).requires_grad_(False)
    assert not network(torch.randn(1, 6000), torch.zeros(1, 1)).any()


@pytest.mark.parametrize("columns", [10, 11])
def test_resamplers_keep_a_constant(columns: int) -> None:
    network = CqtDiff(Architecture(length=6000, octaves=6, bins=48, widths=(4, 4)))
    halve, double = network.get_submodule("downs.0.1"), network.get_submodule("ups.0.1")
    assert halve(torch.ones(1, columns, 3, 2)).shape[1] == (columns + 1) // 2
    doubled = double(torch.ones(1, 64, 3, 2))
    assert doubled.shape[1] == 128
    torch.testing.assert_close(doubled[:, 20:-20], torch.ones(1, 88, 3, 2), rtol=0, atol=2e-3)


def test_too_few_rows_are_refused() -> None:
    CqtDiff(Architecture(length=6000, octaves=1, bins=255, widths=(4, 4)))
    with pytest.raises(UsageError, match="256 rows"):
        CqtDiff(Architecture(length=6000, octaves=1, bins=254, widths=(4, 4)))
