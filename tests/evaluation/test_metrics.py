"""The metrics against closed forms, written out here a second time."""

import json
from typing import Any

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.metrics import (
    energy_ratio_db,
    evaluate,
    frame_size,
    level_error,
    log_spectral_distance,
    sdr,
    si_sdr,
    split_bands,
    storable,
)

RATE = 44_100
INF = float("inf")


def noise(*shape: int, seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).standard_normal(shape)


def test_sdr_of_a_known_error() -> None:
    assert sdr([3.0, 4.0], [3.0, 3.5]) == pytest.approx(20.0)  # 25 / 0.25


def test_sdr_of_a_scaled_signal() -> None:
    r = noise(1000)
    assert sdr(r, 0.9 * r) == pytest.approx(20.0)  # |0.1 r|² is a hundredth


def test_sdr_is_not_symmetric() -> None:
    assert sdr([2.0], [1.0]) == pytest.approx(6.0206, abs=1e-4)
    assert sdr([1.0], [2.0]) == pytest.approx(0.0)


def test_sdr_pools_channels_by_energy() -> None:
    r = np.array([[1.0, 1.0], [3.0, 3.0]])
    e = np.array([[0.0, 1.0], [3.0, 2.0]])
    assert sdr(r, e) == pytest.approx(10.0)  # 20 / 2


def test_sdr_takes_any_number_format() -> None:
    assert sdr(np.array([100, -100], np.int16), np.array([90, -90], np.int16)) == pytest.approx(20.0)


def test_sdr_of_an_error_orthogonal_to_the_signal_equals_si_sdr() -> None:
    r, e = np.array([1.0, 0.0]), np.array([1.0, 0.1])
    assert si_sdr(r, e) == pytest.approx(sdr(r, e)) == pytest.approx(20.0)


def test_si_sdr_is_the_projection_formula() -> None:
    r, e = noise(2, 500, seed=2), noise(2, 500, seed=3) + 0.7 * noise(2, 500, seed=2)
    cosine = np.vdot(r, e) / np.linalg.norm(r) / np.linalg.norm(e)
    assert si_sdr(r, e) == pytest.approx(10 * np.log10(cosine**2 / (1 - cosine**2)))


@pytest.mark.parametrize("gain", [1e-6, -0.5, 3.0])
def test_si_sdr_does_not_depend_on_the_scale_of_either(gain: float) -> None:
    r = noise(500)
    e = r + 0.3 * noise(500, seed=4)
    assert si_sdr(r, gain * e) == pytest.approx(si_sdr(r, e), abs=1e-9)
    assert si_sdr(gain * r, e) == pytest.approx(si_sdr(r, e), abs=1e-9)


def test_si_sdr_keeps_the_mean() -> None:
    assert si_sdr([1.0, 1.0], [1.0, 0.0]) == pytest.approx(0.0)  # a = 1/2: |target|² = |residual|² = 1/2


def test_level_error_counts_energy() -> None:
    r = noise(100)
    assert level_error(r, 2 * r) == pytest.approx(20 * np.log10(2))
    assert level_error(r, -r / 10) == pytest.approx(-20.0)


SILENCE, SOUND = np.zeros(8), np.ones(8)
EMPTY = np.zeros(0)


@pytest.mark.parametrize(
    ("metric", "reference", "estimate", "value"),
    [
        (sdr, SOUND, SOUND, INF),
        (sdr, SILENCE, SILENCE, INF),
        (sdr, SILENCE, SOUND, -INF),
        (sdr, SOUND, SILENCE, 0.0),
        (sdr, EMPTY, EMPTY, None),
        (si_sdr, SOUND, 2 * SOUND, INF),
        (si_sdr, SILENCE, SILENCE, INF),
        (si_sdr, SILENCE, SOUND, -INF),
        (si_sdr, SOUND, SILENCE, -INF),
        (si_sdr, EMPTY, EMPTY, None),
        (level_error, SOUND, SOUND, 0.0),
        (level_error, SILENCE, SILENCE, 0.0),
        (level_error, SILENCE, SOUND, INF),
        (level_error, SOUND, SILENCE, -INF),
        (level_error, EMPTY, EMPTY, None),
    ],
)
def test_limits(metric: Any, reference: Any, estimate: Any, value: float | None) -> None:
    result = metric(reference, estimate)
    assert np.isnan(result) if value is None else result == value


