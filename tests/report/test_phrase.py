"""The phrase is made of what its formulas say."""

import numpy as np
import pytest

from audiomend.report import phrase

RATE = phrase.RATE


class Midway:
    """A generator without chance: uniform draws are the middle, normal ones a fixed pattern."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2

    def standard_normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng(0).standard_normal(shape)


def spectrum(sound: np.ndarray, seconds: float = 0.5) -> tuple[np.ndarray, float]:
    """Magnitudes over the first `seconds`, and the width of a bin in Hz."""
    part = sound[: round(seconds * RATE)]
    return np.abs(np.fft.rfft(part * np.hanning(len(part)))), RATE / len(part)


def level_at(sound: np.ndarray, hz: float, seconds: float = 0.5) -> float:
    magnitudes, width = spectrum(sound, seconds)
    near = round(hz / width)
    return float(magnitudes[near - 3 : near + 4].max())


@pytest.fixture(scope="module")
def first() -> np.ndarray:
    return phrase.synthesise(0)[0]


def test_the_phrase_is_stereo_and_has_its_length_and_peak() -> None:
    sound, rate = phrase.synthesise(1)
    assert (sound.shape, sound.dtype, rate) == ((2, 220_500), np.float64, 44_100)
    assert np.abs(sound).max() == pytest.approx(0.5, rel=1e-12)


def test_the_phrase_has_treble_to_lose_and_ends_in_silence(first: np.ndarray) -> None:
    sound = first
    power = np.abs(np.fft.rfft(sound)) ** 2
    share = power[:, round(4000 * phrase.SECONDS) :].sum() / power.sum()
    assert -20 < 10 * np.log10(share) < -10
    assert np.abs(sound[:, -200:]).max() < 1e-3


def test_the_seed_decides_the_phrase(first: np.ndarray) -> None:
    np.testing.assert_array_equal(first, phrase.synthesise(0)[0])
    assert np.abs(first - phrase.synthesise(4)[0]).max() > 0.1


def test_the_channels_differ(first: np.ndarray) -> None:
    left, right = first
    assert 0.5 < np.corrcoef(left, right)[0, 1] < 0.95


def test_a_partial_decays_by_its_time_constant() -> None:
    sound = phrase.partials(np.array([1000.0]), np.array([0.7]), np.array([0.2]), 1.0, Midway())  # pyright: ignore[reportArgumentType]
    time = np.arange(RATE) / RATE
    expected = -0.7 * np.exp(-time / 0.2) * np.sin(2 * np.pi * 1000 * time)  # the phase midway is pi
    np.testing.assert_allclose(sound[100:], expected[100:], atol=1e-9)
    assert sound[0] == 0
    assert sound[44] == pytest.approx(expected[44] * 44 / 88.2)  # the onset takes 2 ms


def test_a_partial_is_cut_where_it_is_inaudible() -> None:
    sound = phrase.partials(np.array([1000.0]), np.array([1.0]), np.array([0.01]), 1.0, Midway())  # pyright: ignore[reportArgumentType]
    assert np.flatnonzero(sound)[-1] == pytest.approx(RATE // 10, abs=30)


def test_no_partial_is_above_the_highest() -> None:
    frequencies = np.array([17_900.0, 18_000.0, 21_000.0])
    sound = phrase.partials(frequencies, np.ones(3), np.ones(3), 0.5, Midway())  # pyright: ignore[reportArgumentType]
    assert level_at(sound, 17_900) > 1000 * level_at(sound, 21_000)


def test_a_string_plucked_at_a_seventh_lacks_its_seventh_partial() -> None:
    sound = phrase.plucked(220, 0.6, np.random.default_rng(0))
    partials = [level_at(sound, k * 220 * np.sqrt(1 + 8e-5 * k**2)) for k in range(1, 9)]
    assert partials[6] < 0.02 * partials[5]
    assert int(np.argmax(partials)) == 0


def test_the_partials_of_a_string_fall_and_fade_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[np.ndarray, ...]] = []
    monkeypatch.setattr(phrase, "partials", lambda *arguments: given.append(arguments[:3]) or np.zeros(1))
    phrase.plucked(100, 1.0, np.random.default_rng(0))
    frequencies, amplitudes, decays = given[0]
    assert len(frequencies) == 180
    assert frequencies[9] == pytest.approx(1000 * np.sqrt(1.008))
    assert amplitudes[2] == pytest.approx(np.sin(3 * np.pi / 7) / 3)
    assert decays[4] == pytest.approx(0.55 / 2)


def test_the_partials_of_a_bell_fall_and_fade_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[np.ndarray, ...]] = []
    monkeypatch.setattr(phrase, "partials", lambda *arguments: given.append(arguments[:3]) or np.zeros(1))
    phrase.bell(400, 1.0, np.random.default_rng(0))
    frequencies, amplitudes, decays = given[0]
    assert frequencies[4] == 800
    assert amplitudes[4] == pytest.approx(1 / 3)
    assert decays[4] == pytest.approx(0.6 / 2**0.9)


def test_the_pad_swells_around_its_pitch() -> None:
    sound = phrase.pad(330, 2.0, Midway())  # pyright: ignore[reportArgumentType]
    energy = np.square(sound).reshape(20, -1).sum(axis=1)
    assert energy[10] > 4 * energy[3] > 40 * energy[0]
    time = np.arange(len(sound)) / RATE
    swell = np.sin(np.pi * time / 2) ** 1.5
    expected = swell * np.sin(2 * np.pi * 330 * time + 1.6 * swell * np.sin(2 * np.pi * 330.4 * time + np.pi))
    np.testing.assert_allclose(sound, expected, atol=1e-9)


def test_the_brush_is_noise_around_seven_kilohertz_that_dies_away() -> None:
    sound = phrase.brush(0.22, Midway())  # pyright: ignore[reportArgumentType]
    time = np.arange(round(0.22 * RATE)) / RATE
    hz = np.fft.rfftfreq(len(time), 1 / RATE)[1:]
    gain = np.concatenate([[0], np.exp(-(np.log2(hz / 7000) ** 2))])  # 1/e an octave away
    noise = np.fft.irfft(np.fft.rfft(Midway().standard_normal(len(time))) * gain, len(time))
    envelope = np.where(time < 0.03, time / 0.03, 1) * np.exp(-time / 0.05)
    np.testing.assert_allclose(sound, noise * envelope, atol=1e-6)


def test_the_room_has_energy_one_and_decays() -> None:
    click = np.zeros((2, RATE))
    click[:, 100] = 1
    wet = phrase.reverberation(click, np.random.default_rng(0))
    np.testing.assert_allclose(np.square(wet).sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(wet[:, :100], 0, atol=1e-12)


def test_the_noise_of_the_room_falls_by_1_over_e_in_a_fifth_of_its_time() -> None:
    class Even:
        def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
            return np.ones(shape)

    click = np.zeros((2, RATE))
    click[:, 100] = 1
    wet = phrase.reverberation(click, Even(), seconds=0.4)  # pyright: ignore[reportArgumentType]
    expected = np.exp(-np.arange(round(0.4 * RATE)) / RATE / 0.08)
    np.testing.assert_allclose(wet[:, 100 : 100 + len(expected)] / wet[:, 100:101], [expected] * 2, atol=1e-9)
    assert np.abs(wet[:, 100 + len(expected) :]).max() < 1e-12


def test_a_note_starts_at_its_eighth_in_the_middle_of_the_stage() -> None:
    mix = np.zeros((2, RATE))
    phrase._add(mix, np.ones(10), 2, Midway())  # pyright: ignore[reportArgumentType]
    start = round((2 * 0.27 + 0.05) * RATE)
    assert np.flatnonzero(mix[0]).tolist() == list(range(start, start + 10))
    np.testing.assert_allclose(mix[:, start], np.sqrt(0.5))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_note_has_the_same_power_wherever_it_stands(side: int) -> None:
    class AtTheSide(Midway):
        def uniform(self, low: float, high: float) -> float:
            return side if high == 1 else 0.0

    mix = np.zeros((2, RATE))
    phrase._add(mix, np.ones(1), 0, AtTheSide(), width=1.0)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(mix[:, round(0.05 * RATE)], [side < 0, side > 0], atol=1e-12)


def test_a_note_at_the_end_is_cut() -> None:
    mix = np.zeros((2, round(0.05 * RATE) + 7))
    phrase._add(mix, np.ones(100), 0, Midway())  # pyright: ignore[reportArgumentType]
    assert (mix != 0).sum() == 14


@pytest.mark.parametrize(("note", "hz"), [(69, 440), (81, 880), (60, 261.6256)])
def test_notes_are_in_equal_temperament(note: int, hz: float) -> None:
    assert phrase._hertz(note) == pytest.approx(hz, abs=1e-3)


def test_the_score_is_played_note_by_note(monkeypatch: pytest.MonkeyPatch) -> None:
    played: dict[str, list[float]] = {"plucked": [], "bell": [], "pad": []}
    for name, notes in played.items():
        monkeypatch.setattr(phrase, name, lambda hz, *_, notes=notes: notes.append(hz) or np.ones(1))
    phrase.synthesise(0)
    midi = {name: [round(69 + 12 * np.log2(hz / 440)) for hz in notes] for name, notes in played.items()}
    assert midi["plucked"][:8] == [50, 74, 76, 69, 47, 69, 74, 66]
    assert midi["bell"] == [78, 76, 74, 78, 83, 81, 76, 74]
    assert midi["pad"][:4] == [62, 69, 74, 76]
    assert [len(notes) for notes in midi.values()] == [16, 8, 16]
