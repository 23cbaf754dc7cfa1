import numpy as np
import pytest

from audiomend.data.damage import (
    clip_threshold,
    damage,
    draw_gaps,
    input_sdr_db,
    low_pass,
    lowpass_fir,
)
from audiomend.errors import TrainingError

RATE = 44100
ROWS = 120
LENGTH = 32768


def noise(shape: int | tuple[int, ...], seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return noise((ROWS, LENGTH))


@pytest.fixture(scope="module")
def hurt(clean: np.ndarray):
    return damage(clean, np.random.default_rng(1))


@pytest.fixture(scope="module")
def many():
    """Short crops, enough of them for shares and ranges, with their damage."""
    crops = noise((3000, 300))
    return crops, damage(crops, np.random.default_rng(2))


def kind(hurt, row: int) -> str:
    if not hurt.has_observation[row]:
        return "none"
    if hurt.clip[row].any():
        return "clip"
    return "gap" if hurt.unknown[row].any() else "lowpass"


def rows(hurt, wanted: str) -> list[int]:
    return [row for row in range(ROWS) if kind(hurt, row) == wanted]


def sdr(clean: np.ndarray, other: np.ndarray) -> float:
    clean, other = clean.astype(float), other.astype(float)
    return float(10 * np.log10(np.sum(clean**2) / np.sum((clean - other) ** 2)))


@pytest.mark.parametrize("sdr_db", [1.0, 3.0, 7.5, 15.0, 40.0])
def test_the_threshold_clips_at_the_sdr_asked_for(sdr_db: float):
    x = noise(20000)
    clipped = np.clip(x, -clip_threshold(x, sdr_db), clip_threshold(x, sdr_db))
    assert sdr(x, clipped) == pytest.approx(sdr_db, abs=0.01)


def test_the_sdr_of_a_square_wave_is_known():
    x = np.where(np.arange(100) % 2, 1.0, -1.0).astype(np.float32)
    assert input_sdr_db(x, 0.75) == pytest.approx(20 * np.log10(4))
    assert clip_threshold(x, 20 * np.log10(4)) == pytest.approx(0.75, rel=1e-5)


def test_nothing_clipped_is_an_infinite_sdr():
    assert input_sdr_db(noise(100), 10.0) == np.inf


@pytest.mark.parametrize(
    ("x", "sdr_db"), [(np.zeros(10, np.float32), 5.0), (noise(10), 0.0), (noise(10), float("nan"))]
)
def test_what_cannot_be_clipped_is_refused(x: np.ndarray, sdr_db: float):
    with pytest.raises(TrainingError, match=r"cannot be clipped at an input SDR of .* dB"):
        clip_threshold(x, sdr_db)


def test_clipped_rows_have_an_input_sdr_of_1_to_15_db(many):
    crops, hurt = many
    measured = [sdr(crops[row], hurt.observation[row]) for row in range(3000) if hurt.clip[row].any()]
    assert 0.99 <= min(measured) < 1.05
    assert 14.9 < max(measured) <= 15.01
    assert np.mean(measured) == pytest.approx(8, abs=0.5)


def test_clipped_samples_stand_at_the_signed_level_and_are_marked(clean: np.ndarray, hurt):
    for row in rows(hurt, "clip"):
        level = np.abs(hurt.clip[row]).max()
        np.testing.assert_array_equal(hurt.observation[row], np.clip(clean[row], -level, level))
        over = np.abs(clean[row]) > level
        np.testing.assert_array_equal(hurt.clip[row], np.where(over, np.sign(clean[row]) * level, 0))
        np.testing.assert_array_equal(hurt.unknown[row], over.astype(np.float32))


def test_gaps_are_zero_and_marked_and_the_rest_is_untouched(clean: np.ndarray, hurt):
    for row in rows(hurt, "gap"):
        lost = hurt.unknown[row] == 1
        assert set(np.unique(hurt.unknown[row])) == {0, 1}
        assert not hurt.observation[row][lost].any()
        np.testing.assert_array_equal(hurt.observation[row][~lost], clean[row][~lost])


def runs(mask: np.ndarray) -> list[int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]]).astype(np.int8)))
    return (edges[1::2] - edges[::2]).tolist()


def test_one_to_three_gaps_of_20_to_600_ms_log_uniform():
    masks = [draw_gaps(160_000, np.random.default_rng(seed)) for seed in range(600)]
    gaps = [run for mask in masks for run in runs(mask)]
    counts = [len(runs(mask)) for mask in masks]
    assert np.bincount(counts).tolist()[1:] == pytest.approx([200, 200, 200], abs=40)
    assert 882 <= min(gaps) < 900
    assert 26000 < max(gaps) <= 26460
    assert np.mean(np.log(gaps)) == pytest.approx(np.log(np.sqrt(882 * 26460)), abs=0.08)


def test_gaps_fill_at_most_half_of_a_crop():
    shares = [draw_gaps(9000, np.random.default_rng(seed)).mean() for seed in range(300)]
    assert max(shares) == pytest.approx(0.5, abs=0.01)


def test_each_gap_lies_whole_and_anywhere_in_its_share_of_the_crop():
    masks = np.stack([draw_gaps(12, np.random.default_rng(seed)) for seed in range(400)])
    assert (masks.sum(axis=1) == 6).all()  # one gap of 6, two of 3 or three of 2
    single = masks[np.array([runs(mask) == [6] for mask in masks])]
    assert {int(mask.argmax()) for mask in single} == set(range(7))


