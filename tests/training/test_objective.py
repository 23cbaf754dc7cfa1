import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiomend.networks.patch_unet import Seen
from audiomend.training.objective import Batch, draw_levels, errors, noisy_and_target, sample_weights

LOG_LEVELS = torch.tensor([-4.0, -1.0, 0.0, 0.7, 3.0], dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edm(log_level: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """sigma, c_skip, c_out and c_in as in table 1 of Karras et al. 2022, (batch, 1) each."""
    sigma = sigma_data * torch.exp(log_level)[:, None]
    total = sigma**2 + sigma_data**2
    return sigma, sigma_data**2 / total, sigma * sigma_data / total.sqrt(), 1 / total.sqrt()


def no_damage(batch: int, length: int) -> Seen:
    zeros = torch.zeros(batch, length)
    return Seen(zeros, zeros, zeros, torch.zeros(batch), torch.zeros(batch))


class Told(nn.Module):
    """Answers with a function of (x, log_level), and remembers what it was given."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor, log_level: Tensor, bandwidth: Tensor, seen: Seen) -> Tensor:
        self.given = (x, log_level, bandwidth, seen)
        return self.answer(x, log_level)


def test_the_input_is_the_noisy_signal_times_c_in():
    clean, noise = normal(5, 64), normal(5, 64, seed=1)
    sigma, _, _, c_in = edm(LOG_LEVELS, 0.3)
    x, _ = noisy_and_target(clean, noise, LOG_LEVELS)
    torch.testing.assert_close(x, c_in * (0.3 * clean + sigma * noise), rtol=1e-12, atol=1e-12)


def test_the_target_is_the_remainder_of_c_skip_over_c_out():
    clean, noise = normal(5, 64), normal(5, 64, seed=1)
    sigma, c_skip, c_out, _ = edm(LOG_LEVELS, 0.3)
    _, target = noisy_and_target(clean, noise, LOG_LEVELS)
    y = 0.3 * clean + sigma * noise
    torch.testing.assert_close(target, (0.3 * clean - c_skip * y) / c_out, rtol=1e-9, atol=1e-9)


def test_the_denoiser_made_of_the_target_gives_the_clean_signal():
    clean, noise = normal(5, 64), normal(5, 64, seed=1)
    _, c_skip, c_out, c_in = edm(LOG_LEVELS, 0.1)
    x, target = noisy_and_target(clean, noise, LOG_LEVELS)
    torch.testing.assert_close(c_skip * x / c_in + c_out * target, 0.1 * clean, rtol=1e-9, atol=1e-12)


def test_input_and_target_have_unit_variance_for_white_signals():
    for values in noisy_and_target(normal(5, 200_000), normal(5, 200_000, seed=1), LOG_LEVELS):
        np.testing.assert_allclose(values.var(-1), 1, rtol=0.02)


def batch_of(seen: Seen, clean: Tensor) -> Batch:
    return Batch(clean, torch.tensor([0.5, 1.0]), seen, ("a", "b"))


def exact(clean: Tensor, sigma_data: float = 0.25):
    """F by EDM's formula from the network's own input."""

    def answer(x: Tensor, log_level: Tensor) -> Tensor:
        _, c_skip, c_out, c_in = edm(log_level, sigma_data)
        return (sigma_data * clean - c_skip * x / c_in) / c_out

    return answer


def test_the_exact_network_has_no_error():
    clean, noise = normal(2, 256), normal(2, 256, seed=1)
    network = Told(exact(clean))
    each = errors(network, batch_of(no_damage(2, 256), clean), LOG_LEVELS[1:3], noise)
    np.testing.assert_allclose(each, 0, atol=1e-20)


def test_the_error_is_the_mean_square_weighted_by_what_is_unknown():
    clean, noise = normal(2, 100), normal(2, 100, seed=1)
    unknown = torch.zeros(2, 100)
    unknown[:, :25] = 1
    seen = Seen(clean, unknown, clean, torch.zeros(2), torch.tensor([1.0, 0.0]))
    off = torch.where(torch.arange(100) < 25, 2.0, 3.0)
    network = Told(lambda x, level: exact(clean)(x, level) + off)
    each = errors(network, batch_of(seen, clean), LOG_LEVELS[1:3], noise)
    told = (25 * (0.2 + 0.8 / 0.25) * 4 + 75 * 0.2 * 9) / 100
    np.testing.assert_allclose(each, [told, (25 * 4 + 75 * 9) / 100], rtol=1e-6)


def test_the_network_is_given_level_bandwidth_and_what_is_seen():
    clean, noise = normal(2, 64), normal(2, 64, seed=1)
    batch = batch_of(no_damage(2, 64), clean)
    network = Told(lambda x, level: x)
    errors(network, batch, LOG_LEVELS[:2], noise)
    x, level, bandwidth, seen = network.given
    assert torch.equal(x, noisy_and_target(clean, noise, LOG_LEVELS[:2])[0])
    assert torch.equal(level, LOG_LEVELS[:2])
    assert bandwidth is batch.bandwidth
    assert seen is batch.seen


@pytest.mark.parametrize(("share", "unknown", "known"), [(0.5, 1.8, 0.2), (0.2, 4.2, 0.2), (0.05, 8.2, 0.2)])
def test_unknown_samples_of_damaged_crops_weigh_more(share: float, unknown: float, known: float):
    mask = (torch.arange(200) < 200 * share).float()[None]
    seen = Seen(mask, mask, mask, torch.zeros(1), torch.ones(1))
    weights = sample_weights(seen)[0]
    np.testing.assert_allclose(weights[mask[0] == 1], unknown, rtol=1e-5)
    np.testing.assert_allclose(weights[mask[0] == 0], known, rtol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9, 1.0])
def test_weights_have_mean_one(share: float):
    mask = (torch.arange(200) < 200 * share).float()[None]
    seen = Seen(mask, mask, mask, torch.zeros(1), torch.ones(1))
    assert sample_weights(seen).mean().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("unknown", "present"), [(0.0, 1.0), (1.0, 0.0)])
def test_crops_without_unknown_samples_or_observation_weigh_evenly(unknown: float, present: float):
    mask = torch.full((1, 50), unknown)
    seen = Seen(mask, mask, mask, torch.zeros(1), torch.tensor([present]))
    assert torch.equal(sample_weights(seen), torch.ones(1, 50))


def draws(count: int, **changes: float) -> Tensor:
    law = {"mean": -1.0, "spread": 1.8, "lowest": 1e-9, "highest": 1e9} | changes
    return draw_levels(count, **law, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("quantile", "deviations"), [(0.0228, -2), (0.1587, -1), (0.5, 0), (0.8413, 1)])
def test_levels_are_log_normal(quantile: float, deviations: float):
    levels = draws(20_001, mean=-1.0, spread=1.8)
    assert levels.quantile(quantile).item() == pytest.approx(-1.0 + 1.8 * deviations, abs=0.02)


def test_levels_are_clipped_to_their_range():
    levels = draws(1000, lowest=0.1, highest=0.5)
    assert levels.min().item() == pytest.approx(math.log(0.1), rel=1e-6)
    assert levels.max().item() == pytest.approx(math.log(0.5), rel=1e-6)


def test_each_equal_share_of_the_law_gets_one_level():
    for seed in range(20):
        levels = draw_levels(8, 0.0, 1.0, 1e-9, 1e9, torch.Generator().manual_seed(seed))
        shares = torch.distributions.Normal(0, 1).cdf(levels)
        assert sorted((shares * 8).floor().int().tolist()) == list(range(8))


def test_levels_come_in_random_order():
    firsts = {
        int(draw_levels(8, 0.0, 1.0, 1e-9, 1e9, torch.Generator().manual_seed(s)).argmin()) for s in range(30)
    }
    assert len(firsts) > 4


def test_levels_lie_anywhere_in_their_share():
    levels = [draw_levels(1, 0.0, 1.0, 1e-9, 1e9, torch.Generator().manual_seed(s)) for s in range(400)]
    shares = torch.distributions.Normal(0, 1).cdf(torch.cat(levels))
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)
    assert shares.std().item() == pytest.approx(1 / math.sqrt(12), abs=0.03)


def test_levels_are_a_function_of_the_generator():
    one, same, other = (
        draw_levels(8, -1.0, 1.8, 1e-3, 30.0, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
