"""Soft clipping: the families of curves, their levels found again, and what they do not tell."""

import math

import numpy as np
import pytest

from audiomend.classical import curve
from audiomend.classical.curve import CURVES, FRAME, FRAMES, Bend, fitted, loudest
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


def test_white_noise_has_the_entropy_of_its_level():
    noise = 0.1 * np.random.default_rng(0).standard_normal((200, FRAME))
    expected = math.log(0.1) - 0.5772156649 / 2  # E ln of an exponential variable of mean 1 is -γ
    assert curve._entropy(noise) == pytest.approx(expected, abs=0.01)


def test_a_displaced_addition_is_as_loud_and_in_both_directions():
    x = 0.4 * tune()
    y = frames_of(0.4 * np.tanh(x / 0.4))
    bend = Bend("tanh", 0.4)
    added = 0.4 * np.arctanh(y / 0.4) - y
    slope = curve._slope(y / 0.4, bend)
    shifted = [
        curve._entropy(y + np.roll(added, k, axis=1), slope) - slope.mean() for k in (5, -5, 10, -10, 16, -16)
    ]
    assert curve._displaced(y, bend, RATE) == pytest.approx(min(shifted), abs=1e-12)


NOISE = 0.1 * np.random.default_rng(1).standard_normal(30_000)


@pytest.mark.parametrize("x", [tune(), NOISE, np.zeros(9000)])
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


def test_clicks_that_came_upon_a_curve_do_not_hide_it():
    y = 0.4 * np.tanh(tune(2.0))
    y[3000::9000] += 2.0
    fit = fitted(frames_of(y), RATE)
    assert fit is not None
    assert fit.bend.level == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("name", CURVES)
def test_a_sample_is_flat_where_the_inverse_is_steep(name):
    bend = Bend(name, 0.5)
    slope = np.exp(CURVES[name].log_slope(np.array([bend.top / 0.5])))[0]
    assert slope == pytest.approx(300, rel=1e-3)
    straight = bend.straightened(np.array([-0.6, -0.5, -bend.top, 0.0, 0.1, bend.top, 0.5]))
    assert straight[3] == 0
    assert straight[4] == 0.5 * CURVES[name].inverse(np.array([0.2]))[0]
    np.testing.assert_array_equal(np.abs(straight[[0, 1, 2, 5, 6]]), bend.least)
    assert (np.sign(straight[:3]) == -1).all()


@pytest.mark.parametrize("level", [0.0, -0.5, math.inf, math.nan])
def test_a_curve_tends_to_a_level(level):
    with pytest.raises(UsageError, match=f"level is {level:g}; it must be above 0"):
        Bend("tanh", level)
