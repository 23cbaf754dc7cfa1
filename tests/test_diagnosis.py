"""The detectors on signals whose damage is known, and the diagnosis that they make together."""

import math

import numpy as np
import pytest

from audiomend.classical.curve import Bend, Fit, loudest
from audiomend.detect import (
    bandwidth,
    bends,
    channels,
    clicks,
    codec,
    dropouts,
    gaps,
    hum,
    noise,
    offset,
    quantisation,
    reverberation,
    tops,
)
from audiomend.detect.bandwidth import BandwidthDetector
from audiomend.detect.bends import BendDetector, SoftClipping, find_soft_clipping
from audiomend.detect.bent_tops import BentTop, BentTopDetector, find_bent_tops
from audiomend.detect.channels import ChannelDetector, find_channel_faults
from audiomend.detect.clicks import Click
from audiomend.detect.clipping import Clipping
from audiomend.detect.codec import Shelf, find_shelf, shelf_in
from audiomend.detect.content import ContentDetector, find_content
from audiomend.detect.diagnosis import Examination
from audiomend.detect.dropouts import DropoutDetector, find_dropouts
from audiomend.detect.finding import Finding, sureness
from audiomend.detect.hum import HumDetector, find_hum
from audiomend.detect.levels import BandLevels
from audiomend.detect.noise import NoiseDetector, find_noise
from audiomend.detect.offset import OffsetDetector, find_offset
from audiomend.detect.quantisation import QuantisationDetector, find_quantisation
from audiomend.detect.reverberation import A, B, ReverberationDetector, find_reverberation
from audiomend.detect.speech_snr import POLE, TABLE, SpeechSnr, SpeechSnrDetector, find_speech_snr
from audiomend.detect.tops import Tops, TopsDetector, find_tops

RATE = 16_000


def rng(seed=0):
    return np.random.default_rng(seed)


def white(seconds=4.0, rate=RATE, count=1, seed=0):
    return rng(seed).standard_normal((count, round(seconds * rate)))


def sine(hz, seconds=4.0, rate=RATE, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate + 0.3)[None]


def coloured(power, seconds=8.0, rate=RATE, seed=0):
    """Noise whose power density falls as frequency^-power above 20 Hz, RMS 1."""
    spectrum = np.fft.rfft(white(seconds, rate, seed=seed))
    hz = np.arange(spectrum.shape[1]) / seconds
    x = np.fft.irfft(spectrum * np.maximum(hz, 20) ** (-power / 2), round(seconds * rate))
    return x / x.std()


# --- confidence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "points", "expected"),
    [
        (0, (0, 4, 8), 0),
        (1, (0, 4, 8), 0.125),
        (4, (0, 4, 8), 0.5),
        (5, (0, 4, 8), 0.625),
        (9, (0, 4, 8), 1),
        (40, (40, 25, 15), 0),
        (25, (40, 25, 15), 0.5),
        (20, (40, 25, 15), 0.75),
        (0, (40, 25, 15), 1),
    ],
)
def test_confidence_is_half_where_a_damage_begins(value, points, expected):
    assert sureness(value, *points) == pytest.approx(expected)
    assert Finding("x", sureness(value, *points), "").is_found == (expected >= 0.5)


# --- offset -------------------------------------------------------------------------------------------


