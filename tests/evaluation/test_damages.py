"""The benchmark's damages: what they do, and that a seed and a clip give the same one everywhere."""

from typing import Any

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.damages import (
    Damage,
    NotApplicableError,
    clip_level_for,
    damage,
    damaged_samples,
    place_gaps,
    plan,
    seed_of,
    sha256_of,
)
from audiomend.evaluation.metrics import sdr, split_bands
from audiomend.operators.click import Clicks

RATE = 8000


def clip_of(seconds: float, channels: int = 2, seed: int = 1) -> Any:
    shape = (channels, round(seconds * RATE))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize("target", [3.0, 5.0, 10.0])
def test_clipping_leaves_the_requested_sdr(target: float) -> None:
    clip = clip_of(1.0)
    observation = damage(clip, RATE, plan("declip", target, clip, RATE, 0))
    assert sdr(clip, observation) == pytest.approx(target, abs=1e-4)


def test_clipping_has_one_level_for_all_channels() -> None:
    clip = clip_of(1.0)
    clip[1] *= 0.3
    level = clip_level_for(clip, 5.0)
    observation = damage(clip, RATE, Damage("declip", 5.0, clip_level=level))
    np.testing.assert_array_equal(observation, np.clip(clip, -np.float32(level), np.float32(level)))


def test_clipped_samples_are_those_that_changed() -> None:
    clip = clip_of(1.0)
    how = plan("declip", 5.0, clip, RATE, 0)
    np.testing.assert_array_equal(damaged_samples(clip, RATE, how), damage(clip, RATE, how) != clip)


def test_gaps_are_zero_inside_and_leave_the_rest() -> None:
    clip = clip_of(4.0)
    how = plan("inpaint", 50.0, clip, RATE, 3)
    observation, mask = damage(clip, RATE, how), damaged_samples(clip, RATE, how)
    assert not observation[mask].any()
    np.testing.assert_array_equal(observation[~mask], clip[~mask])
    assert mask.sum() == 2 * 400 * len(how.gaps)
    assert all(stop - start == 400 for start, stop in how.gaps)


def test_a_gap_zeroes_from_start_to_before_stop() -> None:
    clip = np.ones((1, 10), np.float32)
    assert damage(clip, RATE, Damage("inpaint", 1.0, gaps=((2, 4),)))[0].tolist() == [1, 1, 0, 0] + [1] * 6


