"""The active level: RMS of the half-seconds within 30 dB of the loudest, per channel."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomend.audio.level import ActiveLevel

RATE = 1000  # 500 samples to a stretch


def level(*blocks: np.ndarray) -> ActiveLevel:
    accumulator = ActiveLevel(RATE)
    for block in blocks:
        accumulator.add(block)
    return accumulator


def stretch(amplitude: float, length: int = 500) -> np.ndarray:
    """One channel whose RMS is `amplitude`."""
    return amplitude * np.where(np.arange(length) % 2, 1.0, -1.0)[None]


def test_level_of_steady_sound():
    assert level(stretch(0.25, 2000)).rms == pytest.approx(0.25)
    assert level(stretch(0.25, 2000)).gain == pytest.approx(0.4)


def test_stretches_are_averaged_by_power():
    assert level(stretch(0.3), stretch(0.1)).rms == pytest.approx(np.sqrt((0.09 + 0.01) / 2))


@pytest.mark.parametrize(("quiet_db", "counts"), [(-29.9, True), (-30.1, False)])
def test_pauses_begin_30_db_below_the_loudest(quiet_db, counts):
    quiet = 0.5 * 10 ** (quiet_db / 20)
    expected = np.sqrt((0.25 + quiet**2) / 2) if counts else 0.5
    assert level(stretch(0.5), stretch(quiet)).rms == pytest.approx(expected, rel=1e-12)


def test_a_silent_channel_does_not_lower_the_level():
    assert level(np.concatenate([stretch(0.2), stretch(0.0)])).rms == pytest.approx(0.2)


def test_channels_are_averaged_by_power():
    assert level(np.concatenate([stretch(0.3), stretch(0.1)])).rms == pytest.approx(np.sqrt(0.05))


def test_a_short_last_stretch_weighs_by_its_length():
    assert level(stretch(0.1), stretch(0.4, 125)).rms == pytest.approx(np.sqrt((5 + 20) / 625))


def test_a_click_at_the_end_is_not_the_loudest():
    # Energy 16 in the one sample, 5 in the stretch before: both count, by their own lengths.
    assert level(stretch(0.1), np.full((1, 1), 4.0)).rms == pytest.approx(np.sqrt(21 / 501))
    assert level(stretch(0.1), np.full((1, 1), 0.05)).rms == pytest.approx(0.1)


def test_shorter_than_a_stretch():
    assert level(stretch(0.2, 3)).rms == pytest.approx(0.2)


@pytest.mark.parametrize(
    "blocks", [[], [np.zeros((2, 700))], [np.full((1, 700), 1e-10)], [np.full((1, 9), 1e-300)]]
)
def test_silence_has_gain_1(blocks):
    assert level(*blocks).rms == 0.0
    assert level(*blocks).gain == 1.0


def test_quiet_sound_is_no_silence():
    assert level(stretch(1e-8)).gain == pytest.approx(1e7)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 2300), max_size=6))
def test_blocks_of_any_size_give_the_same(cuts):
    samples = np.random.default_rng(0).standard_normal((2, 2300)) * 0.1
    edges = [0, *sorted(cuts), 2300]
    blocks = [samples[:, a:b] for a, b in pairwise(edges)]
    assert level(*blocks).rms == pytest.approx(level(samples).rms, rel=1e-12)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_a_stretch_is_half_a_second(rate):
    accumulator = ActiveLevel(rate)
    half = rate // 4
    pulses = np.concatenate(
        [stretch(0.4, half), stretch(0.0, half), stretch(0.4, half), stretch(0.0, half)], axis=1
    )
    accumulator.add(pulses)
    assert accumulator.rms == pytest.approx(0.4 / np.sqrt(2))
