import math

import pytest
import torch
from torch import nn

from audiomend.networks.patch_unet import PatchUnet
from audiomend.recipes.recipe import Recipe
from audiomend.training.optimisers import Optimisers


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.body = nn.Linear(12, 4)
        self.embedding = nn.Linear(3, 3)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=generator)

    def set_gradients(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for p in self.parameters():
            p.grad = torch.randn(p.shape, generator=generator)


def groups(optimisers: Optimisers) -> tuple[set[int], set[int]]:
    muon, adam = ({id(p) for g in o.param_groups for p in g["params"]} for o in optimisers._all)
    return muon, adam


def test_every_parameter_is_in_exactly_one_group(recipe: Recipe):
    network = PatchUnet(recipe.architecture)
    muon, adam = groups(Optimisers(network, 1e-3, 1e-3))
    assert not muon & adam
    assert muon | adam == {id(p) for p in network.parameters()}


def test_muon_gets_kernels_and_nothing_that_steers_or_comes_last(recipe: Recipe):
    network = PatchUnet(recipe.architecture)
    muon, _ = groups(Optimisers(network, 1e-3, 1e-3))
    names = {name for name, p in network.named_parameters() if id(p) in muon}
    assert names == {
        name
        for name, p in network.named_parameters()
        if p.ndim == 2
        and name.endswith(".weight")
        and name.split(".")[0] not in ("embedding", "out_lower", "out_upper", "out_fine")
        and ".modulation." not in name
    }
    assert len(names) == 3 + 3 + 4 * 2 + 2  # stems, stems of what is seen, four blocks, down and up


def test_muon_takes_an_orthogonal_step_of_adams_size():
    network = Small()
    before = network.body.weight.detach().clone()
    network.set_gradients(1)
    Optimisers(network, 0.01, 1.0).step(1.0)
    step = (network.body.weight - before).detach()
    singular = torch.linalg.svdvals(step) / (0.01 * 0.2 * math.sqrt(12))
    assert singular.min() > 0.6
    assert singular.max() < 1.3


def test_muon_goes_against_the_gradient():
    network = Small()
    before = network.body.weight.detach().clone()
    network.set_gradients(1)
    gradient = network.body.weight.grad.clone()
    Optimisers(network, 0.01, 1.0).step(1.0)
    assert ((network.body.weight - before) * gradient).sum() < 0


def test_muon_is_torchs_without_decay():
    ours, theirs = Small(), Small()
    optimisers = Optimisers(ours, 0.01, 1.0)
    reference = torch.optim.Muon(
        [theirs.body.weight], lr=0.01, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for seed in (1, 2):
        for network, step in ((ours, lambda: optimisers.step(1.0)), (theirs, reference.step)):
            network.set_gradients(seed)
            step()
    assert torch.equal(ours.body.weight, theirs.body.weight)


def test_adam_follows_its_formula_with_betas_of_09_and_099():
    network = Small()
    optimisers = Optimisers(network, 1.0, 0.01)
    expected = network.body.bias.detach().clone()
    mean = square = torch.zeros(4)
    for t in (1, 2, 3):
        network.set_gradients(t)
        g = network.body.bias.grad.clone()
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
        expected = expected - 0.01 * (mean / (1 - 0.9**t)) / ((square / (1 - 0.99**t)).sqrt() + 1e-8)
        optimisers.step(1.0)
        torch.testing.assert_close(network.body.bias.detach(), expected)


@pytest.mark.parametrize("name", ["body.weight", "embedding.weight", "body.bias"])
def test_a_factor_scales_the_step(name: str):
    steps = []
    for factor in (1.0, 0.25):
        network = Small()
        before = network.get_parameter(name).detach().clone()
        network.set_gradients(1)
        Optimisers(network, 0.01, 0.01).step(factor)
        steps.append((network.get_parameter(name) - before).detach())
    torch.testing.assert_close(steps[1], 0.25 * steps[0], rtol=1e-3, atol=1e-7)


def test_without_a_gradient_nothing_decays():
    network = Small()
    before = network.body.weight.detach().clone()
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    Optimisers(network, 0.1, 0.1).step(1.0)
    assert torch.equal(network.body.weight, before)


def test_a_step_clears_the_gradients():
    network = Small()
    network.set_gradients(1)
    Optimisers(network, 0.01, 0.01).step(1.0)
    assert all(p.grad is None for p in network.parameters())


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    first, second = Small(), Small()
    one, two = Optimisers(first, 0.01, 0.02), Optimisers(second, 0.01, 0.02)
    for seed in (1, 2):
        first.set_gradients(seed)
        one.step(1.0)
    second.load_state_dict(first.state_dict())
    two.load({name: t.clone() for name, t in one.state().items()})
    for network, optimisers in ((first, one), (second, two)):
        network.set_gradients(3)
        optimisers.step(0.5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