def test_an_energy_ratio_does_not_overflow() -> None:
    assert energy_ratio_db(1e-300, 1e300) == pytest.approx(-6000.0)


def test_split_bands_separates_sines_exactly() -> None:
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 999 * t), np.sin(2 * np.pi * 1001 * t)
    below, above = split_bands(low + high, RATE, 1000.0)
    np.testing.assert_allclose(below, low, atol=1e-10)
    np.testing.assert_allclose(above, high, atol=1e-10)


def test_the_bin_at_the_cutoff_belongs_above() -> None:
    at = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    below, _ = split_bands(at, RATE, 1000.0)
    np.testing.assert_allclose(below, 0, atol=1e-10)


@pytest.mark.parametrize("length", [1000, 1001])
def test_the_bands_add_up(length: int) -> None:
    x = noise(2, length)
    below, above = split_bands(x, RATE, 5000.0)
    np.testing.assert_allclose(below + above, x, atol=1e-12)


@pytest.mark.parametrize("cutoff_hz", [0.0, -1.0, 22_050.0, float("nan")])
def test_a_cutoff_outside_the_spectrum_is_refused(cutoff_hz: float) -> None:
    with pytest.raises(UsageError, match="22050"):
        split_bands(SOUND, RATE, cutoff_hz)


def test_lsd_of_a_gain_is_the_gain() -> None:
    r = noise(2, 20_000)
    assert log_spectral_distance(r, 2 * r, RATE) == pytest.approx(20 * np.log10(2), abs=1e-9)


def test_lsd_does_not_depend_on_the_level_of_both() -> None:
    r, e = noise(9000), noise(9000, seed=2)
    assert log_spectral_distance(1e-3 * r, 1e-3 * e, RATE) == pytest.approx(log_spectral_distance(r, e, RATE))


