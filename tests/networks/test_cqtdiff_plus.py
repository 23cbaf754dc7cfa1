"""The network of CQT-Diff+, number by number (tests/golden/README.md says where they come from)."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audiomend.errors import UsageError
from audiomend.networks.cqtdiff_plus import Architecture, CqtDiffPlus

GOLDEN = Path(__file__).parents[1] / "golden" / "cqtdiff_plus_network.npz"
STORED = np.load(GOLDEN)


def rule(name: str, z: NDArray[np.float64]) -> NDArray[np.float64]:
    if name.endswith("RFF_freq"):
        return 16 * z
    if name.endswith("gamma"):
        return 1 + 0.1 * z
    if name.endswith(".bias"):
        return 0.1 * z + (1 if ".gate" in name else 0)
    if name.endswith("relative_attention_bias.weight"):
        return z
    if ".affine" in name or ".gate" in name:
        return z / math.sqrt(z.shape[1]) * 2
    return z / math.sqrt(math.prod(z.shape[1:]))


@pytest.fixture
def filled(drawn: ModuleType, narrow_plus: Architecture) -> CqtDiffPlus:
    network = CqtDiffPlus(narrow_plus)
    sums = drawn.fill(network, 91, rule, ("kernel",))
    assert list(sums) == STORED["names"].tolist()
    np.testing.assert_allclose(list(sums.values()), STORED["sums"], rtol=1e-12)
    return network


def test_output_and_gradient(drawn: ModuleType, filled: CqtDiffPlus) -> None:
    network = filled.double()
    x = drawn.normal(92, 2, 4096).double().requires_grad_()
    y = network(x, torch.from_numpy(STORED["level"]).double())
    assert drawn.deviation("output", y, GOLDEN) < 1e-12
    (y * drawn.normal(93, 2, 4096)).sum().backward()
    assert x.grad is not None
    assert drawn.deviation("gradient", x.grad, GOLDEN) < 1e-12


def test_output_in_float32(drawn: ModuleType, filled: CqtDiffPlus) -> None:
    y = filled(drawn.normal(92, 2, 4096), torch.from_numpy(STORED["level"]))
    assert drawn.deviation("output", y, GOLDEN) < 10 * 1.5e-6  # 10 times the published code's in float32


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        (  # BABE, 22.05 kHz
            Architecture(
                rate=22050,
                length=184184,
                octaves=7,
                bins=64,
                widths=(64, 96, 96, 128, 128, 256, 256),
                dilations=(2, 3, 4, 5, 6, 7, 7),
                attention=(False,) * 8,
            ),
            44_498_528,
        ),
        (  # BABE-2, 44.1 kHz
            Architecture(
                rate=44100,
                length=262144,
                octaves=8,
                bins=32,
                widths=(32, 32, 64, 64, 128, 128, 256, 256),
                dilations=(1, 3, 4, 5, 5, 6, 6, 7),
                attention=(False,) * 9,
            ),
            41_373_856,
        ),
    ],
)
def test_published_sizes(architecture: Architecture, parameters: int) -> None:
    network = CqtDiffPlus(architecture)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert list(network.state_dict())[7:9] == ["downsamplerT.kernel", "upsamplerT.kernel"]
    assert network.transform.columns == tuple(
        network.transform.columns[0] << o for o in range(architecture.octaves)
    )


def test_a_new_network_barely_uses_its_convolutions(narrow_plus: Architecture) -> None:
    network = CqtDiffPlus(narrow_plus)
    for name, parameter in network.named_parameters():
        if "gate" in name:
            assert parameter.abs().max() < 1e-6, name
        elif name.endswith("bias"):
            assert not parameter.any(), name


def test_octaves_that_do_not_double_are_refused(narrow_plus: Architecture) -> None:
    with pytest.raises(UsageError, match=r"\(4, 4, 4, 8\) columns"):
        CqtDiffPlus(replace(narrow_plus, length=64))
