"""Each task's figures on estimates whose error is known."""

from typing import Any

import numpy as np
import pytest

from audiomend.evaluation.damages import Damage, damage, damaged_samples
from audiomend.evaluation.metrics import log_spectral_distance
from audiomend.evaluation.scoring import FIGURES, score, shown_figures

RATE = 44_100


def clip_of(samples: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)


def test_declip_counts_the_clipped_samples_only() -> None:
    clip = np.array([[0.5, 2.0, -2.0, 1.0]], np.float32)
    how = Damage("declip", 5.0, clip_level=1.0)
    observation = damage(clip, RATE, how)
    estimate = np.array([[9.0, 1.8, -1.8, 9.0]], np.float32)
    figures = score(clip, observation, estimate, RATE, how)
    assert figures["clipped_sdr_db"] == pytest.approx(20.0, abs=1e-5)
    assert figures["sdr_db"] == pytest.approx(10 * np.log10(9.25 / (0.08 + 8.5**2 + 64)), abs=1e-5)


CLICKS = Damage("declick", 20.0, peak=0.5, seed=3)


def test_declick_measures_the_samples_under_the_clicks() -> None:
    clip = clip_of(40_000)
    lost = damaged_samples(clip, RATE, CLICKS)
    estimate = np.where(lost, np.float32(0.9) * clip, clip)
    figures = score(clip, damage(clip, RATE, CLICKS), estimate, RATE, CLICKS)
    assert figures["clicked_sdr_db"] == pytest.approx(20.0, abs=1e-4)
    wrong = np.square(0.1 * clip[lost]).sum()
    assert figures["sdr_db"] == pytest.approx(10 * np.log10(np.square(clip).sum() / wrong), abs=1e-3)


GAPS = Damage("inpaint", 100.0, gaps=((5000, 9410), (20_000, 24_410)))


def test_inpaint_means_over_gaps_of_decibels() -> None:
    gains = np.array([0.9, 2.0, 0.5])
    how = Damage("inpaint", 100.0, gaps=((5000, 9410), (20_000, 24_410), (30_000, 34_410)))
    clip = clip_of(40_000)
    estimate = clip.copy()
    for (start, stop), gain in zip(how.gaps, gains, strict=True):
        estimate[:, start:stop] *= np.float32(gain)
    figures = score(clip, clip, estimate, RATE, how)
    assert figures["gap_sdr_db"] == pytest.approx(np.mean(-20 * np.log10(abs(1 - gains))), abs=1e-4)
    assert figures["gap_level_error_db"] == pytest.approx(np.mean(20 * np.log10(gains)), abs=1e-4)


def test_inpaint_takes_the_spectral_distance_over_the_gap_and_half_a_frame_around_it() -> None:
    clip, estimate = clip_of(40_000), clip_of(40_000, seed=2)
    figures = score(clip, clip, estimate, RATE, GAPS)
    parts = [slice(5000 - 1024, 9410 + 1024), slice(20_000 - 1024, 24_410 + 1024)]
    expected = np.mean([log_spectral_distance(clip[:, p], estimate[:, p], RATE) for p in parts])
    assert figures["gap_lsd_db"] == pytest.approx(expected)


def test_inpaint_ignores_what_lies_outside_the_gaps() -> None:
    clip = clip_of(40_000)
    estimate = clip.copy()
    estimate[:, 12_000:18_000] = 0
    figures = score(clip, clip, estimate, RATE, GAPS)
    assert (figures["gap_sdr_db"], figures["gap_lsd_db"], figures["gap_level_error_db"]) == (300.0, 0.0, 0.0)


def test_a_gap_near_the_start_is_cut_to_the_clip() -> None:
    clip, estimate = clip_of(20_000), clip_of(20_000, seed=2)
    figures = score(clip, clip, estimate, RATE, Damage("inpaint", 50.0, gaps=((500, 2705),)))
    expected = log_spectral_distance(clip[:, : 2705 + 1024], estimate[:, : 2705 + 1024], RATE)
    assert figures["gap_lsd_db"] == pytest.approx(expected)


def test_an_empty_gap_has_a_level_error_of_minus_infinity() -> None:
    clip = clip_of(40_000)
    figures = score(clip, clip, damage(clip, RATE, GAPS), RATE, GAPS)
    assert figures["gap_level_error_db"] == -300.0
    assert figures["gap_sdr_db"] == pytest.approx(0.0)


def tones(*pairs: tuple[float, float]) -> Any:
    t = np.arange(RATE) / RATE
    return sum(gain * np.sin(2 * np.pi * hz * t) for hz, gain in pairs)[None].astype(np.float32)


