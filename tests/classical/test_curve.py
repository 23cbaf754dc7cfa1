"""Soft clipping: the families of curves, their levels found again, and what they do not tell."""

import math

import numpy as np
import pytest

from audiomend.classical import curve
from audiomend.classical.curve import CURVES, FRAME, FRAMES, Bend, fitted, gained, loudest
from audiomend.errors import UsageError

RATE = 16_000
FORWARD = {
    "tanh": np.tanh,
    "arctan": lambda x: 2 / math.pi * np.arctan(math.pi / 2 * x),
    "root": lambda x: x / np.sqrt(1 + x**2),
    "knee": lambda x: x / (1 + x**4) ** 0.25,
    "cubic": lambda x: x - 4 * x**3 / 27,
}
X = np.linspace(-1.45, 1.45, 2001)


def tune(seconds=1.0, seed=0):
    """Five partials that come and go, with valleys between them 80 dB deep: (time,), peak 1."""
    t = np.arange(round(seconds * RATE)) / RATE
    draw = np.random.default_rng(seed)
    x = sum(
        np.sin(2 * np.pi * hz * t + draw.uniform(0, 6)) * np.cos(2 * np.pi * draw.uniform(0.2, 0.6) * t)
        for hz in (220.0, 311.3, 563.7, 1210.1, 1733.3)
    )
    x += 1e-4 * draw.standard_normal(len(t))
    return x / np.abs(x).max()


