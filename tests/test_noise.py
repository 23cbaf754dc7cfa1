"""Noise is standard normal, independent, and a function of its place alone."""

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.noise import _box_muller, normal

N = 200_000


def test_moments_are_those_of_a_standard_normal():
    x = normal(seed=1, sample=0, step=0, draw=0, start=0, stop=N).astype(np.float64)
    error = 1 / np.sqrt(N)
    assert abs(x.mean()) < 4 * error
    assert abs((x**2).mean() - 1) < 4 * np.sqrt(2) * error
    assert abs((x**3).mean()) < 4 * np.sqrt(15) * error
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96) * error


def test_distribution_is_normal_far_into_the_tails():
    x = np.sort(normal(seed=2, sample=0, step=0, draw=0, start=0, stop=N))
    for level, share in ((-3.0, 0.00134990), (-1.0, 0.15865525), (0.5, 0.69146246), (2.0, 0.97724987)):
        assert np.searchsorted(x, level) / N == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / N))


def test_the_rarest_bits_give_finite_values():
    x = _box_muller(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert np.isfinite(x).all()
    assert x[0] == pytest.approx(np.sqrt(2 * np.log(2.0**33)))  # the largest value there is


@pytest.mark.parametrize("other", [(8, 0, 0, 0), (7, 1, 0, 0), (7, 0, 1, 0), (7, 0, 0, 1)])
def test_seed_sample_step_and_draw_each_give_independent_noise(other: tuple[int, int, int, int]):
    x, y = normal(7, 0, 0, 0, 0, N), normal(*other, 0, N)
    for lag in range(-8, 9):
        assert abs(np.mean(x * np.roll(y, lag))) < 5 / np.sqrt(N)


def test_neighbours_and_their_squares_are_independent():
    x = normal(3, 0, 0, 0, 0, N).astype(np.float64)
    for lag in range(1, 17):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 5 / np.sqrt(N)
        assert abs(np.mean((x[lag:] ** 2 - 1) * (x[:-lag] ** 2 - 1))) < 5 * 2 / np.sqrt(N)


def test_no_value_repeats_within_a_draw_nor_across_draws():
    x = np.concatenate([normal(4, 0, step, draw, -2000, 2000) for step in range(3) for draw in range(2)])
    assert len(np.unique(x)) > 0.999 * len(x)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (5, 6), (-1, 1), (-17, 40), (-64, -8), (13, 13), (-100, 100)]
)
def test_a_value_depends_on_its_position_only(start: int, stop: int):
    whole = normal(5, 2, 3, 1, -100, 100)
    part = normal(5, 2, 3, 1, start, stop)
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, whole[start + 100 : stop + 100])


def test_far_positions_are_not_those_near_zero():
    hours = 44_100 * 3600 * 10
    assert not np.isin(normal(5, 0, 0, 0, hours, hours + 50), normal(5, 0, 0, 0, -50, 50)).any()


def test_values_stay_the_same_from_version_to_version():
    pinned = [0.1593973, 0.3736716, -0.8018429, -0.4769627, -1.0201763]
    np.testing.assert_allclose(normal(seed=1, sample=2, step=3, draw=4, start=-2, stop=3), pinned, rtol=2e-6)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int):
    with pytest.raises(UsageError, match=str(seed)):
        normal(seed, 0, 0, 0, 0, 1)
