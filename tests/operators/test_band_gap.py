"""A band that is lost for a while: what passes, what stays, and which bands there can be."""

import math

import pytest
import torch
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators.band_gap import BandGap, BandPass

RATE = 8000.0
LENGTH = 8000


def gains(band: BandPass, *frequencies: float) -> list[float]:
    """Of sines in the middle of a second, far from its ends."""
    t = torch.arange(LENGTH, dtype=torch.float64) / RATE
    x = torch.stack([torch.sin(2 * math.pi * f * t + 0.3) for f in frequencies])
    middle = slice(LENGTH // 2 - 800, LENGTH // 2 + 800)
    x, y = x[:, middle], band.forward(x)[:, middle]
    gain = (x * y).sum(-1) / (x * x).sum(-1)
    assert (y - gain[:, None] * x).abs().max() < 1e-3  # in phase
    return gain.tolist()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_band_passes_halves_at_its_edges_and_ends_within_five_percent() -> None:
    band = BandPass(((1000.0, 3000.0),), RATE)
    found = gains(band, 1000, 3000, 1050, 2850, 950, 3150)
    assert found == pytest.approx([0.5, 0.5, 1, 1, 0, 0], abs=2e-4)


def test_bands_that_touch_or_overlap_count_as_one() -> None:
    whole = BandPass(((500.0, 2000.0),), RATE)
    x = noise(2, 500)
    for parts in (
        ((500.0, 1000.0), (1000.0, 2000.0)),
        ((500.0, 540.0), (540.0, 2000.0)),  # whose falls at 540 Hz would differ
        ((900.0, 2000.0), (500.0, 1200.0)),
        ((500.0, 2000.0), (700.0, 800.0)),
    ):
        torch.testing.assert_close(BandPass(parts, RATE).forward(x), whole.forward(x), rtol=0, atol=1e-15)
    apart = BandPass(((2500.0, 3000.0), (500.0, 1000.0)), RATE)
    assert gains(apart, 700, 1800, 2700) == pytest.approx([1, 0, 1], abs=2e-4)


def test_a_band_from_0_and_one_to_half_the_rate_have_one_edge() -> None:
    x = noise(500)
    low, high = BandPass(((0.0, 1000.0),), RATE), BandPass(((1000.0, 4000.0),), RATE)
    torch.testing.assert_close(low.forward(x) + high.forward(x), x, rtol=0, atol=1e-14)
    assert gains(low, 1, 900) == pytest.approx([1, 1], abs=1e-3)
    everything = BandPass(((0.0, 4000.0),), RATE)
    assert torch.equal(everything.forward(x), x)
    assert everything.reach == 0
    assert gains(BandPass(((1000.0, 3900.0),), RATE), 3900) == pytest.approx([0.5], abs=1e-3)


def test_a_narrow_band_falls_within_half_its_width() -> None:
    band = BandPass(((2000.0, 2100.0),), RATE)
    assert gains(band, 2050, 2000, 2100, 1970, 2130) == pytest.approx([1, 0.5, 0.5, 0, 0], abs=1e-3)
    lowest = BandPass(((20.0, 1000.0),), RATE)
    assert gains(lowest, 31, 20) == pytest.approx([1, 0.5], abs=2e-3)


def test_reach_is_the_half_of_the_longest_filter() -> None:
    band = BandPass(((100.0, 3000.0),), RATE)
    impulse = torch.zeros(8001).double()
    impulse[4000] = 1
    places = band.forward(impulse).abs().gt(1e-12).nonzero().flatten()
    assert places.min() >= 4000 - band.reach
    assert places.max() <= 4000 + band.reach
    assert 4000 - places.min() > 0.9 * band.reach


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (2000, 4001, "from 2000 to 4001 Hz cannot be; at 8000 Hz .* at most 4000 Hz"),
        (-1, 100, "from -1 to 100 Hz cannot be"),
        (3000, 2000, "from 3000 to 2000 Hz cannot be"),
        (19, 2000, "from 19 to 2000 Hz cannot be.* from 20 Hz on"),
        (math.nan, 2000, "cannot be"),
        (1000, 1019, "from 1000 to 1019 Hz is too narrow; it must be 20 Hz wide"),
    ],
)
def test_a_band_that_cannot_be_is_refused(low: float, high: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BandPass(((0.0, 500.0), (low, high)), RATE)


def test_no_band_is_refused() -> None:
    with pytest.raises(UsageError, match="no band"):
        BandPass((), RATE)


WEIGHT = torch.zeros(LENGTH).double()
WEIGHT[3000:5000] = 1
GAP = BandGap(BandPass(((1000.0, 2000.0),), RATE), WEIGHT)


def test_the_band_is_gone_where_the_weight_is_1_and_nothing_changes_where_it_is_0() -> None:
    x = noise(2, LENGTH)
    y = GAP.forward(x)
    assert torch.equal(y[:, :3000], x[:, :3000])
    assert torch.equal(y[:, 5000:], x[:, 5000:])
    torch.testing.assert_close(y[:, 3000:5000], (x - GAP.band.forward(x))[:, 3000:5000])


def test_a_replaced_box_has_the_band_of_one_signal_and_all_else_of_the_other() -> None:
    x, y = noise(2, LENGTH, seed=1), noise(2, LENGTH, seed=2)
    z = GAP.replace_band(x, y)
    assert torch.equal(z[:, :3000], y[:, :3000])
    assert torch.equal(z[:, 5000:], y[:, 5000:])
    inner, outer = BandPass(((1100.0, 1800.0),), RATE), BandPass(((900.0, 2300.0),), RATE)
    middle = slice(3500, 4500)  # further from the ends of the box than the filters reach
    assert max(inner.reach, outer.reach) < 500
    torch.testing.assert_close(inner.forward(z)[:, middle], inner.forward(x)[:, middle], rtol=0, atol=3e-4)
    beside = (z - y - outer.forward(z - y))[:, middle]
    assert beside.abs().max() < 3e-4
    torch.testing.assert_close(GAP.replace_band(y, y), y)


def test_the_network_is_shown_the_emptied_box_and_told_where_it_is() -> None:
    x, fading = noise(2, LENGTH), WEIGHT.clone()
    fading[3000:3100] = torch.linspace(0.01, 1, 100)
    gap = BandGap(GAP.band, fading)
    condition = gap.condition(x)
    torch.testing.assert_close(condition.observation, gap.forward(x))
    assert torch.equal(condition.unknown, WEIGHT.expand(2, -1))
    assert not condition.clip.any()
    assert condition.cutoff_hz.tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_an_epsilon_out_of_range_is_refused(epsilon: float) -> None:
    with pytest.raises(UsageError, match=r"epsilon is .* above 0"):
        BandGap(GAP.band, WEIGHT, epsilon)
