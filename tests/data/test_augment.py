import numpy as np
import pytest

from audiomend.data.augment import (
    add_noise,
    augment,
    draw_level_db,
    pitch_ratio,
    shelf,
    shift_pitch,
    source_length,
    vary,
)

RATE = 44100


def noise(length: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sine(frequency: float, length: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(length) / RATE).astype(np.float32)


@pytest.mark.parametrize("length", [1, 1000, 65537])
def test_the_source_is_long_enough_for_the_highest_pitch(length: int):
    assert source_length(length) == int(np.ceil(1.19 * length)) + 2
    assert len(shift_pitch(noise(source_length(length)), 1.19, length)) == length


@pytest.mark.parametrize("ratio", [0.84, 0.9, 1.1, 1.19])
def test_pitch_moves_by_the_ratio(ratio: float):
    x = sine(1000, source_length(RATE))
    shifted = shift_pitch(x, ratio, RATE)
    assert len(shifted) == RATE
    np.testing.assert_allclose(shifted[2000:-2000], sine(1000 * ratio, RATE)[2000:-2000], atol=2e-3)


def test_pitch_one_leaves_the_samples_alone():
    x = noise(1300)
    np.testing.assert_array_equal(shift_pitch(x, 1.0, 1000), x[:1000])


def test_half_of_the_ratios_are_one_and_the_others_log_uniform():
    generator = rng()
    ratios = np.array([pitch_ratio(generator) for _ in range(4000)])
    moved = ratios[ratios != 1]
    assert len(moved) / 4000 == pytest.approx(0.5, abs=0.03)
    assert 0.84 <= moved.min() < 0.845
    assert 1.185 < moved.max() <= 1.19
    assert np.log(moved).mean() == pytest.approx(np.log(0.84 * 1.19) / 2, abs=0.01)


@pytest.mark.parametrize("gain_db", [-6.0, 4.0])
@pytest.mark.parametrize("frequency", [100.0, 1000.0, 10000.0])
def test_the_shelf_has_its_formula_as_response(gain_db: float, frequency: float):
    x = sine(frequency, RATE)
    y = shelf(x, gain_db, 1000.0)
    gain, r = 10 ** (gain_db / 20), frequency / 1000
    expected = np.sqrt((1 + (gain * r) ** 2) / (1 + r**2))
    np.testing.assert_allclose(y[15000:-15000], expected * x[15000:-15000], atol=2e-3)


def test_the_shelf_reaches_half_its_decibels_at_the_corner_over_the_root_of_the_gain():
    gain_db = 6.0
    frequency = 1000 / 10 ** (gain_db / 40)
    y = shelf(sine(frequency, RATE), gain_db, 1000.0)
    assert 20 * np.log10(np.abs(y[15000:-15000]).max()) == pytest.approx(3.0, abs=0.02)


def test_the_shelf_is_linear_not_circular():
    x = np.zeros(4000, np.float32)
    x[-1] = 1
    assert np.abs(shelf(x, 6.0, 500.0)[:1000]).max() < 1e-4


@pytest.mark.parametrize("level_db", [-75.0, -50.0])
@pytest.mark.parametrize("pink", [False, True])
def test_the_noise_floor_has_the_level_asked_for(level_db: float, pink: bool):
    x = noise(RATE)
    added = add_noise(x, level_db, pink, rng(1)).astype(float) - x
    ratio = np.sqrt(np.mean(added**2) / np.mean(x.astype(float) ** 2))
    assert 20 * np.log10(ratio) == pytest.approx(level_db, abs=0.01)


def octave_ratio_db(pink: bool) -> float:
    """Power density around 8 kHz relative to that around 500 Hz of the noise that is added to an impulse."""
    x = np.zeros(8 * RATE, np.float32)
    x[0] = 1000
    power = np.abs(np.fft.rfft((add_noise(x, 0.0, pink, rng(2)) - x).astype(float))) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    density = [power[(frequency > f / 1.1) & (frequency < f * 1.1)].mean() for f in (500, 8000)]
    return float(10 * np.log10(density[1] / density[0]))


def test_pink_noise_falls_3_db_an_octave_and_white_noise_does_not():
    assert octave_ratio_db(pink=True) == pytest.approx(-12.04, abs=0.4)
    assert octave_ratio_db(pink=False) == pytest.approx(0, abs=0.4)


def test_pink_noise_is_flat_below_20_hz():
    class Impulse:
        def standard_normal(self, length: int) -> np.ndarray:
            return np.eye(1, length)[0]

    power = np.abs(np.fft.rfft(add_noise(1e-6 * np.ones(RATE), 120.0, True, Impulse()).astype(float))) ** 2
    np.testing.assert_allclose(
        power[[5, 19, 40, 80, 2000]] / power[20], [1, 1, 1 / 2, 1 / 4, 1 / 100], rtol=1e-3
    )


def test_silence_gets_no_noise_floor():
    assert not add_noise(np.zeros(1000, np.float32), -50.0, True, rng()).any()


def test_levels_are_normal_with_4_db_and_limited_above():
    generator = rng()
    levels = np.array([draw_level_db(generator) for _ in range(5000)])
    assert levels.max() == 4
    assert (levels == 4).mean() == pytest.approx(0.159, abs=0.015)
    assert np.quantile(levels, 0.5) == pytest.approx(0, abs=0.2)
    assert np.quantile(levels, 0.159) == pytest.approx(-4, abs=0.3)
    assert levels.min() >= -16


def plain(seed: int) -> bool:
    """Whether `vary` only changes level and sign with this seed."""
    x = noise(3000)
    ratio = vary(x, rng(seed)) / x
    return float(np.ptp(ratio)) < 1e-4


def test_shares_of_equaliser_room_and_noise():
    untouched = np.mean([plain(seed) for seed in range(1500)])
    assert untouched == pytest.approx((1 - 0.3) * (1 - 0.2) * (1 - 0.25), abs=0.04)


def test_equaliser_room_and_noise_are_drawn_from_their_ranges(monkeypatch: pytest.MonkeyPatch):
    drawn: dict[str, list[tuple[float, ...]]] = {"shelf": [], "response": [], "add_noise": []}

    def noted(name: str):
        def stand_in(*arguments: object) -> np.ndarray:
            drawn[name].append(tuple(float(a) for a in arguments if isinstance(a, float | bool)))
            return np.zeros(1, np.float32)

        return stand_in

    for name in drawn:
        monkeypatch.setattr(f"audiomend.data.augment.{name}", noted(name))
    monkeypatch.setattr("audiomend.data.augment.reverberate", lambda x, _: x)
    generator = rng()
    for _ in range(8000):
        vary(np.zeros(1, np.float32), generator)

    def in_range(values: np.ndarray, low: float, high: float) -> None:
        """All of the range and nothing else, evenly."""
        near = 0.01 * (high - low)
        assert low <= values.min() < low + near
        assert high - near < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))

    gains, corners = np.array(drawn["shelf"]).T
    in_range(gains, -6, 6)
    in_range(np.log(corners), np.log(200), np.log(5000))
    for values, (low, high) in zip(
        np.array(drawn["response"]).T, [(0.2, 1.5), (-30, -12), (3000, 10_000)], strict=True
    ):
        in_range(values, low, high)
    levels, pink = np.array(drawn["add_noise"]).T
    in_range(levels, -75, -50)
    assert pink.mean() == pytest.approx(0.5, abs=0.04)
    shares = [len(drawn[name]) / 8000 for name in ("shelf", "response", "add_noise")]
    assert shares == pytest.approx([0.3, 0.2, 0.25], abs=0.02)


