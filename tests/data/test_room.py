import numpy as np
import pytest

from audiomend.data.level import RATE
from audiomend.data.room import response, reverberate


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_the_direct_path_is_one_at_sample_zero():
    assert response(0.5, -20, 6000, rng())[0] == 1


@pytest.mark.parametrize("level_db", [-30.0, -10.0])
def test_the_tail_has_the_energy_asked_for(level_db: float):
    tail = response(0.5, level_db, 6000, rng())[1:]
    assert 10 * np.log10(np.sum(tail.astype(float) ** 2)) == pytest.approx(level_db, abs=1e-3)


@pytest.mark.parametrize("rt60", [0.4, 1.2])
def test_the_tail_falls_60_db_in_rt60(rt60: float):
    h = response(rt60, -10, 6000, rng()).astype(float)
    assert len(h) == round(rt60 * RATE)
    part = len(h) // 8
    early, late = np.sum(h[1 : part + 1] ** 2), np.sum(h[-part:] ** 2)
    apart_db = 60 * (len(h) - part) / len(h)  # between parts of equal length
    assert 10 * np.log10(early / late) == pytest.approx(apart_db, abs=0.5)


def test_the_tail_is_darkened_by_one_pole_at_the_cutoff():
    h = response(1.0, 0, 1000, rng())
    power = np.abs(np.fft.rfft(h[1:])) ** 2
    frequency = np.fft.rfftfreq(len(h) - 1, 1 / RATE)
    band = [power[(frequency > low) & (frequency < high)].mean() for low, high in ((50, 250), (4000, 6000))]
    pole = np.exp(-2 * np.pi * 1000 / RATE)
    gain = (1 - pole) ** 2 / (1 + pole**2 - 2 * pole * np.cos(2 * np.pi * 4950 / RATE))
    assert 10 * np.log10(band[1] / band[0]) == pytest.approx(10 * np.log10(gain), abs=1.0)


def test_reverberation_is_convolution_cut_to_the_dry_length():
    generator = rng()
    x, h = (
        generator.standard_normal(500).astype(np.float32),
        generator.standard_normal(90).astype(np.float32),
    )
    np.testing.assert_allclose(reverberate(x, h), np.convolve(x, h)[:500], atol=1e-4)


def test_the_room_is_a_function_of_the_generator():
    assert (response(0.3, -20, 6000, rng()) == response(0.3, -20, 6000, rng())).all()