def frames_of(x):
    return np.lib.stride_tricks.sliding_window_view(x, FRAME)[:: FRAME // 2]


@pytest.mark.parametrize("name", CURVES)
def test_an_inverse_inverts_its_curve_and_knows_its_slope(name):
    y, family = FORWARD[name](X), CURVES[name]
    np.testing.assert_allclose(family.inverse(y), X, rtol=1e-9, atol=1e-12)
    inner = np.linspace(-0.9, 0.9, 181)
    step = 1e-6
    slope = (family.inverse(inner + step) - family.inverse(inner - step)) / (2 * step)
    np.testing.assert_allclose(np.exp(family.log_slope(inner)), slope, rtol=1e-6)
    assert family.log_slope(np.zeros(1))[0] == 0


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("level", [0.3, 0.8])
def test_the_curve_and_its_level_are_found(name, level):
    x = 0.4 * tune()
    fit = fitted(frames_of(level * FORWARD[name](x / level)), RATE)
    assert fit is not None
    assert fit.bend.curve == name
    assert fit.bend.level == pytest.approx(level, rel=0.01)
    assert fit.entropy < min(fit.displaced, -0.05)


@pytest.mark.parametrize("name", ["tanh", "root", "cubic"])
def test_polarities_have_levels_of_their_own_where_that_is_so(name):
    x = 0.4 * tune()
    y = np.where(x > 0, 0.3 * FORWARD[name](x / 0.3), 0.7 * FORWARD[name](x / 0.7))
    fit = fitted(frames_of(y), RATE)
    assert fit is not None
    assert fit.bend.curve == name
    assert fit.bend.level == pytest.approx(0.3, rel=0.01)
    assert fit.bend.low == pytest.approx(-0.7, rel=0.03)
    mirrored = fitted(frames_of(-y), RATE)
    assert mirrored is not None
    assert (mirrored.bend.level, -mirrored.bend.low) == pytest.approx(
        (-fit.bend.low, fit.bend.level), rel=0.01
    )
    assert mirrored.entropy == pytest.approx(fit.entropy, abs=1e-3)


def test_an_even_curve_has_one_level():
    for level in (0.3, 0.8):
        fit = fitted(frames_of(level * np.tanh(0.4 * tune() / level)), RATE)
        assert fit is not None
        assert fit.bend.below is None
        assert fit.bend.low == -fit.bend.level


@pytest.mark.parametrize(("uneven", "is_uneven"), [(-0.126, True), (-0.124, False)])
def test_levels_of_their_own_gain_a_quarter(monkeypatch, uneven, is_uneven):
    even, levels = Bend("tanh", 0.5), Bend("tanh", 0.5, 0.4)
    monkeypatch.setattr(curve, "_glance", lambda frames: -1.0)
    monkeypatch.setattr(curve, "_best", lambda frames, name: (-0.1 - 2.0, even))
    monkeypatch.setattr(curve, "_entropy", lambda frames, slope=None: -2.0)
    monkeypatch.setattr(curve, "_uneven", lambda frames, bend: (uneven - 2.0, levels))
    monkeypatch.setattr(curve, "_displaced", lambda frames, bend, rate: -2.0)
    fit = curve._fit(frames_of(tune()), RATE)
    assert fit is not None
    assert fit.bend == (levels if is_uneven else even)
    assert fit.entropy == pytest.approx(uneven if is_uneven else -0.1)
    above = curve._fit(np.abs(frames_of(tune())), RATE)
    assert above is not None
    assert above.bend == even


def test_a_small_gain_is_no_gain(monkeypatch):
    monkeypatch.setattr(curve, "_glance", lambda frames: -1.0)
    monkeypatch.setattr(curve, "_best", lambda frames, name: (-0.004, Bend("tanh", 0.5)))
    monkeypatch.setattr(curve, "_entropy", lambda frames, slope=None: 0.0)
    monkeypatch.setattr(curve, "_displaced", lambda frames, bend, rate: 0.0)
    for gain, below in ((0.0028, None), (0.0032, 0.4)):
        monkeypatch.setattr(
            curve, "_uneven", lambda frames, bend, gain=gain: (-0.004 - gain, Bend("tanh", 0.5, 0.4))
        )
        fit = curve._fit(frames_of(tune()), RATE)
        assert fit is not None
        assert fit.bend.below == below


def test_the_least_of_a_valley_is_found_to_the_golden_section():
    asked = list[float]()

    def value(place: float) -> float:
        asked.append(place)
        return (place - 0.7345) ** 2

    least, place = curve._least(value, [-1.0, 0.0, 1.0, 2.0], 12)
    assert place == pytest.approx(0.7345, abs=2 * curve.GOLDEN**13)
    assert least == value(place)
    assert len(asked) == 4 + 2 + 12 + 1
    for edge in (-2.0, 3.0):  # where it falls to an end of the grid
        least, place = curve._least(lambda p, edge=edge: (p - edge) ** 2, [-1.0, 0.0, 1.0, 2.0], 12)
        assert place == np.clip(edge, -1, 2)


def test_each_polarity_is_straightened_by_its_level():
    bend, y = Bend("tanh", 0.5, 0.3), np.array([-0.35, -0.29, -0.1, 0.0, 0.2, 0.4, 0.6])
    straight = bend.straightened(y)
    np.testing.assert_allclose(straight[1:3], 0.3 * np.arctanh(y[1:3] / 0.3), rtol=1e-12)
    np.testing.assert_allclose(straight[4:6], 0.5 * np.arctanh(y[4:6] / 0.5), rtol=1e-12)
    assert (straight[0], straight[6]) == bend.flat
    assert bend.flat == pytest.approx((-0.3 * np.arctanh(bend.top), 0.5 * np.arctanh(bend.top)))
    assert (bend.low, bend.towards) == (-0.3, "-0.3 and 0.5")
    assert (Bend("tanh", 0.5).low, Bend("tanh", 0.5).towards) == (-0.5, "0.5")
    with pytest.raises(UsageError, match="below is 0; it must be above 0"):
        Bend("tanh", 0.5, 0.0)


def test_the_entropy_is_the_mean_logarithm_of_a_spectrum_less_that_of_the_slope():
    frames = frames_of(0.4 * tune())[:9]
    bend = Bend("tanh", 0.7)
    window = np.sin(np.pi * np.arange(1, FRAME + 1) / (FRAME + 1)) ** 2
    straight = 0.7 * np.arctanh(frames / 0.7)
    power = np.abs(np.fft.rfft(straight * window)) ** 2 / (window**2).sum()
    slope = -np.log(1 - (frames / 0.7) ** 2) @ window**2 / (window**2).sum()
    floor = 2.0**-30 / 12 * np.exp(2 * slope)[:, None]
    assert curve._bent_entropy(frames, bend) == pytest.approx(
        np.log(power + floor).mean() / 2 - slope.mean(), abs=1e-9
    )


def test_a_curve_gains_in_what_it_bent_and_loses_in_what_it_did_not():
    bend, x = Bend("cubic", 0.7), 0.69 * tune()
    bent, straight = (
        frames_of(0.7 * FORWARD["cubic"](x / 0.7) if is_bent else x) for is_bent in (True, False)
    )
    assert gained(bent, bend) < -0.1
    assert gained(straight, bend) > 0.1
    assert gained(bent, bend) == curve._bent_entropy(bent, bend) - curve._entropy(bent)
    assert gained(bent[:8], bend) < -0.1
    assert gained(bent[:7], bend) == gained(0 * bent, bend) == math.inf


def test_white_noise_has_the_entropy_of_its_level():
    noise = 0.1 * np.random.default_rng(0).standard_normal((200, FRAME))
    expected = math.log(0.1) - 0.5772156649 / 2  # E ln of an exponential variable of mean 1 is -γ
    assert curve._entropy(noise) == pytest.approx(expected, abs=0.01)


def test_rounding_is_as_likely_through_any_curve():
    """Frames that hold nothing else gain nothing by an inverse, however steep."""
    for level in (0.5001, 0.6, 2.0):
        bend = Bend("tanh", level)
        constant = np.full((2, FRAME), 0.5) * np.array([[1], [0.3]])
        power = np.log(2.0**-30 / 12) / 2
        away = curve._bent_entropy(constant, bend)  # but for the few bins of the constant itself
        assert 0 <= away - power < 0.2


def test_a_wave_between_two_values_went_through_no_curve_that_can_be_told():
    """One sample in 150 or in 300 lies below nine tenths of the peak; at most one in 200 is a square wave."""
    for apart, told in ((150, True), (300, False)):
        y = np.tile(np.sign(np.sin(2 * np.pi * 50 * np.arange(1500) / 1500)), 20)
        y[::apart] *= 0.8
        frames = frames_of(0.5 * y)
        assert (np.mean(np.abs(frames) < 0.45) >= 0.005) == told
        assert (fitted(frames, RATE) is not None) == told


def test_a_displaced_addition_is_as_loud_and_in_both_directions():
    x = 0.4 * tune()
    y = frames_of(0.4 * np.tanh(x / 0.4))
    bend = Bend("tanh", 0.4)
    added = 0.4 * np.arctanh(y / 0.4) - y
    slope = curve._slope(y / 0.4, bend)
    shifted = [
        curve._entropy(y + np.roll(added, k, axis=1), slope) - slope.mean() for k in (5, -5, 10, -10, 16, -16)
    ]
    assert min(shifted[::2]) != pytest.approx(min(shifted[1::2]), abs=1e-9)
    for frames in (y, y[:, ::-1]):  # the one of them needs the other direction
        assert curve._displaced(frames, bend, RATE) == pytest.approx(min(shifted), abs=1e-12)


TIME_S = np.arange(2 * RATE) / RATE
SINE = np.sin(2 * np.pi * 440 * TIME_S)
NOISE = 0.1 * np.random.default_rng(1).standard_normal(30_000)


@pytest.mark.parametrize(
    "x",
    [
        tune(),
        NOISE,
        np.zeros(9000),
        0.5 * SINE,
        0.5 * SINE * (1 + 0.5 * np.sin(2 * np.pi * 3 * TIME_S)),
        0.3 * SINE + 0.3 * np.sin(2 * np.pi * 617 * TIME_S),
        0.5 * np.sin(2 * np.pi * 20 * np.exp(2 * TIME_S)),
        0.7 * np.sign(SINE + 0.1),
        np.full(2 * RATE, 0.3),
        np.linspace(-0.5, 0.5, 2 * RATE),
    ],
)
def test_a_sound_that_went_through_none_has_no_curve(x):
    assert fitted(frames_of(x), RATE) is None


def test_a_few_frames_tell_nothing():
    y = frames_of(0.4 * np.tanh(tune()))
    assert fitted(y[:7], RATE) is None
    assert fitted(y[:8], RATE) is not None


def test_the_loudest_frames_are_kept_in_order():
    level = np.random.default_rng(0).permutation(60) / 60 + 0.1
    frames = -level[:, None] * np.ones((60, FRAME))
    frames[np.argmin(level), 0] = 5.0  # a click is no loudness
    energy = np.square(frames).sum(axis=1)
    np.testing.assert_array_equal(np.square(loudest(frames)).sum(axis=1), np.sort(energy)[::-1][:FRAMES])
    assert len(loudest(frames[:50])) == FRAMES


@pytest.mark.parametrize("height", [0.4, 2.0])
def test_clicks_that_came_upon_a_curve_do_not_hide_it(height):
    y = 0.4 * np.tanh(tune(2.0))
    y[3000::9000] += np.copysign(height, y[3000::9000])
    fit = fitted(frames_of(y), RATE)
    assert fit is not None
    assert fit.bend.level == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("name", CURVES)
def test_a_sample_is_flat_where_the_inverse_is_steep(name):
    bend = Bend(name, 0.5)
    slope = np.exp(CURVES[name].log_slope(np.array([bend.top])))[0]
    assert slope == pytest.approx(300, rel=1e-3)
    straight = bend.straightened(np.array([-0.6, -0.5, -bend.top / 2, 0.0, 0.1, bend.top / 2, 0.5]))
    assert straight[3] == 0
    assert straight[4] == 0.5 * CURVES[name].inverse(np.array([0.2]))[0]
    np.testing.assert_array_equal(np.abs(straight[[0, 1, 2, 5, 6]]), bend.flat[1])
    assert bend.flat[0] == -bend.flat[1]
    assert (np.sign(straight[:3]) == -1).all()


@pytest.mark.parametrize("level", [0.0, -0.5, math.inf, math.nan])
def test_a_curve_tends_to_a_level(level):
    with pytest.raises(UsageError, match=f"level is {level:g}; it must be above 0"):
        Bend("tanh", level)