def test_half_of_the_crops_are_turned_over_and_levels_are_in_range():
    x = noise(3000)
    gains = np.array([vary(x, rng(seed))[100] / x[100] for seed in range(1500) if plain(seed)])
    assert (gains < 0).mean() == pytest.approx(0.5, abs=0.06)
    assert np.abs(gains).max() == pytest.approx(10 ** (4 / 20), rel=1e-4)
    assert np.median(20 * np.log10(np.abs(gains))) == pytest.approx(0, abs=0.6)


def test_crops_come_at_their_length_with_bandwidths_that_follow_the_pitch():
    x = np.stack([sine(3000, source_length(16384))] * 40)
    widths = np.full(40, 20000, np.float32)
    crops, bandwidths = augment(x, widths, 16384, rng(3))
    assert crops.shape == (40, 16384)
    assert crops.dtype == bandwidths.dtype == np.float32
    peaks = np.abs(np.fft.rfft(crops * np.hanning(16384))).argmax(axis=1) * RATE / 16384
    np.testing.assert_allclose(bandwidths, np.minimum(20000 * peaks / 3000, 22050), rtol=2e-3)
    assert (bandwidths == 20000).any()
    assert (bandwidths == 22050).any()


def test_augmentation_is_a_function_of_the_generator_and_leaves_the_crops_as_they_are():
    x = np.stack([noise(source_length(4000), seed) for seed in range(10)])
    before, widths = x.copy(), np.full(10, 1000, np.float32)
    first, second = augment(x, widths, 4000, rng(5)), augment(x, widths, 4000, rng(5))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(x, before)
    assert (widths == 1000).all()


def test_silence_stays_silence():
    crops, _ = augment(np.zeros((20, source_length(2000)), np.float32), np.ones(20, np.float32), 2000, rng())
    assert not crops.any()
