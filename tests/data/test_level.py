import numpy as np
import pytest

from audiomend.data.level import RATE, active_rms, bandwidth, faded

HALF = RATE // 2


def test_active_rms_of_a_constant_is_its_magnitude():
    assert active_rms(np.full(3 * HALF, -0.3, np.float32)) == pytest.approx(0.3, rel=1e-6)


def test_half_seconds_within_30_db_of_the_loudest_count_and_others_do_not():
    loud, near, far = 1.0, 10 ** (-29.9 / 20), 10 ** (-30.1 / 20)
    x = np.concatenate([np.full(HALF, level, np.float32) for level in (loud, near, far)])
    assert active_rms(x) == pytest.approx(np.sqrt((loud**2 + near**2) / 2), rel=1e-6)


def test_a_remainder_counts_by_its_length():
    rest = HALF // 3
    x = np.concatenate([np.full(HALF, 0.1, np.float32), np.full(rest, 0.9, np.float32)])
    expected = np.sqrt((HALF * 0.1**2 + rest * 0.9**2) / (HALF + rest))
    assert active_rms(x) == pytest.approx(expected, rel=1e-6)


def test_a_short_signal_is_one_block():
    assert active_rms(np.array([0.3, 0.4], np.float32)) == pytest.approx(np.sqrt(0.125), rel=1e-6)


@pytest.mark.parametrize("length", [0, 10, RATE])
def test_silence_has_level_zero(length: int):
    assert active_rms(np.zeros(length, np.float32)) == 0


def band_limited_noise(edge_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(4 * RATE))
    spectrum[np.fft.rfftfreq(4 * RATE, 1 / RATE) > edge_hz] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


@pytest.mark.parametrize("edge", [3000.0, 8000.0, 17000.0])
def test_bandwidth_of_band_limited_noise_is_its_edge_and_the_reach_of_the_window(edge: float):
    assert bandwidth(band_limited_noise(edge)) == pytest.approx(edge + 270, abs=30)


@pytest.mark.parametrize("place", [300, 1000])
def test_the_bandwidth_of_a_sine_reaches_half_the_smoothing_and_the_window_beyond_it(place: int):
    x = np.sin(2 * np.pi * place / 4096 * np.arange(RATE)).astype(np.float32)
    assert bandwidth(x) == pytest.approx((place + 9 + 2) * RATE / 4096)  # 200 Hz are 19 bins


def test_bandwidth_counts_what_is_above_the_floor_and_not_what_is_below():
    time = np.arange(2 * RATE) / RATE
    low, high = np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 15000 * time)
    assert bandwidth((low + 10 ** (-85 / 20) * high).astype(np.float32)) == pytest.approx(15100, abs=60)
    assert bandwidth((low + 10 ** (-95 / 20) * high).astype(np.float32)) < 2000


@pytest.mark.parametrize(("frames", "counts"), [(5, False), (6, True)])
def test_bandwidth_takes_the_95th_percentile_of_the_frames(frames: int, counts: bool):
    time = np.arange(4096 + 100 * 2048) / RATE  # 101 frames
    burst = (time >= 100 * 2048 / RATE / 2) & (time < (50 + frames - 1) * 2048 / RATE)
    x = np.sin(2 * np.pi * 1000 * time) + burst * np.sin(2 * np.pi * 15000 * time)
    assert (bandwidth(x.astype(np.float32)) > 14000) == counts


def test_bandwidth_of_silence_is_zero():
    assert bandwidth(np.zeros(RATE, np.float32)) == 0


def test_fades_are_raised_cosines_at_both_ends():
    y = faded(np.ones(RATE, np.float32), 0.01)
    expected = np.sin(np.pi / 2 * (np.arange(441) + 0.5) / 441) ** 2
    np.testing.assert_allclose(y[:441], expected, atol=1e-6)
    np.testing.assert_allclose(y[-441:], expected[::-1], atol=1e-6)
    assert (y[441:-441] == 1).all()


def test_an_item_is_faded_for_5_ms():
    y = faded(np.ones(RATE, np.float32))
    assert y[219] < 1
    assert (y[220:-220] == 1).all()


def test_fading_leaves_the_signal_given_as_it_is():
    x = np.ones(1000, np.float32)
    faded(x)
    assert (x == 1).all()
