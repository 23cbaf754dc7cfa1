"""The block of CQT-Diff in one pass is the plain one, and so is its gradient."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.networks import dilated_block as module
from audiomend.networks.cqtdiff import Architecture, CqtDiff
from audiomend.networks.dilated_block import dilated_block

ROWS, OUTPUTS = 34, 6
SMALL = Architecture(length=6000, octaves=6, bins=48, widths=(4, 8))


def plain_form() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "plain_cqtdiff.py"
    spec = importlib.util.spec_from_file_location("plain_cqtdiff", path)
    assert spec is not None
    assert spec.loader is not None
    form = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(form)
    return form


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(columns: int, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None, list[Tensor]]:
    kernels = [noise(5 + i, OUTPUTS, OUTPUTS, 5, 3) / 8 for i in range(4)]
    direct = None if inputs == OUTPUTS else noise(4, OUTPUTS, inputs)
    return (
        noise(1, 2, columns, ROWS, inputs).requires_grad_(),
        noise(2, 2, 1, 1, inputs),
        noise(3, OUTPUTS, inputs),
        direct,
        kernels,
    )


def plainly(x: Tensor, factor: Tensor, first: Tensor, direct: Tensor | None, kernels: list[Tensor]) -> Tensor:
    x = x * factor
    y = (F.gelu(x) @ first.T).permute(0, 3, 2, 1)
    for i, kernel in enumerate(kernels):
        padded = F.pad(F.gelu(y), (1, 1, 2 ** (i + 1), 2 ** (i + 1)), mode="reflect")
        y = (y + F.conv2d(padded, kernel, dilation=(2**i, 1))) / math.sqrt(2)
    return (y.permute(0, 3, 2, 1) + (x if direct is None else x @ direct.T)) / math.sqrt(2)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("inputs", [OUTPUTS, 9])
@pytest.mark.parametrize("columns", [2, 3, 4, 5, 6, 15, 21])
@pytest.mark.parametrize("tiles", [1, 2, 100])
def test_output_and_gradient(
    columns: int, inputs: int, tiles: int, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", tiles * ROWS * OUTPUTS * 8)
    monkeypatch.setattr(module, "_SHARED", tiles * ROWS * OUTPUTS)
    given = arguments(columns, inputs)
    expected, found = plainly(*given), dilated_block(*given, torch.float64, keep)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    weighting = noise(9, *expected.shape)
    slopes = [torch.autograd.grad((y * weighting).sum(), given[0])[0] for y in (expected, found)]
    torch.testing.assert_close(slopes[1], slopes[0], rtol=0, atol=1e-13)


def test_products_are_halved() -> None:
    a, g, b = module._A, module._G, module._B
    kernel, seen = noise(1, 3), noise(2, 6)
    expected = torch.stack([(kernel * seen[i : i + 3]).sum() for i in range(4)])
    torch.testing.assert_close(a @ ((g @ kernel) * (b @ seen)), expected, rtol=0, atol=1e-14)
    for matrix in (a, b):  # exact in the lower precision, too
        assert torch.equal(matrix.bfloat16().double(), matrix)


def test_bfloat16_errs_as_its_digits_let_expect() -> None:
    given = arguments(21, 9)
    expected = plainly(*given)
    x, factor, first, direct, kernels = (g.float() if isinstance(g, Tensor) else g for g in given)
    y = dilated_block(x, factor, first, direct, [k.float() for k in kernels], torch.bfloat16)
    weighting = noise(9, *expected.shape)
    slopes = [torch.autograd.grad((one * weighting).sum(), given[0])[0] for one in (expected, y)]
    for found, right in ((y, expected), (slopes[1], slopes[0])):
        assert 1e-4 < ((found - right).norm() / right.norm()).item() < 1e-2
    assert y.dtype == torch.float32


def test_without_gradient_nothing_is_kept() -> None:
    given = arguments(15, 9)
    with torch.inference_mode():
        y = dilated_block(*given, torch.float64)
    torch.testing.assert_close(y, plainly(*given), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("precision", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_network_is_the_plain_one(drawn: ModuleType, precision: torch.dtype, error: float) -> None:
    network = CqtDiff(SMALL, precision)
    drawn.fill(network, 1, drawn.cqtdiff_rule, ("resample.kernel",))
    network.to(precision).requires_grad_(False)
    weights, level = dict(network.state_dict()), torch.tensor([[-0.3], [0.2]], dtype=precision)
    x = drawn.normal(2, 2, SMALL.length).to(precision).requires_grad_()
    weighting = drawn.normal(3, 2, SMALL.length).to(precision)
    expected, found = plain_form().plain_cqtdiff(weights, SMALL, x, level), network(x, level)
    assert ((found - expected).abs().max() / expected.abs().max()).item() < error
    slopes = [torch.autograd.grad((y * weighting).sum(), x)[0] for y in (expected, found)]
    assert ((slopes[1] - slopes[0]).abs().max() / slopes[0].abs().max()).item() < error


def test_published_gradient_with_frozen_parameters(drawn: ModuleType) -> None:
    architecture = Architecture(length=6000, octaves=6, bins=48, widths=(8, 16, 16, 32, 32, 32))
    network = CqtDiff(architecture, torch.float64).double().requires_grad_(False)
    drawn.fill(network, 17, drawn.cqtdiff_rule, ("resample.kernel",))
    x = drawn.normal(18, 1, 6000).double().requires_grad_()
    golden = Path(__file__).parents[1] / "golden" / "cqtdiff_network.npz"
    level = torch.from_numpy(drawn.np.load(golden)["odd_level"]).double()
    y = network(x, level)
    assert drawn.deviation("odd_output", y) < 1e-11
    (y * drawn.normal(19, 1, 6000)).sum().backward()
    assert x.grad is not None
    assert drawn.deviation("odd_gradient", x.grad) < 1e-11