LOW_PASS = Damage("extend", 3000.0)


def test_extend_measures_agreement_with_the_damaged_clip_below_the_fall_of_the_low_pass() -> None:
    clip, observation = tones((500, 1.0), (5000, 1.0)), tones((500, 0.5), (2950, 0.1))
    estimate = tones((500, 0.45), (2900, 3.0), (5000, 2.0))  # 2900 Hz lies above 0.95 of the cut-off
    figures = score(clip, observation, estimate, RATE, LOW_PASS)
    assert figures["agreement_below_db"] == pytest.approx(20.0, abs=1e-3)
    assert figures["above_level_error_db"] == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_agreement_reaches_up_to_that_fall() -> None:
    observation, estimate = tones((2840, 1.0)), tones((2840, 0.9))
    assert score(observation, observation, estimate, RATE, LOW_PASS)["agreement_below_db"] == pytest.approx(
        20.0, abs=1e-3
    )


def test_extend_takes_the_spectral_distance_from_the_cutoff_upwards() -> None:
    clip, estimate = clip_of(9000), clip_of(9000, seed=2)
    estimate[:, 3000:] = 0  # below a floor that the reference sets
    figures = score(clip, clip, estimate, RATE, LOW_PASS)
    assert figures["above_lsd_db"] == pytest.approx(
        log_spectral_distance(clip, estimate, RATE, low_hz=3000.0)
    )
    assert figures["lsd_db"] == pytest.approx(log_spectral_distance(clip, estimate, RATE))


BOX = Damage("band", 200.0, gaps=((8000, 16_820), (24_000, 32_820)))


def test_a_box_is_judged_inside_its_band_and_agrees_with_the_damaged_clip_beside_it() -> None:
    """What lies at 6.32 kHz, above the band but where its filters still fall, counts for neither."""
    clip = tones((1000, 1.0), (4000, 1.0), (6320, 1.0))
    observation = tones((1000, 0.5), (9000, 1.0))
    estimate = tones((1000, 0.45), (4000, 2.0), (6320, 7.0), (9000, 0.9))
    figures = score(clip, observation, estimate, RATE, BOX)
    assert figures["box_level_error_db"] == pytest.approx(20 * np.log10(2), abs=0.01)
    assert figures["agreement_beside_db"] == pytest.approx(20.0, abs=0.01)


def test_a_box_takes_the_spectral_distance_of_its_band_with_half_a_frame_on_either_side() -> None:
    clip, estimate = clip_of(40_000), clip_of(40_000, seed=2)
    figures = score(clip, clip, estimate, RATE, BOX)
    parts = [slice(start - 1024, stop + 1024) for start, stop in BOX.gaps]
    expected = [log_spectral_distance(clip[:, p], estimate[:, p], RATE, 2000, 6000) for p in parts]
    assert figures["box_lsd_db"] == pytest.approx(np.mean(expected))


def test_si_sdr_of_the_whole_clip_forgives_a_gain() -> None:
    clip = clip_of(9000)
    noise = clip_of(9000, seed=2)
    noise -= clip * np.float32(np.vdot(noise, clip) / np.vdot(clip, clip))
    estimate = np.float32(0.25) * (clip + np.float32(0.1) * noise)
    figures = score(clip, clip, estimate, RATE, Damage("declip", 5.0, clip_level=1.0))
    expected = 10 * np.log10(np.vdot(clip, clip) / np.vdot(noise, noise)) + 20
    assert figures["si_sdr_db"] == pytest.approx(expected, abs=1e-3)


def test_each_table_shows_figures_of_its_task() -> None:
    assert shown_figures("declip", 3.0) == ("clipped_sdr_db", "si_sdr_db", "lsd_db")
    assert shown_figures("inpaint", 50.0) == ("gap_sdr_db",)
    assert shown_figures("inpaint", 100.0) == ("gap_lsd_db", "gap_level_error_db")
    assert shown_figures("declick", 20.0) == ("clicked_sdr_db", "sdr_db")
    assert shown_figures("band", 200.0) == ("box_lsd_db", "box_level_error_db", "agreement_beside_db")
    assert shown_figures("extend", 3000.0) == ("above_lsd_db", "agreement_below_db", "lsd_db", "si_sdr_db")


def test_every_figure_has_a_label() -> None:
    clip = clip_of(40_000)
    box = Damage("band", 200.0, gaps=((8000, 11_200),))
    hows = (Damage("declip", 5.0, clip_level=1.0), CLICKS, GAPS, box, LOW_PASS)
    assert {name for how in hows for name in score(clip, clip, clip, RATE, how)} == set(FIGURES)