def slow_lsd(reference: Any, estimate: Any, size: int, low: int, high: int) -> float:
    """The definition with loops, for one channel whose frames fit; bins low to high - 1."""
    window = np.sin(np.pi * np.arange(size) / size) ** 2
    starts = range(0, len(reference) - size + 1, size // 4)
    spectra = [
        [np.abs(np.fft.fft(x[s : s + size] * window)) ** 2 for s in starts] for x in (reference, estimate)
    ]
    floor = max(frame[: size // 2 + 1].max() for frame in spectra[0]) * 1e-7
    rms = []
    for r, e in zip(*spectra, strict=True):
        levels = [
            10 * np.log10(max(a, floor)) - 10 * np.log10(max(b, floor))
            for a, b in zip(r[low:high], e[low:high], strict=True)
        ]
        rms.append(np.sqrt(np.mean(np.square(levels))))
    return float(np.mean(rms))


def test_lsd_is_its_definition() -> None:
    r = np.cumsum(noise(2048 + 6 * 512)) * np.linspace(
        0.01, 1, 2048 + 6 * 512
    )  # steep: many bins at the floor
    e = np.cumsum(noise(2048 + 6 * 512, seed=5)) + noise(2048 + 6 * 512, seed=6)
    assert log_spectral_distance(r, e, RATE) == pytest.approx(slow_lsd(r, e, 2048, 0, 1025), abs=1e-9)


def test_lsd_of_a_band_counts_the_bins_from_low_to_below_high() -> None:
    r, e = noise(2048 + 4 * 512), noise(2048 + 4 * 512, seed=5)
    low_hz, high_hz = 100 * RATE / 2048, 300 * RATE / 2048
    expected = slow_lsd(r, e, 2048, 100, 300)
    assert log_spectral_distance(r, e, RATE, low_hz, high_hz) == pytest.approx(expected, abs=1e-9)


def test_lsd_counts_what_is_missing_down_to_the_floor_only() -> None:
    """A lost tone costs the 70 dB at its bin and less around it, whatever is left of it."""
    tone = np.sin(2 * np.pi * 512 / 2048 * np.arange(8192))
    low_hz, high_hz = 511.5 * RATE / 2048, 512.5 * RATE / 2048
    assert log_spectral_distance(tone, 0 * tone, RATE, low_hz, high_hz) == pytest.approx(70.0)
    assert log_spectral_distance(tone, 1e-5 * tone, RATE, low_hz, high_hz) == pytest.approx(70.0)
    assert log_spectral_distance(tone, 1e-3 * tone, RATE, low_hz, high_hz) == pytest.approx(60.0)


def test_the_floor_belongs_to_the_reference() -> None:
    tone = np.sin(2 * np.pi * 512 / 2048 * np.arange(8192))
    low_hz, high_hz = 511.5 * RATE / 2048, 512.5 * RATE / 2048
    assert log_spectral_distance(1e-3 * tone, tone, RATE, low_hz, high_hz) == pytest.approx(60.0)
    other = np.sin(2 * np.pi * 100 / 2048 * np.arange(8192))  # 100 dB below it, in a band of its own
    below = 99.5 * RATE / 2048, 100.5 * RATE / 2048
    assert log_spectral_distance(tone + 1e-5 * other, tone, RATE, *below) == 0


def test_lsd_is_a_mean_over_channels_and_frames() -> None:
    r = noise(2, 2048)
    e = np.stack([r[0] * 10, r[1]])
    assert log_spectral_distance(r, e, RATE) == pytest.approx(10.0, abs=1e-9)  # (20 + 0) / 2


def test_lsd_of_what_is_shorter_than_a_frame_is_that_with_zeros_at_its_end() -> None:
    r, e = noise(1500), noise(1500, seed=7)
    padded = (np.pad(x, (0, 548)) for x in (r, e))
    assert log_spectral_distance(r, e, RATE) == pytest.approx(log_spectral_distance(*padded, RATE))


def test_lsd_sees_the_last_samples() -> None:
    r = noise(2048 + 300)
    e = r.copy()
    e[2048:] = 0
    assert log_spectral_distance(r, e, RATE) > 0.1


def test_lsd_frames_follow_each_other_by_a_quarter_and_end_with_the_signal() -> None:
    """Frames at 0, 512 and, since the rest is too short, 700: a mean over exactly these three."""
    r, e = noise(2748), noise(2748, seed=7)
    floor_from = np.concatenate([r, e])  # white noise is nowhere near the floor, so each frame stands alone
    assert np.abs(floor_from).max() < 6
    frames = [log_spectral_distance(r[s : s + 2048], e[s : s + 2048], RATE) for s in (0, 512, 700)]
    assert log_spectral_distance(r, e, RATE) == pytest.approx(np.mean(frames), abs=1e-9)


def test_lsd_of_long_signals_equals_that_of_its_parts() -> None:
    """More frames than are transformed at a time; of a tone so strong that every part has the same floor."""
    frames = 1100
    tone = 1000 * np.sin(2 * np.pi * 64 / 2048 * np.arange(2048 + (frames - 1) * 512))
    r, e = tone + noise(len(tone)), tone + noise(len(tone), seed=8)
    parts = [
        log_spectral_distance(r[i : i + 2048], e[i : i + 2048], RATE) for i in range(0, frames * 512, 512)
    ]
    assert log_spectral_distance(r, e, RATE) == pytest.approx(np.mean(parts), abs=1e-4)


def test_a_short_signal_is_one_frame() -> None:
    r = noise(100)
    padded = np.pad(r, (0, 1948))
    assert log_spectral_distance(r, r * 3, RATE) == pytest.approx(
        log_spectral_distance(padded, padded * 3, RATE)
    )


@pytest.mark.parametrize(
    ("rate", "size"), [(44_100, 2048), (22_050, 1024), (48_000, 2228), (16_000, 744), (10, 4)]
)
def test_frames_last_46_ms_at_every_rate(rate: int, size: int) -> None:
    assert frame_size(rate) == size


def test_lsd_of_silence() -> None:
    assert log_spectral_distance(np.zeros(4000), np.zeros(4000), RATE) == 0.0
    assert log_spectral_distance(np.zeros(4000), noise(4000), RATE) == INF
    assert np.isnan(log_spectral_distance(np.zeros(0), np.zeros(0), RATE))
    assert np.isnan(log_spectral_distance(noise(4000), noise(4000), RATE, low_hz=30_000.0))


def test_evaluate_splits_every_figure_at_the_cutoff() -> None:
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 500 * t), np.sin(2 * np.pi * 5000 * t)
    damaged = t < 0.5
    figures = evaluate(low + high, 0.9 * low + 0.5 * high, RATE, 2000.0, damaged)
    assert figures["below_sdr_db"] == pytest.approx(20.0, abs=1e-6)
    assert figures["above_sdr_db"] == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert figures["below_level_error_db"] == pytest.approx(20 * np.log10(0.9), abs=1e-6)
    assert figures["above_level_error_db"] == pytest.approx(-20 * np.log10(2), abs=1e-6)
    assert figures["below_damaged_sdr_db"] == pytest.approx(20.0, abs=1e-6)
    assert figures["above_damaged_sdr_db"] == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert figures["sdr_db"] == pytest.approx(10 * np.log10(2 / (0.01 + 0.25)), abs=1e-6)
    assert figures["level_error_db"] == pytest.approx(10 * np.log10((0.81 + 0.25) / 2), abs=1e-6)
    assert figures["si_sdr_db"] == pytest.approx(si_sdr(low + high, 0.9 * low + 0.5 * high))


def test_evaluate_takes_the_spectral_distance_from_bins_on_either_side() -> None:
    r, e = noise(9000), noise(9000, seed=2)
    figures = evaluate(r, e, RATE, 3000.0)
    assert figures["lsd_db"] == pytest.approx(log_spectral_distance(r, e, RATE))
    assert figures["below_lsd_db"] == pytest.approx(log_spectral_distance(r, e, RATE, 0.0, 3000.0))
    assert figures["above_lsd_db"] == pytest.approx(log_spectral_distance(r, e, RATE, 3000.0))


def test_evaluate_measures_the_damaged_samples_of_all_channels() -> None:
    r = np.ones((2, 100))
    e = r.copy()
    e[0, :10], e[:, 50:] = 0.9, 7.0
    mask = np.arange(100) < 10
    assert evaluate(r, e, RATE, damaged=mask)["damaged_sdr_db"] == pytest.approx(10 * np.log10(20 / 0.1))
    both = np.stack([mask, ~mask & False])
    assert evaluate(r, e, RATE, damaged=both)["damaged_sdr_db"] == pytest.approx(20.0)


def test_evaluate_names_its_figures() -> None:
    plain = ["sdr_db", "si_sdr_db", "lsd_db", "level_error_db"]
    assert list(evaluate(SOUND, SOUND, RATE)) == plain
    assert set(evaluate(SOUND, SOUND, RATE, 100.0)) == {
        p + n for p in ("", "below_", "above_") for n in plain
    }


@pytest.mark.parametrize("reference", [SILENCE, SOUND])
@pytest.mark.parametrize("estimate", [SILENCE, SOUND])
def test_evaluate_is_valid_json_whatever_is_silent(reference: Any, estimate: Any) -> None:
    figures = evaluate(reference, estimate, RATE, 1000.0, np.zeros(8, bool))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["damaged_sdr_db"] is None  # no sample is damaged


def test_infinity_is_stored_as_300() -> None:
    assert (storable(INF), storable(-INF), storable(float("nan")), storable(12.5)) == (
        300.0,
        -300.0,
        None,
        12.5,
    )


def test_evaluate_leaves_its_arguments_alone() -> None:
    r, e = noise(3000), noise(3000, seed=2)
    before = r.copy(), e.copy()
    evaluate(r, e, RATE, 1000.0)
    np.testing.assert_array_equal((r, e), before)


@pytest.mark.parametrize(
    ("reference", "estimate", "message"),
    [
        (SOUND, np.ones(9), r"\(8,\).*\(9,\)"),
        (SOUND, np.ones((1, 8)), r"\(8,\).*\(1, 8\)"),
        (SOUND, np.array([1, np.nan, np.inf, 1, 1, 1, 1, 1]), "estimate has 2 values"),
        (np.full(8, -np.inf), SOUND, "reference has 8 values"),
        (EMPTY, EMPTY, "no samples"),
    ],
)
def test_what_cannot_be_compared_is_refused(reference: Any, estimate: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(reference, estimate, RATE)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(7,\)"):
        evaluate(SOUND, SOUND, RATE, damaged=np.ones(7, bool))
