"""Resampling: axes, lengths, values."""

import numpy as np
import pytest

from audiomend.audio.resample import resample, resampled_length


def tone(frequency_hz: float, rate: float, frames: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(frames) / rate)


@pytest.mark.parametrize("frames", [1, 2, 3, 101, 441, 1000, 44_101])
@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(44_100, 48_000), (48_000, 44_100), (8_000, 44_100), (96_000, 8_000)]
)
def test_length_is_rounded(frames, rate_in, rate_out):
    result = resample(np.zeros((2, frames)), rate_in, rate_out)
    assert result.shape == (2, round(frames * rate_out / rate_in))
    assert resampled_length(frames, rate_in, rate_out) == result.shape[1]


def test_a_tone_stays_the_same_tone():
    resampled = resample(tone(1000, 44_100, 44_100)[None], 44_100, 48_000)[0]
    expected = tone(1000, 48_000, 48_000)
    np.testing.assert_allclose(resampled[1000:-1000], expected[1000:-1000], atol=1e-5)


def test_channels_are_not_mixed():
    channels = np.stack([tone(1000, 44_100, 4410), tone(3000, 44_100, 4410)])
    together = resample(channels, 44_100, 32_000)
    for channel, alone in zip(channels, together, strict=True):
        np.testing.assert_array_equal(resample(channel, 44_100, 32_000), alone)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_and_memory_order(dtype):
    resampled = resample(np.zeros((2, 100), dtype), 2, 3)
    assert resampled.dtype == dtype
    assert resampled.flags.c_contiguous


def test_same_rate_gives_a_copy():
    samples = np.random.default_rng(0).standard_normal((2, 100))
    same = resample(samples, 44_100, 44_100)
    np.testing.assert_array_equal(same, samples)
    assert not np.shares_memory(same, samples)