def test_the_offset_is_the_mean_and_its_error_the_scatter_of_tenths_of_a_second():
    means = np.array([0.3, -0.1] * 8) + 0.05
    found = find_offset(np.repeat(means, RATE // 10)[None], RATE)[0]
    assert found.level == pytest.approx(0.15)
    assert found.error == pytest.approx(0.2 / math.sqrt(15))
    assert found.rms == pytest.approx(math.sqrt(np.square(means).mean()))
    assert found.confidence == pytest.approx(0.5 * 0.15 / (5 * found.error))


@pytest.mark.parametrize(
    ("level", "amplitude", "expected"),
    [
        (2**-11, 1e-4, 0.5),
        (2**-12, 1e-4, 0.25),
        (3 * 2**-11, 1e-4, 1),
        (-0.01, math.sqrt(2), 0.5),
        (0.02, math.sqrt(2), 0.75),
        (0.0, 1.0, 0),
    ],
)
def test_an_offset_counts_from_a_hundredth_of_the_level_and_16_steps(level, amplitude, expected):
    assert find_offset(sine(100, amplitude=amplitude) + level, RATE)[0].confidence == pytest.approx(
        expected, abs=2e-3
    )


def test_a_short_sound_has_no_certain_offset():
    assert find_offset(np.full((1, RATE // 10), 0.5), RATE)[0].confidence == 0


def test_an_offset_is_not_told_from_clipping():
    found = find_offset(sine(100) + 0.1, RATE)
    told = offset.finding(found, is_clipped=True)
    assert told.summary == "+0.1000 of full scale, not told from the clipping"
    assert (told.is_found, told.is_told) == (False, False)
    assert told.facts == offset.finding(found, is_clipped=False).facts


# --- channels -----------------------------------------------------------------------------------------


def test_levels_and_correlations_of_channels():
    a, b = white(count=2)
    x = np.stack([a, 0.6 * a + 0.8 * b, 0.1 * b]) + 5
    found = find_channel_faults(x)
    covariance = np.cov(x, bias=True)
    assert found.level_db == pytest.approx(tuple(10 * np.log10(np.diagonal(covariance))))
    expected = np.corrcoef(x)
    assert set(found.correlation) == {(0, 1), (0, 2), (1, 2)}
    for (i, j), r in found.correlation.items():
        assert r == pytest.approx(expected[i, j])
    assert (found.dead, found.swapped, found.identical) == ((), (), ())
    assert found.confidence < 0.5


@pytest.mark.parametrize(
    ("second", "dead", "swapped", "identical", "confidence"),
    [
        (lambda a, b: 0.00099 * b, (1,), (), (), 0.5),
        (lambda a, b: 0.0011 * b, (), (), (), 0.49),
        (lambda a, b: 0 * b, (1,), (), (), 1),
        (lambda a, b: -a, (), ((0, 1),), (), 1),
        (lambda a, b: -0.65 * a + 0.76 * b, (), ((0, 1),), (), 0.57),
        (lambda a, b: -0.55 * a + 0.84 * b, (), (), (), 0.46),
        (lambda a, b: a, (), (), ((0, 1),), 1),
        (lambda a, b: 0.5 * a + 0.0005 * b, (), (), ((0, 1),), 0.97),
        (lambda a, b: a + 0.006 * b, (), (), (), 0.49),
    ],
)
def test_faults_of_a_second_channel(second, dead, swapped, identical, confidence):
    a, b = white(8, count=2)
    b = b - a * (a @ b) / (a @ a)
    b *= np.sqrt((a @ a) / (b @ b))
    found = find_channel_faults(np.stack([a, second(a, b)]))
    assert (found.dead, found.swapped, found.identical) == (dead, swapped, identical)
    assert found.confidence == pytest.approx(confidence, abs=0.03)


def test_one_channel_and_silence_have_no_faults():
    assert find_channel_faults(white()).confidence == 0
    silent = find_channel_faults(np.zeros((2, 100)))
    assert (silent.confidence, silent.dead) == (0, ())


# --- quantisation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
@pytest.mark.parametrize("gain", [1.0, 0.37, 2.2])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_step_of_a_grid(bits, gain, shift):
    step = 2.0 ** (1 - bits)
    x = ((np.rint(0.2 * white(2) / step) + shift) * step * gain).astype(np.float32)
    found = find_quantisation(x)
    assert found.step == pytest.approx(step * gain, rel=1e-4)
    power = float(np.square(x, dtype=np.float64).mean())
    assert found.snr_db == pytest.approx(10 * math.log10(12 * power / (step * gain) ** 2), abs=0.01)
    assert found.bits == pytest.approx(bits - math.log2(gain), abs=1e-3)


def test_values_far_apart_share_a_step_that_none_of_their_distances_is():
    assert find_quantisation(np.array([[0.0, 0.6, 1.0, 1.0, 2.5]])).step == pytest.approx(0.1)


def test_the_step_is_that_of_all_blocks():
    detector = QuantisationDetector()
    detector.add(np.array([[0.0, 0.3, 0.9]]))
    assert detector.step == pytest.approx(0.3)
    detector.add(np.array([[0.2, 0.4, 0.8]]))
    assert detector.step == pytest.approx(0.1)


@pytest.mark.parametrize("x", [white(1), np.full((1, 50), 0.3), np.zeros((1, 10)), np.zeros((1, 0))])
def test_no_step_where_there_is_none(x):
    found = find_quantisation(x)
    assert (found.step, found.snr_db, found.bits, found.confidence) == (0, math.inf, math.inf, 0)


@pytest.mark.parametrize(("bits", "found"), [(-23.0, True), (-25.0, False)])
def test_the_step_of_a_soft_sound_is_found_down_to_24_bits(bits, found):
    x = np.rint(30 * white(1)) * 2.0**bits
    assert find_quantisation(x).step == pytest.approx(2.0**bits if found else 0)


def test_rounding_adds_to_the_tenth_of_a_step_by_which_values_miss_a_grid():
    values = np.array([3.0, 3.09, 2.89, 3.115, 2.88])
    assert quantisation._odd(values, 1.0, 0.03).size == 0
    assert quantisation._odd(values, 1.0, 0.0) == pytest.approx([0.11, 0.115, 0.12])


def test_equal_channels_have_the_noise_of_one():
    x = np.rint(white(1) * 20) / 64
    assert find_quantisation(np.vstack([x, x])) == find_quantisation(x)


@pytest.mark.parametrize(("below_db", "expected"), [(45, 0.5), (35, 0.75), (55, 0.25)])
def test_quantisation_is_heard_from_45_decibels(below_db, expected):
    step = math.sqrt(12) * 10 ** (-below_db / 20)
    x = np.rint(white(4) / step) * step
    assert find_quantisation(x).confidence == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("seconds", [0.5, 4])
def test_the_noise_of_rounding_so_far(seconds):
    detector = QuantisationDetector()
    detector.add(np.rint(white(seconds) * 20) / 64)
    assert detector.noise == pytest.approx(2.0**-12 / 12)
    detector.add(white(1))
    assert (detector.step, detector.noise) == (0, 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("codes", [1, 3, 10, 30, 100])
def test_rounding_of_soft_sounds_is_no_damage(bits, codes):
    swell = 1.2 + sine(0.9, 4) + 0.3 * sine(2.3, 4)
    for x in (white(4), 0.5 * swell * coloured(1.5, 4), sine(441.3, 4)):
        rounded = np.rint(x / np.abs(x).max() * codes) / 2 ** (bits - 1)
        examination = Examination(1, RATE)
        examination.add(rounded)
        found = [f.damage for f in examination.diagnosis().findings if f.confidence >= 0.5]
        assert not {"clipping", "clicks", "gaps", "dropouts"} & set(found)


# --- tops ---------------------------------------------------------------------------------------------


def piled(level, width, share, n=200_000, seed=0):
    """Amplitudes uniform up to 1 of both signs, and this share spread uniformly over width around a level."""
    draw = rng(seed)
    x = draw.uniform(-1, 1, n)
    pile = draw.random(n) < share
    x[pile] = level * (1 + width * draw.uniform(-0.5, 0.5, int(pile.sum())))
    return x[None]


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_a_pile_of_amplitudes_is_found_at_its_level(level):
    found = find_bent_tops(piled(level, 0.02, 0.05))[0]
    assert found.high == pytest.approx(level, rel=0.015)
    assert found.low == -math.inf
    # Density of the uniform part of positive amplitudes: 0.95 / 2 for each unit.
    assert found.density == pytest.approx(1 + 0.05 / (0.02 * level) / (0.95 / 2), rel=0.35)
    assert found.share == pytest.approx(0.05 + 0.95 * (1 - level) / 2, abs=0.02)
    mirrored = find_bent_tops(-piled(level, 0.02, 0.05))[0]
    assert mirrored.low == pytest.approx(-level, rel=0.015)


def test_the_density_of_a_pile_is_two_deviations_less_than_counted():
    """Ten samples in each bin of a per cent, and a pile in three of them."""
    counts = np.full(120, 10)
    counts[99:102] = 110, 210, 110
    x = np.exp(0.01 * (np.repeat(np.arange(-120, 0), counts) + 0.5))
    (found,) = find_bent_tops(x[None])
    assert found.high == pytest.approx(math.exp(0.01 * -19.5))
    # Of the bins 6 to 15 below it, those 6 below are the widest; nine around each, and three samples more.
    expected = (430 - 2 * math.sqrt(431)) / 3 / ((90 + 3) / 9 * math.exp(0.06))
    assert found.density == pytest.approx(expected, rel=0.01)
    assert found.share == pytest.approx(counts[98:].sum() / counts.sum())


@pytest.mark.parametrize(
    ("ratio", "is_voice", "found"),
    [(3.5, False, False), (6.0, False, True), (1.8, True, False), (3.5, True, True)],
)
def test_a_pile_must_be_four_and_a_half_times_as_dense_or_2_6_in_a_voice(ratio, is_voice, found):
    width, level = 0.04, 0.7
    extra = (ratio - 1) * width * level / 2
    detector, least = BentTopDetector(1), 2.6 if is_voice else 4.5
    detector.add(piled(level, width, extra / (1 + extra), n=2_000_000))
    (top,) = detector.result(is_voice=is_voice)
    assert top.density == pytest.approx(ratio, rel=0.12)
    assert (top.confidence >= 0.5) == found
    assert top.confidence == pytest.approx(sureness(top.density, 1, least, 2 * least))


@pytest.mark.parametrize("x", [white(4), sine(331.7), np.zeros((1, 50)), np.zeros((1, 0))])
def test_what_was_not_clipped_has_no_pile(x):
    found = find_bent_tops(x)[0]
    assert (found.low, found.high, found.share) == (-math.inf, math.inf, 0)
    assert found.confidence < 0.5


@pytest.mark.parametrize(
    ("steps", "n", "found"),
    [(31, 500, False), (33, 500, True), (60, 2_000, True), (60, 4_000, False), (100, 200_000, True)],
)
def test_far_apart_steps_are_modes_too_unless_the_samples_are_few(steps, n, found):
    # Of 10 bins of 1 % below the pile, 60 steps leave 6 in use; 2,000 samples are 4 in a bin.
    top = find_bent_tops(np.rint(piled(0.5, 0.02, 0.2, n) * 2 * steps) / 256)[0]
    assert (top.high < math.inf) == found
    assert (top.confidence >= 0.5) == found


def test_steps_of_a_telephone_are_no_piles():
    x = white(4)[0] / 4
    exponent = np.floor(np.log2(np.abs(x) + 2.0**-8)) - 4
    coded = np.rint(x * 2.0**-exponent) * 2.0**exponent
    assert find_bent_tops(coded[None])[0].confidence < 0.5


@pytest.mark.parametrize(("share", "found"), [(0.94, True), (0.99, False)])
def test_of_a_square_wave_or_a_constant_nothing_was_cut_off(share, found):
    top = find_bent_tops(piled(0.5, 0.02, share))[0]
    assert (top.high < math.inf) == found
    expected = (1.0, share + (1 - share) / 4) if found else (0, 0)
    assert (top.confidence, top.share) == pytest.approx(expected, abs=0.01)


def test_the_crest_of_a_sinusoid_is_dense_but_no_pile():
    x = np.sin(np.linspace(0, 2 * np.pi * 2000, 4_000_000))[None]
    expected = math.acos(0.97) / 0.03 * math.sqrt(1 - 0.85**2)
    assert find_bent_tops(x)[0].density == pytest.approx(expected, rel=0.1)


def test_curves_go_before_flat_tops_and_these_before_piles():
    bent = BentTop(-0.5, 0.5, 0.1, 9, 1.0)
    hard = Clipping(-0.4, math.inf, 20, 100, 0.875)
    none = Clipping(-math.inf, math.inf, 0, 100, 0.375)
    nothing = BentTop(-math.inf, math.inf, 0, 1, 0.05)
    soft = SoftClipping(Bend("tanh", 0.7), 0.5)
    doubtful = SoftClipping(Bend("tanh", 0.7), 0.49)
    assert tops.tops(hard, bent, soft) == Tops(-0.7, 0.7, 0.2, "soft", 0.5, Bend("tanh", 0.7))
    assert tops.tops(hard, bent, doubtful) == Tops(-0.4, math.inf, 0.2, "hard", 0.75)
    assert tops.tops(none, bent, soft) == Tops(-0.7, 0.7, 0.0, "soft", 0.5, Bend("tanh", 0.7))
    assert tops.tops(none, bent, doubtful) == Tops(-0.5, 0.5, 0.1, "bent", 1.0)
    assert tops.tops(none, nothing, doubtful) == Tops(-math.inf, math.inf, 0, "none", 0.49)
    unbent = SoftClipping(None, 0.0)
    assert tops.tops(none, nothing, unbent) == Tops(-math.inf, math.inf, 0, "none", 0.25)


def test_hard_clipping_is_found_after_a_gain_and_bent_by_noise():
    x = np.clip(white(4), -1.2, 1.2)
    assert find_tops(0.3 * x, RATE)[0].kind == "hard"
    found = find_tops(x + 0.01 * white(4, seed=1), RATE)[0]
    assert found.kind == "bent"
    assert (found.low, found.high) == (pytest.approx(-1.2, rel=0.02), pytest.approx(1.2, rel=0.02))
    assert found.share == pytest.approx((np.abs(x) >= 1.2).mean(), rel=0.1)


def chords(seconds=2.0):
    """Three sinusoids that swell, and a little noise."""
    swell = 1 + 0.5 * sine(0.7, seconds)
    return 0.2 * swell * sum(sine(hz, seconds) for hz in (200, 331, 770)) + 1e-4 * white(seconds)


def test_soft_clipping_is_found_by_its_curve_in_the_channel_that_has_it():
    x = np.vstack([chords(), 0.4 * np.tanh(chords() / 0.4)])
    straight, bent = find_tops(x, RATE)
    assert straight.kind == "none"
    assert (bent.kind, bent.bend.curve) == ("soft", "tanh")
    assert bent.high == -bent.low == bent.bend.level == pytest.approx(0.4, rel=0.01)
    assert tops.finding((straight, bent)).summary == "soft, a curve (tanh) towards 0.4 of full scale"
    assert tops.finding((straight, bent)).facts["curve"] == [None, "tanh"]


def cubic(x, level):
    """Flat beyond 1.5 levels."""
    u = np.clip(x / level, -1.5, 1.5)
    return level * (u - 4 * u**3 / 27)


def test_flat_tops_of_a_cubic_curve_are_told_from_hard_clipping():
    x = chords()
    uneven = np.where(x > 0, cubic(x, 0.25), cubic(x, 0.3))
    every = find_tops(np.vstack([cubic(x, 0.25), uneven, np.clip(x, -0.25, 0.25)]), RATE)
    even, uneven, hard = every
    assert tops.finding(every[:1]).summary == (
        f"soft, a curve (cubic) towards 0.25 of full scale, {even.share:.2%} of the samples flat"
    )
    assert (hard.kind, hard.high) == ("hard", 0.25)
    for found, low in ((even, -0.25), (uneven, -0.3)):
        assert (found.kind, found.bend.curve, found.confidence) == ("soft", "cubic", 1)
        assert (found.low, found.high) == pytest.approx((low, 0.25), rel=1e-3)
    assert even.share == pytest.approx((np.abs(x) >= 1.5 * 0.25).mean(), rel=0.1)


@pytest.mark.parametrize(("steps", "found"), [(31, False), (32, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_curve_within_32_steps_may_be_rounding(steps, found, sign):
    bent = np.maximum(0.25 * np.tanh(4 * chords(4)), -0.125) * sign / 0.25
    detector = BendDetector(1, RATE)
    detector.add(np.rint(bent / np.abs(bent).max() * steps) / 256)
    detector.add(np.zeros((1, 100)))  # what was is what counts
    assert (detector.result(0).bend is not None) == found
    assert (detector.flat(0, -steps / 256, steps / 256).bend is not None) == found


@pytest.mark.parametrize(("low", "high"), [(-math.inf, 0.3), (-0.3, math.inf), (-0.3, 0.3)])
def test_a_curve_whose_flat_tops_are_of_one_polarity_has_one_level(low, high):
    detector = BendDetector(1, RATE)
    detector.add(chords(0.1))
    assert detector.flat(0, low, high) == SoftClipping(Bend("cubic", 0.3), 0.0)


def test_between_flat_tops_lie_the_frames_that_reach_neither_level():
    frames = np.array([[0.1, -0.2], [0.4, 0.1], [0.1, -0.3], [0.3999, -0.2999]])
    assert bends._between(frames, -0.3, 0.4).tolist() == [[0.1, -0.2], [0.3999, -0.2999]]
    assert bends._between(frames, -0.31, 0.41).tolist() == frames.tolist()


@pytest.mark.parametrize(
    ("entropy", "displaced", "confidence"),
    [(-0.002, 0, 0), (-0.006, -0.009, 0.5), (-0.02, -0.029, 1), (-0.02, -0.0301, 0.45), (-0.004, 0, 0.25)],
)
def test_a_curve_is_sure_if_it_makes_the_sound_likelier_and_is_in_time(entropy, displaced, confidence):
    found = bends._verdict(Fit(Bend("tanh", 1.0), entropy, displaced))
    assert found.confidence == pytest.approx(confidence)


def test_the_loudest_frames_of_all_blocks_are_kept():
    frames, kept = rng().standard_normal((150, 8)), [np.zeros((0, 8))]
    for some in np.split(frames, [70, 90]):
        kept = bends._louder(kept, [some])
    np.testing.assert_array_equal(kept[0], loudest(frames))


def test_no_curve_is_found_in_less_than_half_a_second():
    assert find_soft_clipping(0.4 * np.tanh(chords()[:, :9215] / 0.4), RATE) == (SoftClipping(None, 0.0),)
    assert find_soft_clipping(0.4 * np.tanh(chords()[:, :9216] / 0.4), RATE)[0].confidence == 1


@pytest.mark.parametrize("scale", [1.0, 2e6])
def test_huge_samples_are_no_pile(scale):
    x = white(2) * scale
    assert find_bent_tops(x)[0].confidence < 0.5


# --- codec --------------------------------------------------------------------------------------------


def stepped(hz, fall_db, bin_hz=10.0, rate=44_100):
    return np.where(np.arange(round(rate / 2 / bin_hz) + 1) * bin_hz < hz, -20.0, -20.0 - fall_db)


@pytest.mark.parametrize(("hz", "kbit"), [(12_000, None), (16_500, 128), (18_900, 192), (20_350, 320)])
def test_a_shelf_lies_in_the_middle_of_its_fall(hz, kbit):
    found = shelf_in(stepped(hz, 24), 10.0)
    assert abs(found.hz - hz) <= 260
    assert found.fall_db == pytest.approx(24)
    assert found.confidence == pytest.approx(0.5 + 0.5 * (24 - 18) / 12)
    assert Shelf(hz, 24, 0.7).like_kbit == kbit


def test_a_shelf_falls_within_half_a_kilohertz():
    hz = np.arange(2206) * 10.0
    slope = -20 - 0.02 * np.clip(hz - 15_000, 0, 2000)  # 20 dB a kilohertz, 40 dB in all
    assert shelf_in(slope, 10.0).fall_db == pytest.approx(20, abs=0.3)


def test_what_comes_back_above_is_no_shelf():
    spectrum = stepped(15_000, 30)
    spectrum[1800:1860] = -20
    assert shelf_in(spectrum, 10.0).hz == pytest.approx(18_600, abs=260)


@pytest.mark.parametrize("hz", [9000, 21_600])
def test_a_shelf_lies_where_encoders_put_it(hz):
    assert shelf_in(stepped(hz, 30), 10.0).confidence < 0.5


@pytest.mark.parametrize(("hz", "is_found"), [(20_680, True), (20_720, False), (21_200, False)])
def test_what_falls_on_beyond_where_encoders_put_shelves_is_none(hz, is_found):
    """A slope that is as steep at the last place looked at as anywhere."""
    places = np.arange(2206) * 10.0
    slope = -20 - 0.08 * np.clip(places - (hz - 250), 0, 500)
    found = shelf_in(slope, 10.0)
    assert found.fall_db > 18
    assert (found.confidence >= 0.5) == is_found


def test_a_rate_without_that_band_has_no_shelf():
    assert find_shelf(white(1), RATE) == Shelf(0.0, 0.0, 0.0)


@pytest.mark.parametrize(("share", "expected_hz"), [(0.2, 13_000), (0.3, 17_000)])
def test_a_shelf_is_sought_in_what_sounds_a_quarter_of_the_time(share, expected_hz):
    n, rate = 400_000, 44_100

    def low_passed(hz, seed):
        spectrum = np.fft.rfft(rng(seed).standard_normal(n))
        return np.fft.irfft(spectrum * (np.arange(len(spectrum)) * rate / n < hz), n)

    bright = low_passed(17_000, 1)
    bright[int(share * n) :] = 0
    found = find_shelf((low_passed(13_000, 0) + bright)[None], rate)
    assert found.hz == pytest.approx(expected_hz, abs=300)


# --- dropouts -----------------------------------------------------------------------------------------


def dropped(gain_db, frames=20, first=1000, last=1.0):
    """A tone with a fall of level over so many frames of 2 ms, at gain `last` after it."""
    x = sine(1000, 4) * np.ones((1, 4 * RATE))
    size = RATE // 500
    x[0, first * size : (first + frames) * size] *= 10 ** (gain_db / 20)
    x[0, (first + frames) * size :] *= last
    return x


def test_a_dropout_and_its_depth():
    (found,) = find_dropouts(dropped(-30), RATE)
    assert (found.channel, found.start, found.stop) == (0, 999 * 32, 1021 * 32)
    assert found.depth_db == pytest.approx(30, abs=0.01)
    assert found.confidence == pytest.approx(0.5 + 0.5 * 6 / 24, abs=1e-3)


@pytest.mark.parametrize(
    ("x", "count"),
    [
        (dropped(-23.9), 0),
        (dropped(-24.1), 1),
        (dropped(-40, frames=3), 0),
        (dropped(-40, frames=4), 1),
        (dropped(-40, frames=500), 1),
        (dropped(-40, frames=501), 0),
        (dropped(-40, last=0.255), 1),
        (dropped(-40, last=0.248), 0),
        (dropped(-40, last=3.9), 1),
        (dropped(-40, last=4.05), 0),
        (sine(1000), 0),
        (white(), 0),
        (np.zeros((1, 5000)), 0),
    ],
)
def test_what_is_a_dropout(x, count):
    assert len(find_dropouts(x, RATE)) == count


@pytest.mark.parametrize(("large", "count"), [(14, 0), (19, 1)])
def test_what_rounding_may_have_hidden_counts_as_there(large, count):
    # Of each 32 samples so many are 5 steps, the others 4: that is 23.8 or 24.1 dB above step² / 12.
    steps = np.tile(np.where(np.arange(32) < large, 5, 4) * np.tile([1, -1], 16), 2000)
    steps[1000 * 32 : 1020 * 32] = 0
    assert len(find_dropouts(steps[None] * 2.0**-7, RATE)) == count


@pytest.mark.parametrize("frame", [993, 1026])
@pytest.mark.parametrize(("dip_db", "count"), [(-11.9, 1), (-12.1, 0)])
def test_a_dropout_breaks_off_a_steady_sound(frame, dip_db, count):
    x = dropped(-40)
    x[0, frame * 32 : frame * 32 + 32] *= 10 ** (dip_db / 20)
    assert len(find_dropouts(x, RATE)) == count


@pytest.mark.parametrize("frame", [989, 1031])
def test_what_is_20_milliseconds_away_does_not_matter(frame):
    x = dropped(-40)
    x[0, frame * 32 : frame * 32 + 32] = 0
    assert len(find_dropouts(x, RATE)) == 1


@pytest.mark.parametrize(
    ("levels_db", "count"),
    [
        ((-4, -32), 1),
        ((-4, -25), 1),
        ((-4, -8, -33), 1),
        ((-4, -8, -9, -27), 0),
        ((-8, -27), 1),
        ((-8, -8, -27), 0),
    ],
)
def test_the_fall_is_steep(levels_db, count):
    """20 dB must be lost within two frames."""
    x = dropped(-100, frames=30)
    for k, level_db in enumerate(levels_db):
        last = 1001 + k if k + 1 < len(levels_db) else 1030
        x[0, (1000 + k) * 32 : last * 32] = sine(1000)[0, : (last - 1000 - k) * 32] * 10 ** (level_db / 20)
    assert len(find_dropouts(x, RATE)) == count


@pytest.mark.parametrize(("level_db", "stop"), [(-20.5, 1021), (-19.5, 1020)])
def test_a_dropout_ends_where_20_decibels_are_left(level_db, stop):
    x = dropped(-40)
    x[0, 1020 * 32 : 1021 * 32] *= 10 ** (level_db / 20)
    assert find_dropouts(x, RATE)[0].stop == (stop + 1) * 32


@pytest.mark.parametrize(("below_db", "count"), [(19.5, 1), (20.5, 0)])
def test_dropouts_in_near_silence_do_not_count(below_db, count):
    """30 dB below the RMS of the whole, of which the quiet part takes hardly anything away."""
    x = np.hstack([dropped(-40) * 10 ** (-below_db / 20), sine(1000, 200)])
    assert len(find_dropouts(x, RATE)) == count


@pytest.mark.parametrize(("first", "last", "count"), [(1000, 1024, 1), (1001, 1044, 0), (980, 1023, 0)])
def test_the_shortest_sound_with_a_dropout(first, last, count):
    """10 frames before it, 4 inside, 10 after."""
    x = dropped(-40, frames=4, first=1010)
    assert len(find_dropouts(x[:, first * 32 : last * 32], RATE)) == count


def test_dropouts_in_a_soft_recording_are_as_deep():
    (found,) = find_dropouts(1e-4 * dropped(-40), RATE)
    assert found.depth_db == pytest.approx(40, abs=0.01)


def test_dropouts_in_blocks_are_those_of_the_whole():
    """The longest that there may be, and one after it."""
    x, detector = dropped(-40, frames=500), DropoutDetector(1, RATE)
    x[0, 1700 * 32 : 1720 * 32] *= 0.01
    for start in range(0, x.shape[1], 320):
        detector.add(x[:, start : start + 320])
    assert len(detector.result()) == 2
    assert detector.result() == find_dropouts(x, RATE)


def gated(*frames):
    """A tone that falls for 10 frames of 2 ms at each of these."""
    x = sine(1000, 20) * np.ones((1, 20 * RATE))
    for frame in frames:
        x[0, frame * 32 : (frame + 10) * 32] *= 0.01
    return x


@pytest.mark.parametrize(
    ("frames", "count"),
    [
        ([100 + 125 * k for k in range(8)], 0),
        ([100 + 125 * k for k in range(7)], 7),
        ([100 + 125 * k for k in (0, 1, 3, 4, 7, 8, 9, 20)], 0),  # a pattern
        ([100, 225, 350, 475, 601, 726, 850, 975], 0),  # within two frames
        ([100, 225, 350, 475, 604, 726, 850, 975], 8),
        ([100 + 250 * k for k in range(8)], 0),  # 0.5 s
        ([100 + 254 * k for k in range(8)], 8),
        ([100 + 30 * k for k in range(8)], 0),  # 60 ms; closer ones are not steady in between
        ([20, 333, *(500 + 125 * k for k in range(9)), 1940, 2718], 4),
        ([100, 190, 333, 500, 611, 790, 901, 1100, 1234], 9),
    ],
)
def test_falls_that_keep_time_are_a_gate(frames, count):
    assert len(find_dropouts(gated(*frames), RATE)) == count


def test_beats_are_of_one_channel():
    both = np.concatenate(
        [gated(*(100 + 125 * k for k in range(0, 9, 2))), gated(*(225 + 125 * k for k in range(0, 7, 2)))]
    )
    assert len(find_dropouts(both, RATE)) == 9


# --- hum ----------------------------------------------------------------------------------------------


def humming(hz, lines, amplitude=0.05, seconds=10.0, below=1e-3):
    noise = below * white(seconds)
    return noise + sum(sine(hz * line, seconds, amplitude=amplitude / line) for line in lines)


@pytest.mark.parametrize("hz", [50.0, 49.83, 60.21])
def test_the_frequency_and_the_level_of_hum(hz):
    x = humming(hz, (1, 2, 3, 5))
    found = find_hum(x, RATE)
    assert found.hz == pytest.approx(hz, abs=0.02)
    assert found.lines == (1, 2, 3, 5)
    level = 10 * math.log10(sum((0.05 / line) ** 2 / 2 for line in found.lines))
    assert found.level_db == pytest.approx(level, abs=0.15)
    assert found.below_db == pytest.approx(10 * math.log10(np.square(x).mean()) - level, abs=0.15)
    assert found.confidence > 0.9


@pytest.mark.parametrize(
    ("hz", "lines", "found"),
    [
        (50, (1,), True),
        (50, (2,), True),
        (50, (4,), False),
        (50.4, (1,), True),
        (49.4, (1,), True),
        (49.1, (1,), False),
        (50.6, (1, 2), True),
        (50.9, (1, 2), False),
        (51.2, (1, 2), False),
        (50, (1, 2), True),
        (50, (1, 2, 3), True),
        (50, (4, 5, 6), False),
        (50, (3, 5, 6), True),
        (50.4, (1, 2, 3), True),
        (51.2, (1, 2, 3), False),
        (51.2, (1, 2, 3, 4), True),
        (53.5, (1, 2, 3, 4), False),
        (60, (1, 2, 3), True),
        (57.8, (1, 2, 3, 5), True),
    ],
)
def test_what_is_hum(hz, lines, found):
    x = humming(hz, lines) + sine(997, 10.0, amplitude=0.2)
    assert (find_hum(x, RATE).confidence >= 0.5) == found


@pytest.mark.parametrize(
    ("lines", "mean_db", "scatter_db", "found"),
    [
        ((1,), 18.5, 0.45, True),
        ((1,), 17.5, 0.45, False),
        ((1,), 18.5, 0.55, False),
        ((2, 3), 12.5, 0.95, True),
        ((2, 3), 11.5, 0.95, False),
        ((2, 3), 12.5, 1.05, False),
        ((2, 3, 4), 12.5, 1.95, True),
        ((2, 3, 4), 11.5, 1.95, False),
        ((2, 3, 4), 12.5, 2.05, False),
    ],
)
def test_the_fewer_lines_the_steadier_they_must_be(lines, mean_db, scatter_db, found):
    detector = HumDetector(1, RATE)
    detector.add(humming(50, lines, below=0.1))
    at = np.rint(50 * np.array(lines) / detector._bin_hz).astype(int)
    near = np.add.outer(np.arange(-4, 5), at).ravel()
    detector._sums[1:4] = 0
    detector._sums[1, near] = mean_db * detector._frames
    detector._sums[3, near] = scatter_db**2 * detector._frames
    hum = detector.result()
    assert (hum.confidence >= 0.5) == found
    if found:
        assert hum.confidence == pytest.approx(0.5 + 0.5 / 24)


def test_each_line_beyond_three_makes_hum_surer_by_two_decibels():
    detector = HumDetector(1, RATE)
    detector.add(humming(50, (1, 2, 3, 4, 5), below=0.1))
    at = np.rint(50 * np.arange(1, 6) / detector._bin_hz).astype(int)
    detector._sums[1:4] = 0
    detector._sums[1, np.add.outer(np.arange(-4, 5), at).ravel()] = 13 * detector._frames
    assert detector.result().lines == (1, 2, 3, 4, 5)
    assert detector.result().confidence == pytest.approx(0.5 + (13 - 12 + 2 * 2) / 24)


@pytest.mark.parametrize(("share", "found"), [(0.91, True), (0.89, False)])
def test_a_line_of_hum_stands_in_nine_of_ten_frames(share, found):
    detector = HumDetector(1, RATE)
    detector.add(humming(50, (1, 2, 3)))
    detector._sums[0] *= share
    assert (detector.result().hz > 0) == found


def test_a_line_wanders_by_a_share_of_its_frequency():
    level = rng().standard_normal(2000)
    out = hum._wandering(level)
    for k in range(2000):
        reach = hum.WANDER * k
        if abs(reach % 1 - 0.5) > 0.01:  # else it may be rounded either way
            reach = max(round(reach), 1)
            assert out[k] == level[max(k - reach, 0) : k + reach + 1].max()


@pytest.mark.parametrize(("bins", "found"), [(7, True), (8, False)])
def test_a_line_is_sought_as_far_away_as_it_may_wander(bins, found):
    """0.6 % of 600 Hz are 7.4 bins."""
    detector = HumDetector(1, RATE)
    centre = round(600 / detector._bin_hz)
    power = np.full(detector._bins, 1e-6)
    power[centre + bins - 1 : centre + bins + 2] = 0.1, 1, 0.1
    expected = ((centre + bins) * detector._bin_hz, 1.2 + 2e-6) if found else (0, 0)
    assert detector._peak(600, power) == pytest.approx(expected)


@pytest.mark.parametrize(("off_hz", "lines"), [(0.70, (1, 2, 3, 12)), (0.745, (1, 2, 3))])
def test_a_line_lies_at_its_multiple_within_a_thousandth(off_hz, lines):
    hz = 123 * RATE / 2**15  # 60.06 Hz, in the middle of a bin
    x = humming(hz, (1, 2, 3)) + sine(12 * hz + off_hz, 10.0, amplitude=0.02)
    assert find_hum(x, RATE).lines == lines


@pytest.mark.parametrize(("off_hz", "lines"), [(0.155, (1, 2, 3, 4)), (0.19, (1, 3, 4))])
def test_a_low_line_lies_at_its_multiple_within_a_third_of_a_bin(off_hz, lines):
    hz = 123 * RATE / 2**15
    x = humming(hz, (1, 3, 4)) + sine(2 * hz + off_hz, 10.0, amplitude=0.02)
    assert find_hum(x, RATE).lines == lines


@pytest.mark.parametrize(("below_db", "found"), [(2, False), (4, True), (58, True), (62, False)])
def test_one_line_lies_below_the_sound_and_is_heard(below_db, found):
    sound = sine(1000, 10.0, amplitude=0.05) * 10 ** (below_db / 20)
    x = humming(50, (1,), below=1e-6) + sound * np.sqrt(max(1 - 10 ** (-below_db / 10), 0))
    assert (find_hum(x, RATE).hz > 0) == found


def test_silence_has_no_hum():
    assert find_hum(np.zeros((1, 10 * RATE)), RATE) == hum.Hum(0, (), -math.inf, math.inf, 0, 0)


def test_notes_that_decay_are_no_hum():
    time = np.arange(10 * RATE) / RATE
    x = humming(50, (1, 2, 3, 4), below=1e-4) * 10 ** (-time * 0.5 / 20)
    assert find_hum(x, RATE).confidence >= 0.5
    assert find_hum(x * 10 ** (-time * 1.0 / 20), RATE).confidence == 0


@pytest.mark.parametrize(("seconds", "found"), [(3.0, False), (4.3, True)])
def test_hum_takes_three_frames(seconds, found):
    assert (find_hum(humming(50, (1, 2, 3), seconds=seconds), RATE).hz > 0) == found


def test_lines_must_stand_12_decibels_above_their_neighbourhood():
    spread = find_hum(humming(50, (1, 2, 3), amplitude=0.01, below=0.5), RATE)
    assert spread.confidence == 0


# --- noise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "shows"), [(8, True), (7, False)])
def test_a_floor_is_come_back_to(frames, shows):
    """Two stretches of four half-overlapping frames each are the least."""
    assert (find_noise(white()[:, : (frames + 1) * 512], RATE).share > 0.5) == shows


@pytest.mark.parametrize("snr_db", [30, 20, 5])
def test_the_level_of_white_noise_under_a_sound(snr_db):
    """Bursts of a tone, silent for half of the time, with noise all along."""
    tone = sine(1000, 8) * (np.arange(8 * RATE) // (RATE // 2) % 2) * math.sqrt(2 * 2)
    x = 0.1 * (tone + white(8) * 10 ** (-snr_db / 20))
    found = find_noise(x, RATE)
    assert found.snr_db == pytest.approx(snr_db, abs=0.6)
    assert found.level_db == pytest.approx(-20 - snr_db, abs=0.5)
    assert found.kind == "white"
    assert found.share > 0.8
    assert found.confidence == pytest.approx(min(1, sureness(found.snr_db, 40, 25, 15)), abs=0.05)


@pytest.mark.parametrize(("power", "kind"), [(-1, "blue"), (0, "white"), (1, "pink"), (2, "brown")])
def test_the_colour_of_noise(power, kind):
    found = find_noise(coloured(power), RATE)
    assert found.kind == kind
    assert found.slope_db == pytest.approx(-10 * math.log10(2) * power, abs=0.4)
    assert found.snr_db < 3


def test_noise_alone_counts_as_a_hundred_times_its_sound():
    assert find_noise(white(20), RATE).snr_db == pytest.approx(-20, abs=0.1)


def test_channels_have_noise_of_their_own():
    both = find_noise(np.vstack([white(8), 0.1 * white(8, seed=1)]), RATE)
    assert both.level_db == pytest.approx(10 * math.log10((1 + 0.01) / 2), abs=0.4)


@pytest.mark.parametrize("x", [sine(440, 8), np.zeros((1, 50_000)), np.zeros((1, 10))])
def test_tones_and_silence_have_no_noise(x):
    found = find_noise(x, RATE)
    assert found.snr_db > 60
    assert found.confidence == 0


def test_steady_lines_are_no_noise():
    """A line as strong as the noise of its third of an octave, in each from 440 Hz on, hides that noise."""
    hz = 440 * 2 ** (np.arange(13) / 3)
    lines = sum(sine(f, 8, amplitude=math.sqrt(2 * 0.23 * f / (RATE / 2))) for f in hz)
    assert find_noise(white(8), RATE).share == 1
    assert find_noise(white(8) + lines, RATE).share < 0.4


@pytest.mark.parametrize(("lowest_hz", "confidence"), [(3000, 1.0), (5000, 0.75), (6400, 0.1)])
def test_noise_counts_by_the_spectrum_that_shows_it(lowest_hz, confidence):
    """Below it, in most of the bands, lines hide it; of 8 kHz a quarter must be free for a verdict."""
    hz = 60 * 2 ** (np.arange(int(3 * math.log2(lowest_hz / 60)) + 1) / 3)
    lines = sum(sine(f, 8, amplitude=math.sqrt(20 * 0.23 * f / (RATE / 2))) for f in hz)
    found = find_noise(white(8) + lines, RATE)
    assert found.share == pytest.approx(1 - lowest_hz / 8000, abs=0.18)
    assert found.confidence == pytest.approx(sureness(found.share, 0, 0.25, 0.5), abs=1e-9)
    assert found.confidence == pytest.approx(confidence, abs=0.25)


def test_the_floor_of_a_band_lies_so_many_deviations_above_its_tenth():
    """Of a Gaussian a tenth lies 1.28 deviations below the mean; that of a band of n bins in 4 frames, of
    which 1.6 are independent, is 10 / ln 10 / √(1.6 n) dB."""
    detector = noise.NoiseDetector(1, RATE)
    widths = np.diff(detector._edges)
    detector._counts[:, :, 400] = 9  # -160 dB and 0.25 dB for each bin: those from -60 dB on
    detector._counts[:, :, 440] = 91
    floor, _ = detector._floors(widths)
    expected = -160 + 0.25 * 440.5 + 1.2816 * 10 / math.log(10) / np.sqrt(1.6 * widths)
    np.testing.assert_allclose(10 * np.log10(floor[0]), expected, atol=0.01)


@pytest.mark.parametrize(("power", "confidence"), [(2.0, 1.0), (2.5, 0.75), (3.0, 0.25), (3.5, 0.0)])
def test_what_falls_by_more_than_8_decibels_an_octave_is_no_noise(power, confidence):
    found = find_noise(coloured(power), RATE)
    assert found.confidence == pytest.approx(sureness(found.slope_db, -10, -8, -7), abs=1e-9)
    assert found.confidence == pytest.approx(confidence, abs=0.25)


def test_noise_that_comes_and_goes_is_sound():
    swelling = white(8) * 10 ** (2 * np.sin(2 * np.pi * 0.5 * np.arange(8 * RATE) / RATE))
    assert find_noise(swelling, RATE).confidence < 0.5


# --- noise under a voice ------------------------------------------------------------------------------


def gamma_speech(snr_db, n=1_000_000, seed=0):
    """Independent amplitudes as the method supposes: gamma of shape 0.4 with either sign, Gaussian noise."""
    draw = rng(seed)
    x = draw.gamma(0.4, size=n) * draw.choice([-1, 1], n)
    return x / x.std() + draw.standard_normal(n) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("snr_db", [0, 10, 20, 40, 80])
def test_the_statistic_of_the_table(snr_db):
    magnitude = np.abs(gamma_speech(snr_db))
    statistic = math.log(magnitude.mean()) - np.log(magnitude).mean()
    assert TABLE[20 + snr_db] == pytest.approx(statistic, abs=0.006)


@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_the_snr_of_a_voice_is_read_off_the_table(level):
    """The filter that takes an offset away mixes neighbours, so the sound is made of what it shall leave."""
    y = gamma_speech(12.5, 400_000)
    x = np.cumsum(y - POLE * np.concatenate([[0], y[:-1]]))
    found = find_speech_snr(level * np.stack([x, x]))
    assert found.db == pytest.approx(12.5, abs=0.25)
    magnitude = np.abs(y)
    assert found.statistic == pytest.approx((math.log(magnitude.mean()) - np.log(magnitude).mean(),) * 2)


def test_an_offset_is_no_sound_and_silence_no_noise():
    x = sine(300, 60) * 0.1
    assert find_speech_snr(x + 5).db == pytest.approx(find_speech_snr(x).db, abs=1)
    assert find_speech_snr(np.zeros((2, 100))).db == 100
    assert find_speech_snr(np.vstack([x, 0 * x])).db == find_speech_snr(x).db


@pytest.mark.parametrize(
    ("voice_db", "confidence", "summary"),
    [
        (5, 1.0, "5 dB below the voice"),
        (10, 0.75, "10 dB below the voice"),
        (22.5, 0.25, "no steady noise"),
        (40, 0, "no steady noise"),
    ],
)
def test_noise_under_a_voice_need_not_be_steady(voice_db, confidence, summary):
    steady = noise.Noise(math.inf, -math.inf, 0, "none", 0, 0)
    found = noise.finding(steady, SpeechSnr(voice_db, (0.5,)))
    assert (found.confidence, found.summary) == (pytest.approx(confidence), summary)


# --- rooms --------------------------------------------------------------------------------------------


def test_levels_of_bands():
    """A sine's three bins hold 1.5 times its squared amplitude: the noise bandwidth of a Hann window."""
    bands = BandLevels(2, RATE)
    levels = bands.add(np.vstack([sine(600, amplitude=0.1), 0 * sine(600)]))
    assert levels.shape == (4 * RATE // 256 - 1, 8)
    assert bands.step_s == 256 / RATE
    assert levels[5:, 2] == pytest.approx(-20 + 10 * math.log10(1.5 / 2), abs=0.3)
    assert (levels[:, [5, 6, 7]] < -60).all()


@pytest.mark.parametrize("fall", [40.0, 100.0])
def test_the_steepest_falls_tell_the_decay(fall):
    """Tones that fall at one rate, again and again: the law gives the decay time of just that rate."""
    tones = sum(sine(250 * 2 ** (k / 2 + 0.25), 8, amplitude=0.1) for k in range(8))
    found = find_reverberation(tones * 10 ** (-fall * (np.arange(8 * RATE) / RATE % 0.6) / 20), RATE)
    assert found.t60_s == pytest.approx(math.exp(A - B * math.log(fall)), rel=0.08)
    assert found.confidence == pytest.approx(sureness(found.t60_s, 0.2, 0.45, 1))


def test_the_steepest_twentieth_of_the_falls_counts():
    time = np.arange(24 * RATE) / RATE
    fall = np.where((time / 0.6).astype(int) % 4 == 3, 100, 40)
    tones = sum(sine(250 * 2 ** (k / 2 + 0.25), 24, amplitude=0.1) for k in range(8))
    found = find_reverberation(tones * 10 ** (-fall * (time % 0.6) / 20), RATE)
    assert found.t60_s == pytest.approx(math.exp(A - B * math.log(100)), rel=0.08)


def test_the_law_of_falls():
    """60 dB in the time that the law gives at 160 dB/s is a third more than a straight fall would take."""
    assert math.exp(A - B * math.log(160)) == pytest.approx(0.233, abs=0.002)


@pytest.mark.parametrize("x", [np.zeros((1, 50_000)), np.zeros((1, 100))])
def test_silence_has_no_room(x):
    assert find_reverberation(x, RATE).t60_s == 0


# --- content ------------------------------------------------------------------------------------------


def figures(x):
    detector = ContentDetector(len(x), RATE)
    detector.add(x)
    return detector.figures()


def test_the_figures_of_steady_sounds():
    chord = sum(sine(hz, amplitude=0.1) for hz in (220, 277, 330, 990))
    assert figures(chord)[3] == pytest.approx(1, abs=0.03)
    assert abs(figures(white(8))[3]) < 0.02
    assert abs(figures(white(30))[0]) < 0.1
    hiss = white(4) / 420  # 40 dB below in power: a pair of its frames weighs a hundredth
    assert figures(np.concatenate([chord, hiss], axis=1))[3] == pytest.approx(100 / 101, abs=0.03)


@pytest.mark.parametrize("hz", [1.0, 2.0, 4.0])
def test_the_correlation_of_levels_that_rise_and_fall(hz):
    """Levels that are sinusoids in dB correlate as the cosine of the phase that passes in 0.1 and 0.25 s."""
    time = np.arange(30 * RATE) / RATE
    x = 0.1 * white(30) * 10 ** (np.sin(2 * np.pi * hz * time))
    step = 256 / RATE
    expected = [math.cos(2 * np.pi * hz * round(lag / step) * step) for lag in (0.1, 0.25)]
    assert figures(x)[:2] == pytest.approx(expected, abs=0.12)


def test_the_centre_of_gravity_moves_between_bands():
    """Between the first band and the last, half of the time each: 3.5 half octaves on either side."""
    time = np.arange(16 * RATE) // RATE % 2
    x = np.where(time, sine(297, 16), sine(3364, 16))
    assert figures(x)[2] == pytest.approx(3.5, abs=0.1)


@pytest.mark.parametrize(("period_s", "beat"), [(0.5, True), (1.6, False)])
def test_beats_come_back_within_a_second(period_s, beat):
    period = round(period_s * RATE / 256) * 256
    clicks = 1e-3 * white(16)
    clicks[0, 4000::period] += 1
    assert (figures(clicks)[4] > 0.8) == beat
    assert beat or figures(clicks)[4] < 0.2


def test_a_beat_is_kept_by_what_begins_not_by_what_ends():
    """Tones that end in time but begin at random, and the same backwards."""
    time = np.arange(20 * RATE) / RATE
    sounds = np.zeros(len(time))
    for end, late in zip(np.arange(1, 41) / 2, rng().uniform(0.05, 0.35, 40), strict=True):
        sounds += (time >= end - 0.5 + late) & (time < end - 0.02)
    x = sum(sine(300 * 2 ** (k / 2), 20, amplitude=0.05) for k in range(8)) * (0.1 + 0.9 * sounds)
    assert figures(x)[4] < 0.2
    assert figures(x[:, ::-1])[4] > 0.8


def glides():
    """8 s (1, n) of syllables whose pitch never rests, with hiss between them: a voice by its figures."""
    time = np.arange(8 * RATE) / RATE
    pitch = 120 * 2 ** (0.5 * np.sin(2 * np.pi * 1.3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    rhythm = 2 * np.pi * np.cumsum(np.repeat(rng().uniform(2, 7, 40), RATE // 5)) / RATE  # it keeps no time
    syllables = np.maximum(np.sin(rhythm), 0) ** 2
    hiss = np.diff(white(8)[0], append=0) * np.maximum(-np.sin(rhythm), 0) ** 4
    return (voice * syllables + hiss)[None]


def test_notes_are_music_and_glides_are_speech():
    time = np.arange(8 * RATE) / RATE
    notes = sum(
        np.sin(2 * np.pi * 110 * 2 ** (n / 12) * k * time) / k for n in (0, 4, 7) for k in range(1, 9)
    )
    assert find_content(0.1 * notes[None], RATE).kind == "music"
    assert find_content(0.1 * glides(), RATE).kind == "speech"
    assert find_content(np.zeros((1, 50_000)), RATE).kind == "silence"


def test_a_voice_needs_a_smaller_pile_than_an_unknown_sound():
    voice = glides() / np.abs(glides()).max()
    coded = np.clip(voice, -0.4, 0.4) + 0.01 * white(8)
    assert 2.6 < find_bent_tops(coded)[0].density < 4.5
    examination = Examination(1, RATE)
    examination.add(coded)
    (found,) = examination.diagnosis().clipping
    assert (found.kind, found.high) == ("bent", pytest.approx(0.4, rel=0.05))
    assert find_tops(coded, RATE)[0].kind == "none"  # of which nobody said that it is a voice


# --- together -----------------------------------------------------------------------------------------

DETECTORS = {
    "offset": lambda: OffsetDetector(2, RATE),
    "channels": lambda: ChannelDetector(2),
    "quantisation": QuantisationDetector,
    "bent tops": lambda: BentTopDetector(2),
    "tops": lambda: TopsDetector(2, RATE),
    "dropouts": lambda: DropoutDetector(2, RATE),
    "hum": lambda: HumDetector(2, RATE),
    "noise": lambda: NoiseDetector(2, RATE),
    "speech SNR": lambda: SpeechSnrDetector(2),
    "reverberation": lambda: ReverberationDetector(2, RATE),
    "content": lambda: ContentDetector(2, RATE),
}


def flat(value):
    """All numbers of a result."""
    if isinstance(value, dict):
        return flat(list(value.values()))
    if isinstance(value, list | tuple):
        return [number for one in value for number in flat(one)]
    if hasattr(value, "__dataclass_fields__"):
        return [number for name in value.__dataclass_fields__ for number in flat(getattr(value, name))]
    return [0.0 if value is None or isinstance(value, str) else float(value)]


@pytest.mark.parametrize("name", DETECTORS)
def test_blocks_do_not_change_the_result(name):
    x = np.vstack([dropped(-30), 0.5 * dropped(-50, first=600)]) + 0.02
    x = np.rint((x + 0.01 * white(count=2)) * 128) / 128
    whole, parts = DETECTORS[name](), DETECTORS[name]()
    whole.add(x)
    start, draw = 0, rng(3)
    while start < x.shape[1]:
        stop = start + int(draw.choice([0, 1, 3, 50, 1000, 20_000]))
        parts.add(x[:, start:stop])
        start = stop
    assert flat(parts.result()) == pytest.approx(flat(whole.result()), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("x", [np.zeros((2, 0)), np.zeros((2, 1)), np.zeros((2, 100_000)), np.ones((1, 3))])
def test_nothing_is_found_in_nothing(x):
    examination = Examination(len(x), RATE)
    examination.add(x)
    found = {f.damage for f in examination.diagnosis().findings if f.is_found}
    assert found <= {"DC offset"}


def test_findings_say_what_was_measured():
    found = [
        tops.finding((Tops(-0.5, 0.6, 0.2, "hard", 1.0), Tops(-math.inf, math.inf, 0, "none", 0.1))),
        offset.finding(find_offset(sine(100) + 0.1, RATE), is_clipped=False),
        clicks.finding((Click(0, 5, 7, 0.9), Click(1, 8, 9, 0.85)), 2.0, 44_100, is_clipped=False),
        gaps.finding((gaps.Gap(0, 100, 1700, 0.9),), RATE),
        dropouts.finding(find_dropouts(dropped(-30), RATE), RATE),
        bandwidth.finding(bandwidth.Bandwidth(5000, "edge", 30, 1.0), RATE),
        codec.finding(Shelf(16_700, 24, 0.75)),
        hum.finding(hum.Hum(50.02, (1, 2, 3), -40, 20, 15, 0.6)),
        noise.finding(noise.Noise(20, -40, 0.1, "white", 0.9, 0.75), None),
        reverberation.finding(reverberation.Reverberation(0.8, 0.8), 0.71, 30.0, is_clipped=False),
        quantisation.finding(quantisation.Quantisation(2.0**-7, 35, 0.75)),
        channels.finding(find_channel_faults(np.vstack([sine(100), -sine(100)]))),
    ]
    assert all(one.is_found for one in found)
    assert [one.summary for one in found] == [
        "hard, at 0.5 to 0.6 of full scale, 10.00% of the samples",
        "+0.1000 of full scale",
        "2 clicks",
        "1 gap of digital silence, 0.100 s together",
        "1 fall of level by up to 30 dB, 0.044 s together",
        "ends at 5,000 Hz, by an edge of 30 dB",
        "shelf at 16,700 Hz, as MP3 in stereo has at 128 kbit/s",
        "50.0 Hz and multiples, 20 dB below the sound",
        "white, 20 dB below the sound",
        "T60 of about 0.8 s",
        "8.0 bits, its noise 35 dB below the sound",
        "channels 1 and 2 are of opposite polarity",
    ]
    assert found[2].confidence == pytest.approx(0.5 + 0.5 * ((0.6 + 0.4) / (1 + 2 / 60) - 0.5) / 1.5)
    assert [(p.channel, p.start, p.stop) for p in found[3].places] == [(0, 100, 1700)]


def test_a_gap_of_several_channels_counts_once():
    found = gaps.finding((gaps.Gap(0, 100, 1700, 0.8), gaps.Gap(1, 100, 1700, 0.9)), RATE)
    assert (found.facts["count"], found.facts["seconds"]) == (1, 0.1)
    assert found.summary == "1 gap of digital silence, 0.100 s together"
    assert (found.confidence, len(found.places)) == (0.9, 2)


def test_facts_are_rounded():
    hummed = hum.finding(hum.Hum(50.0234, (1, 2), -40.06, 20.04, 15, 0.6)).facts
    assert hummed == {"hz": 50.02, "lines": [1, 2], "level_db": -40.1, "below_db": 20.0}
    noisy = noise.finding(noise.Noise(20.06, -40.04, -3.06, "pink", 0.4567, 0.6), SpeechSnr(12.34, ())).facts
    assert noisy == {
        "snr_db": 20.1,
        "level_db": -40.0,
        "kind": "pink",
        "slope_db_per_octave": -3.1,
        "share_of_spectrum": 0.46,
        "speech_snr_db": 12.3,
    }
    assert dropouts.finding((), RATE) == Finding(
        "dropouts", 0.0, "none", {"count": 0, "seconds": 0, "depth_db": []}
    )


def test_clipped_sounds_have_no_room_and_gaps_make_none():
    room = reverberation.Reverberation(0.8, 0.8)
    clipped = reverberation.finding(room, 0.9, 30.0, is_clipped=True)
    assert (clipped.confidence, clipped.summary) == (0, "not told from the clipping")
    assert not clipped.is_told
    voice = coloured(1, 6) * np.exp(-10 * (np.arange(6 * RATE) % 4000) / RATE)
    holed = voice.copy()
    for start in (20_000, 50_000, 80_000):
        holed[:, start : start + 8000] = 0
    whole = find_reverberation(voice, RATE).t60_s
    assert find_reverberation(holed, RATE).t60_s == pytest.approx(whole, rel=0.1)


def test_the_edges_of_clipped_tops_are_no_clicks():
    assert clicks.finding((Click(0, 5, 7, 0.99),) * 9, 2.0, 44_100, is_clipped=True).confidence == 0


def test_the_ends_of_gaps_are_no_clicks():
    time = np.arange(2 * RATE) / RATE
    x = 0.3 * np.sin(2 * np.pi * np.array([[200.0], [300.0]]) * time)
    x += 1e-4 * np.random.default_rng(0).standard_normal(x.shape)
    x[:, 25_000] += 0.2
    x[0, 8000:8400] = x[0, 12_000:12_400] = 0
    examination = Examination(2, RATE)
    examination.add(x)
    found = [(click.channel, click.start) for click in examination.diagnosis().clicks]
    assert found == [(0, pytest.approx(25_000, abs=60)), (1, pytest.approx(25_000, abs=60))]
    assert len(clicks.find_clicks(x, RATE)) > 2


@pytest.mark.parametrize(("t60_s", "snr_db", "found"), [(0.7, 14, False), (0.7, 16, True), (0.8, 14, True)])
def test_a_small_room_is_not_told_from_noise(t60_s, snr_db, found):
    room = reverberation.Reverberation(t60_s, 0.7)
    assert reverberation.finding(room, 0.9, snr_db, is_clipped=False).is_found == found


def test_a_room_is_told_of_voices_only():
    assert (
        reverberation.finding(reverberation.Reverberation(2.0, 1.0), 0.69, 30.0, is_clipped=False).confidence
        == 0
    )


@pytest.mark.parametrize(("hz", "fall_db", "confidence"), [(5000, 20, 0.5), (5000, 30, 0.75), (7700, 40, 0)])
def test_a_band_that_ends_near_half_the_rate_is_whole(hz, fall_db, confidence):
    found = bandwidth.finding(bandwidth.Bandwidth(hz, "edge", fall_db, 1.0), RATE)
    assert found.confidence == pytest.approx(confidence)


def test_a_fall_into_digital_silence_is_told_once():
    x = dropped(-200)
    x[0, 1000 * 32 : 1020 * 32] = 0
    examination = Examination(1, RATE)
    examination.add(x)
    diagnosis = examination.diagnosis()
    assert (len(diagnosis.gaps), len(diagnosis.dropouts)) == (1, 0)
    assert isinstance(examination._bandwidth, BandwidthDetector)
