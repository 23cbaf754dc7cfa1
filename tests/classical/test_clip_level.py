"""The level behind clipping: the law itself, and what holding to it does to peaks."""

import math

import pytest
import torch

from audiomend.classical.clip_level import gaussian_rms, held, local_mean

TIME, WINDOW = 8000, 801


def noise(rms: float, seed: int = 0) -> torch.Tensor:
    return rms * torch.randn(1, TIME, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("low", "high"), [(-0.9, 0.9), (-math.inf, 0.4), (-0.4, math.inf), (-0.5, 0.55)])
def test_the_share_beyond_the_levels_tells_the_rms_of_gaussian_noise(low: float, high: float) -> None:
    x = 0.7 * torch.randn(200_000, generator=torch.Generator().manual_seed(1))
    sides = [abs(side) for side in (low, high) if math.isfinite(side)]
    share = ((x <= low) | (x >= high)).double().mean()
    level = torch.tensor(sum(sides) / len(sides))
    assert gaussian_rms(level, share, torch.tensor(len(sides))).item() == pytest.approx(0.7, rel=0.02)


def test_the_local_mean_is_the_mean_of_its_window_and_keeps_a_constant_at_the_ends() -> None:
    x = noise(1.0)
    assert local_mean(x, 5)[0, 100].item() == pytest.approx(x[0, 98:103].mean().item())
    assert local_mean(x, 5)[0, 0].item() == pytest.approx((x[0, 0] + 2 * x[0, 1] + 2 * x[0, 2]).item() / 5)
    torch.testing.assert_close(local_mean(torch.full((2, 3, 50), 0.25), 9), torch.full((2, 3, 50), 0.25))


@pytest.mark.parametrize("levels", [(-0.2, 0.2), (-0.1, 0.3), (-math.inf, 0.2)])
def test_true_peaks_are_left_alone_and_those_that_ran_away_come_down_to_the_bound(
    levels: tuple[float, float],
) -> None:
    low, high = (torch.tensor([[side]], dtype=torch.float64) for side in levels)
    x = noise(0.3)
    y = x.clamp(low, high)
    torch.testing.assert_close(held(x, y, low, high, WINDOW), x, rtol=0, atol=1e-15)

    wild = y + 30 * (x - y)
    tamed = held(wild, y, low, high, WINDOW)
    known = (y > low) & (y < high)
    assert torch.equal(tamed[known], x[known])
    assert torch.equal(tamed.clamp(low, high), y)
    middle = slice(WINDOW, -WINDOW)
    rms = local_mean(tamed.square(), WINDOW).sqrt()[:, middle]
    share = local_mean((~known).double(), WINDOW)[:, middle]
    finite = [abs(side) for side in levels if math.isfinite(side)]
    mean, count = torch.tensor(sum(finite) / len(finite)), torch.tensor(len(finite))
    torch.testing.assert_close(rms, 1.3 * gaussian_rms(mean, share, count), rtol=0.08, atol=0)


def test_the_factor_is_exact_where_a_window_is_like_the_next() -> None:
    low, high = torch.tensor([[-1.0]]), torch.tensor([[1.0]])
    pattern = torch.tensor([0.1, 1.0, -0.3, -1.0, 0.2])  # two in five are clipped
    y = pattern.repeat(200)[None]
    x = torch.where(y.abs() >= 1, y * 50, y)
    tamed = held(x, y, low, high, 45)[0, 400:405]
    expected = 1.3 * gaussian_rms(torch.tensor(1.0), torch.tensor(0.4), torch.tensor(2))
    assert tamed.square().mean().sqrt().item() == pytest.approx(expected.item(), rel=1e-5)
    assert tamed[1] == -tamed[3] > 1


def test_a_channel_without_clipping_and_silence_pass() -> None:
    y = torch.stack(
        [noise(0.3)[0].clamp(-0.2, 0.2), noise(0.3, 1)[0], torch.zeros(TIME, dtype=torch.float64)]
    )
    high = torch.tensor([[0.2], [math.inf], [0.2]], dtype=torch.float64)
    assert torch.equal(held(y, y, -high, high, WINDOW), y)


def test_what_is_shorter_than_half_of_a_window_is_mirrored_once() -> None:
    torch.testing.assert_close(local_mean(torch.tensor([1.0, 4.0]), 11), torch.tensor([3.0, 2.0]))
