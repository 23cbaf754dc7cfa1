"""The gradients that are written out by hand equal those of the network's plain form."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from audiomend.networks.patch_unet import Architecture, PatchUnet, Seen

SMALL = Architecture(length=4096, widths=(8, 16), window=128, hop=32, long_window=512)


def signals(seed: int) -> torch.Tensor:
    return torch.randn(3, SMALL.length, generator=torch.Generator().manual_seed(seed))


def knowledge() -> Seen:
    unknown = (signals(2) > 1).float()
    return Seen(
        observation=signals(3) * (1 - unknown),
        unknown=unknown,
        clip=unknown * 1.3,
        cutoff=torch.tensor([0.0, 0.25, 0.5]),
        present=torch.tensor([1.0, 1.0, 0.0]),
    )


@pytest.mark.parametrize("conditioned", [False, True])
def test_gradients_equal_those_of_the_plain_form(
    conditioned: bool, benchmark_file: Callable[[str], ModuleType]
):
    plain = benchmark_file("plain_prior")
    torch.manual_seed(0)
    network = PatchUnet(SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    weights = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    told = (
        torch.tensor([-3.0, 0.3, 2.0]),
        torch.tensor([0.0, 0.4, 1.0]),
        knowledge() if conditioned else None,
    )
    x, y = (signals(1).requires_grad_() for _ in range(2))
    (network(x, *told) * signals(4)).sum().backward()
    buffers = dict(network.named_buffers())
    (plain.plain_prior(weights | buffers, SMALL, y, *told) * signals(4)).sum().backward()

    torch.testing.assert_close(x.grad, y.grad, rtol=1e-3, atol=1e-4 * y.grad.abs().max().item())
    for name, parameter in network.named_parameters():
        expected = weights[name].grad
        if expected is None or parameter.grad is None:
            assert not conditioned, name
            continue
        scale = expected.abs().max().item()
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-4 * scale, msg=name)
