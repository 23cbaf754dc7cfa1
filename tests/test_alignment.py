"""Nothing shifts in time and nothing changes its level, whatever the rates of file and prior."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import audiomend
from audiomend.models.prior import WienerPrior
from audiomend.restorers.methods import METHODS

RATES = (8000, 22_050, 44_100, 48_000, 96_000)
CUTOFF = 0.35  # of Nyquist
QUICK = {"model": "wiener", "steps": 2}


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 0.37 s, so that a second of sound has several."""
    prior = replace(WienerPrior(), length=16_384)
    monkeypatch.setattr("audiomend.restorers.options.load_model", lambda *_: prior)


def bursts(rate: int) -> np.ndarray:
    """(2, time) a second of noise with the spectrum of music, up to Nyquist, in bursts."""
    spectrum = np.random.default_rng(5).standard_normal((2, rate // 2 + 1, 2)) @ [1, 1j]
    spectrum /= np.maximum(np.fft.rfftfreq(rate, 1 / rate), 100)
    x = np.fft.irfft(spectrum, rate) * (0.2 + np.sin(np.arange(rate) * 9 / rate) ** 2)
    return 0.1 * x / x.std()


def dull(x: np.ndarray, rate: int) -> np.ndarray:
    """Nothing above the cut-off, by a brick wall that is not the package's own filter."""
    spectrum = np.fft.rfft(x)
    spectrum[:, np.fft.rfftfreq(rate, 1 / rate) > CUTOFF * rate / 2] = 0
    return np.fft.irfft(spectrum, rate)


def below(x: np.ndarray, rate: int) -> np.ndarray:
    """Spectrum of the band that was there, short of the transition of the band's filter."""
    return np.fft.rfft(x)[:, : int(0.9 * CUTOFF * rate / 2)]


def lag(x: np.ndarray, y: np.ndarray) -> int:
    """Where the cross-correlation of all channels has its peak, in samples that y is late by."""
    size = 2 * x.shape[1]
    correlation = np.fft.irfft(np.fft.rfft(y, size) * np.fft.rfft(x, size).conj(), size).sum(0)
    return (int(np.argmax(correlation)) + size // 2) % size - size // 2


def delay(x: np.ndarray, y: np.ndarray, rate: int) -> float:
    """Slope of the phase between two spectra of a second, weighted by energy, in samples."""
    cross = (y * x.conj()).sum(0)
    hz = np.arange(len(cross))
    weight = np.abs(cross)
    slope = (weight * hz * np.angle(cross)).sum() / (weight * hz**2).sum()
    return -slope * rate / (2 * np.pi)


def decibels(x: np.ndarray, y: np.ndarray) -> float:
    return 10 * np.log10(np.square(np.abs(x)).sum() / np.square(np.abs(y)).sum())


def test_a_shift_would_be_seen() -> None:
    """Half a sample late, by its phase: what the measures say of a fault."""
    x = dull(bursts(8000), 8000)
    late = np.fft.irfft(np.fft.rfft(x) * np.exp(-1j * np.pi * np.arange(4001) / 8000), 8000)
    assert delay(below(x, 8000), below(late, 8000), 8000) == pytest.approx(0.5)
    assert lag(x, np.roll(x, 3, axis=1)) == 3


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("how", [QUICK, {"method": "replication"}, {}], ids=["walk", "replication", "auto"])
def test_extending_shifts_nothing_and_keeps_the_band_and_its_level(how: dict[str, Any], rate: int) -> None:
    x = dull(bursts(rate), rate)
    y = audiomend.extend(x, rate, cutoff_hz=CUTOFF * rate / 2, **how)
    assert (y != x).any()
    assert lag(x, y) == 0
    before, after = below(x, rate), below(y, rate)
    assert abs(delay(before, after, rate)) < 0.05
    assert abs(decibels(after, before)) < 0.1
    assert decibels(before, after - before) > 60


@pytest.mark.parametrize("rate", RATES)
def test_extending_what_is_not_dull_changes_little_below_the_given_cutoff(rate: int) -> None:
    x = bursts(rate)
    y = audiomend.extend(x, rate, cutoff_hz=CUTOFF * rate / 2, **QUICK)
    assert lag(x, y) == 0
    before, after = below(x, rate), below(y, rate)
    assert abs(delay(before, after, rate)) < 0.05
    assert decibels(before, after - before) > 40


@pytest.mark.parametrize("rate", RATES)
def test_undamaged_sound_is_left_as_it_is_by_every_verb(rate: int) -> None:
    x = bursts(rate)
    for verb in (audiomend.declip, audiomend.inpaint, audiomend.extend):
        np.testing.assert_array_equal(verb(x, rate, **QUICK), x)


@pytest.mark.parametrize("rate", RATES)
def test_mending_shifts_nothing_inside_the_damage(rate: int) -> None:
    """Half of all samples are lost, in runs of 3 ms, so that what is filled in decides the correlation."""
    x = dull(bursts(rate), rate)
    run = round(0.003 * rate)
    gaps = [(first / rate, (first + run) / rate) for first in range(run, rate - 2 * run, 2 * run)]
    lost = np.zeros(rate, bool)
    for first in range(run, rate - 2 * run, 2 * run):
        lost[first : first + run] = True
    y = audiomend.inpaint(np.where(lost, 0, x), rate, gaps=gaps, model="wiener", steps=8)
    np.testing.assert_array_equal(y[:, ~lost], x[:, ~lost])
    assert lag(np.where(lost, x, 0), np.where(lost, y, 0)) == 0


@pytest.mark.parametrize("method", METHODS["declip"])
def test_declipping_shifts_nothing_inside_the_damage(method: str) -> None:
    """The lag of what is beyond the level, by itself, and the phase of the whole."""
    rate = 8000
    x = dull(bursts(rate), rate)
    level = 1.2 * x.std()
    y = audiomend.declip(x.clip(-level, level), rate, clip_level=level, method=method)
    lost = np.abs(x) >= level
    np.testing.assert_array_equal(y[~lost], x[~lost])
    beyond, found = (np.where(lost, np.abs(z) - level, 0) * np.sign(x) for z in (x, y))
    assert lag(beyond, found) == 0
    assert abs(delay(np.fft.rfft(x), np.fft.rfft(y), rate)) < 0.05


@pytest.mark.parametrize("method", METHODS["inpaint"])
def test_filling_shifts_nothing_inside_the_damage(method: str) -> None:
    """Runs of 3 ms of tones, which every method goes on with; a similar stretch is found a period away."""
    rate = 8000
    x = np.sin(2 * np.pi * np.array([[300], [500]]) * np.arange(rate) / rate)
    lost = np.arange(rate) % 400 < 24
    lost[:400] = lost[-400:] = False
    gaps = [(first / rate, (first + 24) / rate) for first in range(400, rate - 400, 400)]
    y = audiomend.inpaint(np.where(lost, 0, x), rate, gaps=gaps, method=method)
    np.testing.assert_array_equal(y[:, ~lost], x[:, ~lost])
    wanted, found = np.where(lost, x, 0), np.where(lost, y, 0)
    assert lag(wanted, found) == 0
    assert abs(delay(np.fft.rfft(wanted), np.fft.rfft(found), rate)) < 0.05