def test_gaps_lie_anywhere():
    masks = np.stack([draw_gaps(RATE, np.random.default_rng(seed)) for seed in range(1000)])
    starts = [int(np.flatnonzero(mask)[0]) for mask in masks if len(runs(mask)) == 1]
    assert min(starts) < 0.02 * RATE
    ends = [int(np.flatnonzero(mask)[-1]) for mask in masks if len(runs(mask)) == 1]
    assert max(ends) > 0.98 * RATE
    ends_of_all = masks[:, -1].sum()
    assert masks[:, 0].sum() + ends_of_all < 15


def response_db(taps: np.ndarray, frequency: float) -> float:
    n = np.arange(len(taps))
    return float(20 * np.log10(abs(np.sum(taps.astype(float) * np.exp(-2j * np.pi * frequency / RATE * n)))))


@pytest.mark.parametrize("cutoff", [1000.0, 3000.0, 8000.0])
@pytest.mark.parametrize("half", [0.003, 0.015])
def test_the_low_pass_is_linear_phase_with_unit_gain_at_dc(cutoff: float, half: float):
    taps = lowpass_fir(cutoff, half)
    assert len(taps) == 2 * round(half * RATE) + 1
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-8)
    assert taps.astype(float).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("cutoff", [1000.0, 3000.0, 8000.0])
@pytest.mark.parametrize("half", [0.006, 0.015])
def test_the_low_pass_halves_at_the_cutoff_and_stops_100_db_beyond(cutoff: float, half: float):
    taps = lowpass_fir(cutoff, half)
    assert response_db(taps, cutoff) == pytest.approx(-6.02, abs=0.1)
    assert response_db(taps, cutoff - 1.6 / half) == pytest.approx(0, abs=1e-3)
    assert response_db(taps, cutoff + 1.65 / half) < -95
    assert response_db(taps, cutoff + 1.2 / half) > -95  # no narrower than it says


def test_filtering_equals_the_direct_sum_without_a_shift():
    x, taps = noise(700), lowpass_fir(5000.0, 0.003)
    half = len(taps) // 2
    padded = np.concatenate([np.zeros(half), x, np.zeros(half)])
    direct = [np.dot(padded[i : i + len(taps)], taps[::-1]) for i in range(700)]
    np.testing.assert_allclose(low_pass(x, taps), direct, atol=1e-6)


def test_an_impulse_stays_where_it_is():
    x = np.zeros(2000, np.float32)
    x[777] = 1
    assert low_pass(x, lowpass_fir(4000.0, 0.005)).argmax() == 777


def test_low_passed_rows_hold_the_signal_below_the_cutoff_and_nothing_above(clean: np.ndarray, hurt):
    frequency = np.fft.rfftfreq(LENGTH, 1 / RATE)
    inside = slice(2000, LENGTH - 2000)
    for row in rows(hurt, "lowpass"):
        cutoff = hurt.cutoff_hz[row]
        window = np.zeros(LENGTH)
        window[inside] = np.hanning(LENGTH - 4000)
        got = np.fft.rfft(hurt.observation[row] * window)
        wanted = np.fft.rfft(clean[row] * window)
        below, above = frequency < cutoff - 700, frequency > cutoff + 700
        if below.any():
            np.testing.assert_allclose(got[below], wanted[below], atol=2e-3 * np.abs(wanted).max())
        assert np.abs(got[above]).max() < 1e-3 * np.abs(wanted).max()
        assert not hurt.unknown[row].any()
        assert not hurt.clip[row].any()


def test_cutoffs_are_log_uniform_from_1_to_8_khz(many):
    hurt = many[1]
    cutoffs = hurt.cutoff_hz[hurt.cutoff_hz < 22050]
    assert 1000 <= cutoffs.min() < 1020
    assert 7800 < cutoffs.max() <= 8000
    assert np.mean(np.log(cutoffs)) == pytest.approx(np.log(np.sqrt(8e6)), abs=0.06)


def test_a_fifth_has_no_observation_and_the_kinds_share_the_rest(many):
    hurt = many[1]
    kinds = [("lowpass" if hurt.cutoff_hz[row] < 22050 else kind(hurt, row)) for row in range(3000)]
    drawn = {name: kinds.count(name) / 3000 for name in ("none", "clip", "gap", "lowpass")}
    assert drawn == pytest.approx(
        {"none": 0.2, "clip": 0.8 / 3, "gap": 0.8 / 3, "lowpass": 0.8 / 3}, abs=0.025
    )


def test_rows_without_an_observation_know_nothing(hurt):
    for row in rows(hurt, "none"):
        assert not hurt.observation[row].any()
        assert (hurt.unknown[row] == 1).all()
        assert not hurt.clip[row].any()


def test_the_cutoff_is_nyquist_where_there_is_no_low_pass(hurt):
    for row in rows(hurt, "none") + rows(hurt, "clip") + rows(hurt, "gap"):
        assert hurt.cutoff_hz[row] == 22050


def test_every_field_has_its_type(hurt):
    assert (
        hurt.observation.dtype == hurt.unknown.dtype == hurt.clip.dtype == hurt.cutoff_hz.dtype == np.float32
    )
    assert hurt.has_observation.dtype == np.bool_
    assert hurt.observation.shape == hurt.unknown.shape == hurt.clip.shape == (ROWS, LENGTH)


def test_damage_is_a_function_of_the_generator_and_leaves_the_crops_as_they_are(clean: np.ndarray, hurt):
    before = clean.copy()
    again = damage(clean, np.random.default_rng(1))
    np.testing.assert_array_equal(again.observation, hurt.observation)
    np.testing.assert_array_equal(again.cutoff_hz, hurt.cutoff_hz)
    np.testing.assert_array_equal(clean, before)


def test_silent_rows_come_back_whole_where_they_would_be_clipped():
    hurt = damage(np.zeros((60, 2000), np.float32), np.random.default_rng(0))
    assert not hurt.observation.any()
    assert not hurt.clip.any()
    assert np.isfinite(hurt.cutoff_hz).all()
