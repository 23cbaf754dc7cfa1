"""A comparison by ear is fair: same place, same level."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from audiomend.errors import UsageError
from audiomend.report import listening
from audiomend.report.listening import Excerpt, Sound
from audiomend.report.spectrogram import Region

RATE = 8_000


def noise(seconds: float, level: float = 0.1, channels: int = 2, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).uniform(-1, 1, (channels, round(seconds * RATE)))


def test_gains_equal_the_levels_of_the_undamaged_samples() -> None:
    first, second = noise(1), noise(1, seed=1)
    damaged = np.zeros(RATE, dtype=bool)
    damaged[: RATE // 2] = True
    second[:, : RATE // 2] *= 9
    matched = listening.match([first, second], damaged)
    rms = [np.sqrt((sound[:, RATE // 2 :] ** 2).mean()) for sound in (first, second)]
    assert matched.gains == pytest.approx((1.0, rms[0] / rms[1]), rel=1e-12)
    assert (matched.undamaged, matched.lowered) == (True, False)


def test_gains_equal_the_levels_of_all_samples_where_too_few_are_undamaged() -> None:
    first, second = noise(1), 0.5 * noise(1)
    damaged = np.arange(RATE) >= RATE // 10 - 1
    second[:, : RATE // 10 - 1] = 0
    matched = listening.match([first, second], damaged)
    assert matched.gains[1] == pytest.approx(np.sqrt((first**2).mean() / (second**2).mean()), rel=1e-12)
    assert not matched.undamaged


def test_a_tenth_of_undamaged_samples_is_enough() -> None:
    assert listening.match([noise(1)], np.arange(RATE) >= RATE // 10).undamaged


def test_no_sound_exceeds_full_scale() -> None:
    quiet, loud = noise(1, 0.5), 2 * noise(1, 0.5)
    quiet[0, 5] = 1.25
    loud[0, 5] = 5.0
    matched = listening.match([quiet, loud], np.zeros(RATE, dtype=bool))
    peaks = [gain * np.abs(sound).max() for gain, sound in zip(matched.gains, (quiet, loud), strict=True)]
    assert max(peaks) == pytest.approx(1, rel=1e-12)
    levels = [gain * np.sqrt((s**2).mean()) for gain, s in zip(matched.gains, (quiet, loud), strict=True)]
    assert levels[0] == pytest.approx(levels[1], rel=1e-12)
    assert matched.lowered


@pytest.mark.parametrize("which", [0, 1])
def test_silence_keeps_its_level(which: int) -> None:
    sounds = [noise(1), noise(1)]
    sounds[which] = np.zeros((2, RATE))
    assert listening.match(sounds, np.zeros(RATE, dtype=bool)).gains == (1.0, 1.0)


def test_the_excerpt_has_the_lone_change_in_its_middle() -> None:
    before, after = noise(60), noise(60)
    after[:, 40 * RATE : 40 * RATE + 80] = 0
    assert listening.loudest_change([(before, after)], RATE, 20) == pytest.approx(30 * RATE, abs=0.15 * RATE)


def test_the_excerpt_holds_the_most_energy_of_change() -> None:
    before, after = np.zeros((1, 100 * RATE)), np.zeros((1, 100 * RATE))
    after[:, 10 * RATE : 10 * RATE + 100] = 0.5  # once, loud: 25
    after[:, 50 * RATE : 58 * RATE : 80] = -0.2  # often, softer: 32
    start = listening.loudest_change([(before, after)], RATE, 20) / RATE
    assert 38 <= start <= 50


def test_a_loud_change_outweighs_many_soft_ones() -> None:
    before, after = np.zeros((1, 100 * RATE)), np.zeros((1, 100 * RATE))
    after[:, 40 * RATE : 40 * RATE + 100] = 0.5  # energy 25, sum of magnitudes 50
    after[:, 70 * RATE : 78 * RATE : 80] = -0.15  # 18 and 120
    assert 20 <= listening.loudest_change([(before, after)], RATE, 20) / RATE <= 40


def test_a_change_in_the_last_moment_counts() -> None:
    before, after = np.zeros((1, 30 * RATE)), np.zeros((1, 30 * RATE))
    after[:, -1] = 0.5
    assert listening.loudest_change([(before, after)], RATE, 20) == 10 * RATE


def test_blocks_change_nothing_about_the_excerpt() -> None:
    before, after = noise(30), noise(30, seed=3)
    after[1, 21 * RATE] += 5
    whole = listening.loudest_change([(before, after)], RATE, 4)
    cuts = [0, 17, 17, 900, 23 * RATE + 11, 30 * RATE]
    blocks = [(before[:, a:b], after[:, a:b]) for a, b in itertools.pairwise(cuts)]
    assert listening.loudest_change(blocks, RATE, 4) == whole


@pytest.mark.parametrize("seconds", [0.01, 19.9, 20.0])
def test_a_short_sound_is_its_own_excerpt(seconds: float) -> None:
    sound = noise(seconds)
    assert listening.loudest_change([(sound, -sound)], RATE, 20) == 0
    excerpt = listening.excerpt_of([Sound("a", sound, RATE)])
    assert (excerpt.start, excerpt.samples, excerpt.duration) == (0, sound.shape[1], sound.shape[1] / RATE)


def test_a_long_sound_is_cut_where_the_last_two_differ() -> None:
    clean, before = noise(60, seed=1), noise(60)
    after = before.copy()
    after[:, 35 * RATE] += 0.5
    sounds = [Sound("a", clean, RATE), Sound("b", before, RATE, "note"), Sound("c", after, RATE)]
    excerpt = listening.excerpt_of(sounds, start=100.0, duration=300.0)
    first = round((excerpt.start - 100) * RATE)
    assert first == pytest.approx(25 * RATE, abs=0.15 * RATE)
    assert excerpt.samples == 20 * RATE
    np.testing.assert_array_equal(excerpt.sounds[2].audio, after[:, first : first + 20 * RATE])
    assert (excerpt.sounds[1].name, excerpt.sounds[1].note, excerpt.duration) == ("b", "note", 300.0)


def test_an_excerpt_at_the_end_is_whole() -> None:
    before = noise(50.05)
    after = before.copy()
    after[:, -3:] += 0.5
    excerpt = listening.excerpt_of([Sound("b", before, RATE), Sound("a", after, RATE)])
    assert excerpt.samples == 20 * RATE
    assert excerpt.end <= 50.05


def test_a_single_long_sound_is_cut_to_twenty_seconds() -> None:
    assert listening.excerpt_of([Sound("a", noise(21), RATE)]).samples == 20 * RATE


def test_mono_arrays_of_one_axis_are_taken() -> None:
    assert listening.excerpt_of([Sound("a", noise(1)[0], RATE)]).sounds[0].audio.shape == (1, RATE)


@pytest.mark.parametrize(
    ("samples", "rate"), [(RATE, RATE + 1), (RATE + 1, RATE), (0, RATE)], ids=["rate", "length", "empty"]
)
def test_sounds_that_cannot_run_in_step_are_refused(samples: int, rate: int) -> None:
    other = Sound("odd one", np.zeros((2, samples)), rate)
    first = [] if samples == 0 else [Sound("first", noise(1), RATE)]
    with pytest.raises(UsageError, match=f"'odd one' has {samples} samples at {rate} Hz"):
        listening.excerpt_of([*first, other])


def test_damaged_samples_are_those_inside_the_intervals() -> None:
    sounds = (Sound("a", noise(1), RATE),)
    excerpt = Excerpt(sounds, start=10.0, duration=60.0)
    regions = [Region(9.5, 10.0 + 3 / RATE), Region(10 + 500 / RATE, 10 + 502 / RATE), Region(10.9999, 12)]
    expected = [0, 1, 2, 500, 501, RATE - 1]
    assert np.flatnonzero(listening.damaged_samples(regions, excerpt)).tolist() == expected


def test_regions_before_the_excerpt_damage_nothing() -> None:
    excerpt = Excerpt((Sound("a", noise(1), RATE),), start=10.0, duration=60.0)
    assert not listening.damaged_samples([Region(1, 2), Region(30, 31)], excerpt).any()


def test_an_excerpt_knows_its_place() -> None:
    excerpt = Excerpt((Sound("a", noise(2), RATE),), start=10.0, duration=60.0)
    assert (excerpt.rate, excerpt.samples, excerpt.seconds, excerpt.end) == (RATE, 2 * RATE, 2.0, 12.0)


def decoded(content: bytes) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    return samples.T, rate


def test_flac_holds_sixteen_bits_of_the_sound() -> None:
    audio = np.array([[0.0, 1.0, -1.0, 0.5, 1.5, -7.0], [0.25, 0.1, 0, 0, 0, 0]])
    samples, rate = decoded(listening.flac(audio, 44_100))
    assert rate == 44_100
    np.testing.assert_array_equal(
        samples, [[0, 32767, -32767, 16384, 32767, -32767], [8192, 3277, 0, 0, 0, 0]]
    )


def test_many_channels_are_averaged() -> None:
    audio = np.array([[0.3, 0.0], [0.6, 0.0], [0.0, 0.9]])
    np.testing.assert_array_equal(decoded(listening.flac(audio, 44_100))[0], [[9830, 9830]])


@pytest.mark.parametrize(
    ("rate", "played"), [(4_000, 48_000), (8_000, 8_000), (96_000, 96_000), (192_000, 48_000)]
)
def test_rates_that_browsers_may_not_know_are_resampled(rate: int, played: int) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate // 4) / rate)[None]
    samples, actual = decoded(listening.flac(sine, rate))
    assert (actual, samples.shape) == (played, (1, played // 4))
    spectrum = np.abs(np.fft.rfft(samples[0] / 32767.0)) / (len(samples[0]) / 2)
    assert int(spectrum.argmax()) == 110
    assert spectrum.max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("gain", "shown"),
    [(1.0, "0.0 dB"), (0.997, "0.0 dB"), (2.0, "+6.0 dB"), (0.5, "-6.0 dB"), (0.1, "-20.0 dB")],
)
def test_decibels(gain: float, shown: str) -> None:
    assert listening.decibels(gain) == shown