@pytest.mark.parametrize(("length_ms", "count"), [(50, 8), (100, 8), (400, 5)])
def test_there_is_about_one_gap_a_second_and_at_most_a_quarter_is_gone(length_ms: int, count: int) -> None:
    gaps = place_gaps(clip_of(8.0), length_ms * RATE // 1000, RATE, 1)
    assert len(gaps) == count  # 400 ms: one in 1.6 s


@pytest.mark.parametrize("seed", range(20))
def test_gaps_keep_their_distance(seed: int) -> None:
    gaps = place_gaps(clip_of(8.0), 800, RATE, seed)
    edges = np.array([0, *np.ravel(gaps), 8 * RATE])
    distances = np.diff(edges)[::2]
    assert distances[[0, -1]].min() >= 800
    assert distances[1:-1].min() >= 1600


def test_long_gaps_may_lie_anywhere_but_for_a_tenth_of_a_second() -> None:
    """Gaps of 3200 samples in slots of 12,800, on a grid of 800: from 800 to 12,800 - 800 - 3200."""
    clip = clip_of(8.0)
    offsets = {start % 12_800 for seed in range(60) for start, _ in place_gaps(clip, 3200, RATE, seed)}
    assert offsets == set(range(800, 8801, 800))


def test_the_seed_places_the_gaps() -> None:
    clip = clip_of(8.0)
    assert place_gaps(clip, 400, RATE, 1) == place_gaps(clip, 400, RATE, 1)
    assert place_gaps(clip, 400, RATE, 1) != place_gaps(clip, 400, RATE, 2)


def test_no_gap_falls_into_a_pause() -> None:
    """Sound, a second at -40 dB, sound: no gap has most of its energy below the active range."""
    clip = clip_of(3.0)
    clip[:, RATE : 2 * RATE] *= 0.01
    found = [gap for seed in range(30) for gap in place_gaps(clip, 400, RATE, seed)]
    assert {start // RATE for start, _ in found} == {0, 2}


def test_quiet_but_active_places_are_allowed() -> None:
    clip = clip_of(3.0)
    clip[:, RATE : 2 * RATE] *= 0.1
    assert len(place_gaps(clip, 400, RATE, 1)) == 3


def test_a_low_pass_keeps_what_is_below_and_loses_what_is_above() -> None:
    clip = clip_of(1.0)
    how = plan("extend", 3000.0, clip, RATE, 0)
    observation = damage(clip, RATE, how)
    kept, _ = split_bands(observation, RATE, 2850.0)
    original, _ = split_bands(clip, RATE, 2850.0)
    _, lost = split_bands(observation, RATE, 3150.0)
    assert sdr(original, kept) > 40  # the ends of the clip, where the filter sees zeros, cost a little
    assert np.square(lost).sum() < 1e-5 * np.square(clip).sum()
    assert damaged_samples(clip, RATE, how).all()


def test_clicks_are_those_of_the_operator_on_the_same_samples_of_all_channels() -> None:
    clip = clip_of(3.0)
    how = plan("declick", 20.0, clip, RATE, 7)
    loudest = np.sqrt(np.mean(np.square(clip.astype(np.float64)))) * 10**0.75
    added = Clicks.random(0, 3 * RATE, RATE, 20.0, loudest, 7).added.numpy()
    np.testing.assert_allclose(damage(clip, RATE, how) - clip, np.stack([added, added]), atol=1e-7)
    np.testing.assert_array_equal(damaged_samples(clip, RATE, how), np.stack([added != 0] * 2))
    assert 0.3 * loudest < np.abs(added).max() <= loudest
    other = damage(clip, RATE, plan("declick", 20.0, clip, RATE, 8))
    assert (other != damage(clip, RATE, how)).any()


@pytest.mark.parametrize("task", ["declip", "inpaint", "extend", "declick"])
def test_damages_leave_the_clip_alone_and_are_float32(task: Any) -> None:
    clip = clip_of(2.0)
    before = clip.copy()
    how = plan(task, {"declip": 5.0, "inpaint": 50.0, "extend": 1000.0, "declick": 20.0}[task], clip, RATE, 0)
    observation = damage(clip, RATE, how)
    np.testing.assert_array_equal(clip, before)
    assert observation.dtype == np.float32
    assert observation.shape == clip.shape


@pytest.mark.parametrize(
    ("task", "severity", "clip", "reason"),
    [
        ("declip", 3.0, np.zeros((1, RATE), np.float32), "silent"),
        ("inpaint", 400.0, clip_of(1.0), "too short"),
        ("extend", 3601.0, clip_of(1.0), "nothing to extend"),
    ],
)
def test_a_damage_that_makes_no_sense_is_refused(task: Any, severity: float, clip: Any, reason: str) -> None:
    with pytest.raises(NotApplicableError, match=reason):
        plan(task, severity, clip, RATE, 0)


@pytest.mark.parametrize("severity", [0.0, -3.0, float("nan")])
@pytest.mark.parametrize("task", ["declip", "inpaint", "extend"])
def test_a_severity_of_nothing_is_refused(task: Any, severity: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        plan(task, severity, clip_of(1.0), RATE, 0)


def test_a_cutoff_at_nine_tenths_of_half_the_rate_is_the_last_one() -> None:
    assert plan("extend", 3600.0, clip_of(1.0), RATE, 0) == Damage("extend", 3600.0)


def test_hashes_and_seeds_are_what_they_were() -> None:
    """Pinned: a change of either would silently start another benchmark."""
    samples = np.array([[0.5, -1.0]], np.float32)
    assert sha256_of(samples) == "031a5e93e726630d2e7087e4356829de6907683f3a2aba769e5155e7a068d167"
    assert seed_of(0, "music/a.flac", "declip", 3.0) == 0x15E2616445929D79
