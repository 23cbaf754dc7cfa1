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
        np.testing.assert_array_equal(verb(x, rate), x)
    np.testing.assert_array_equal(audiomend.declick(x, rate), x)
    np.testing.assert_array_equal(audiomend.restore(x, rate)[0], x)


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


def at_two_rates(verb: str) -> list[tuple[str, int]]:
    """(method, rate): all methods of a verb, and its own choice at the usual rate too."""
    return [*((method, 8000) for method in (*METHODS[verb], "auto")), ("auto", 44_100)]


@pytest.mark.parametrize(("method", "rate"), at_two_rates("declip"))
def test_declipping_shifts_nothing_inside_the_damage(method: str, rate: int) -> None:
    """The lag of what is beyond the level, by itself, and the phase of the whole."""
    x = dull(bursts(rate), rate)[:1]
    level = 1.2 * x.std()
    y = audiomend.declip(x.clip(-level, level), rate, clip_level=level, method=method)
    lost = np.abs(x) >= level
    np.testing.assert_array_equal(y[~lost], x[~lost])
    beyond, found = (np.where(lost, np.abs(z) - level, 0) * np.sign(x) for z in (x, y))
    assert lag(beyond, found) == 0
    assert abs(delay(np.fft.rfft(x), np.fft.rfft(y), rate)) < 0.05


@pytest.mark.parametrize(("method", "rate"), at_two_rates("inpaint"))
def test_filling_shifts_nothing_inside_the_damage(method: str, rate: int) -> None:
    """Runs of 3 ms of tones, which every method goes on with; a similar stretch is found a period away."""
    x = np.sin(2 * np.pi * np.array([[300], [500]]) * np.arange(rate) / rate)
    every, run = rate // 8, round(0.003 * rate)
    firsts = range(every, rate - every, every)
    gaps = [(first / rate, (first + run) / rate) for first in firsts]
    lost = np.isin(np.arange(rate), [range(first, first + run) for first in firsts])
    y = audiomend.inpaint(np.where(lost, 0, x), rate, gaps=gaps, method=method)
    np.testing.assert_array_equal(y[:, ~lost], x[:, ~lost])
    wanted, found = np.where(lost, x, 0), np.where(lost, y, 0)
    assert lag(wanted, found) == 0
    assert abs(delay(np.fft.rfft(wanted), np.fft.rfft(found), rate)) < 0.05


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_declicking_shifts_nothing_inside_the_damage(rate: int) -> None:
    """A click of half a millisecond in each tenth of a second, mended with 2 ms around it."""
    x = dull(bursts(rate), rate)
    place = np.arange(rate) % (rate // 10) - rate // 20
    clicks = (place >= 0) & (place < round(0.0005 * rate))
    damaged = x + 0.8 * clicks
    y = audiomend.declick(damaged, rate)
    changed = y != damaged
    assert changed[:, clicks].mean() > 0.5
    assert np.abs(place[changed.any(axis=0)]).max() < 0.002 * rate
    assert lag(np.where(changed, x, 0), np.where(changed, y, 0)) == 0
    assert abs(delay(np.fft.rfft(x), np.fft.rfft(y), rate)) < 0.05


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_restoring_shifts_nothing_inside_the_damage(rate: int) -> None:
    """A clipped channel with a gap: two stages, one on what the other left."""
    x = bursts(rate)[:1]
    level, gap = 1.5 * x.std(), slice(rate // 2, rate // 2 + rate // 100)
    damaged = x.clip(-level, level)
    damaged[:, gap] = 0
    y, told = audiomend.restore(damaged, rate)
    assert [one.stage.stage for one in told.done if one.changed] == ["declip", "gaps"]
    lost = np.abs(x) >= level
    lost[:, gap] = True
    np.testing.assert_array_equal(y[~lost], x[~lost])
    assert lag(np.where(lost, x, 0), np.where(lost, y, 0)) == 0
    assert abs(delay(np.fft.rfft(x), np.fft.rfft(y), rate)) < 0.05
