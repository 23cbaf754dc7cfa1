import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.data.level import RATE
from audiomend.data.piano import (
    COLUMNS,
    Piano,
    damp,
    damping_seconds,
    load_pianos,
    nearest_sample,
    render,
    stretch_cents,
    strike,
)
from audiomend.data.score import Score
from audiomend.errors import TrainingError

SECONDS = 4
LAYERS = ((1, 60, 45, -6.0), (61, 127, 100, 0.0))  # low, high, recorded velocity, gain in dB
NOISE_KEYS = (60, 63)


def tone(key: int, cents: float, amplitude: float, seconds: float = SECONDS) -> np.ndarray:
    frequency = 440 * 2 ** ((key - 69) / 12 + cents / 1200)
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def row(file: str, kind: str, key: int | str = "", **fields: float) -> dict[str, object]:
    empty = dict.fromkeys(COLUMNS, "")
    return {
        **empty,
        "file": file,
        "licence": "CC0",
        "piano": "tiny",
        "kind": kind,
        "midi_note": key,
        **fields,
    }


@pytest.fixture(scope="module")
def piano(tmp_path_factory: pytest.TempPathFactory) -> Piano:
    """Sines of amplitude 0.1 (soft) and 0.4 (loud), 7 cents sharp; noises are constants."""
    folder = tmp_path_factory.mktemp("samples")
    rows: list[dict[str, object]] = []

    def add(entry: dict[str, object], audio: np.ndarray) -> None:
        soundfile.write(folder / str(entry["file"]), audio, RATE, subtype="FLOAT")
        rows.append(entry)

    for key in (45, 48, 60, 63, 96):
        for layer, (low, high, nominal, gain) in enumerate(LAYERS):
            values = {"vel_lo": low, "vel_hi": high, "vel_recorded_as": nominal}
            entry = row(f"{key}_{layer}.wav", "note", key, gain_hint_db=gain, tuning_cents=7.0, **values)
            add(entry, tone(key, 7.0, 0.4 if layer else 0.1))
    for key in NOISE_KEYS:
        add(row(f"r{key}.wav", "release_noise", key, gain_hint_db=-20.0), np.full(RATE // 2, 0.5))
        add(row(f"s{key}.wav", "string_resonance_release", key, gain_hint_db=-10.0), tone(key, 0.0, 0.5, 1.0))
    add(row("p.wav", "pedal_noise"), np.full(RATE // 4, 0.25))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return load_pianos(folder)["tiny"]


@pytest.fixture
def dry(piano: Piano) -> Piano:
    return replace(piano, release_noises={}, resonances={}, pedal_noises=())


def one_note(
    key: int = 60, velocity: int = 100, held: float = 1.0, pedal: list[list[float]] | None = None
) -> Score:
    return Score(
        onset=np.array([0.5]),
        release=np.array([0.5 + held]),
        key=np.array([key]),
        velocity=np.array([velocity]),
        track=np.array([0]),
        pedal=np.array(pedal or [], float).reshape(-1, 2),
        beats=np.zeros(0),
    )


def play(score: Score, piano: Piano, seconds: float = 4.0) -> np.ndarray:
    return render(score, piano, seconds, np.random.default_rng(0))


def frequency(x: np.ndarray) -> float:
    """Frequency of the strongest partial, from a parabola through the log spectrum's peak."""
    spectrum = np.log(np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x))) + 1e-12)
    peak = int(spectrum.argmax())
    low, middle, high = spectrum[peak - 1 : peak + 2]
    return (peak + 0.5 * (low - high) / (low - 2 * middle + high)) * RATE / (8 * len(x))


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x.astype(float) ** 2)))


@pytest.mark.parametrize("key", [45, 46, 48, 50, 58, 60, 61, 62, 65, 94, 96, 98])
@pytest.mark.parametrize("velocity", [40, 100])
def test_a_note_has_its_tuned_pitch_whatever_the_sample(dry: Piano, key: int, velocity: int):
    expected = 440 * 2 ** ((key - 69) / 12 + stretch_cents(key) / 1200)
    measured = frequency(strike(dry, key, velocity)[RATE // 2 : 3 * RATE])
    assert 1200 * np.log2(measured / expected) == pytest.approx(0, abs=0.2)


def test_the_tuning_of_a_sample_outside_the_measured_keys_is_left_alone(dry: Piano):
    rough = replace(dry.notes[-1], key=99)
    shifted = strike(replace(dry, notes=(rough,)), 100, 100)
    expected = 440 * 2 ** ((97 - 69) / 12 + 7.0 / 1200)
    assert 1200 * np.log2(frequency(shifted[RATE // 2 : 3 * RATE]) / expected) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    ("key", "cents"), [(69, 0.0), (81, 2.65), (93, 8.6), (57, -1.1), (45, -2.8), (33, -5.7)]
)
def test_tuning_is_stretched(key: int, cents: float):
    assert stretch_cents(key) == pytest.approx(cents)


def test_tuning_is_flat_outside_the_measured_keys():
    assert stretch_cents(21) == stretch_cents(30) < stretch_cents(31)
    assert stretch_cents(108) == stretch_cents(96) > stretch_cents(95)


@pytest.mark.parametrize("velocity", [1, 30, 45, 60])
def test_level_inside_the_soft_layer_follows_the_square_of_velocity(dry: Piano, velocity: int):
    expected = 0.1 / np.sqrt(2) * 10 ** (-6 / 20) * (velocity / 45) ** 2
    assert rms(strike(dry, 60, velocity)[RATE:-RATE]) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("velocity", [61, 100, 127])
def test_level_inside_the_loud_layer_follows_the_square_of_velocity(dry: Piano, velocity: int):
    assert rms(strike(dry, 60, velocity)[RATE:-RATE]) == pytest.approx(
        0.4 / np.sqrt(2) * (velocity / 100) ** 2, rel=2e-3
    )


@pytest.mark.parametrize(("key", "nearest"), [(59, 60), (61, 60), (62, 63), (65, 63), (47, 48), (46, 45)])
def test_the_nearest_key_is_taken(dry: Piano, key: int, nearest: int):
    assert nearest_sample(dry, key, 100).key == nearest


@pytest.mark.parametrize(("velocity", "recorded"), [(1, 45), (60, 45), (61, 100), (127, 100)])
def test_the_layer_of_the_velocity_is_taken(dry: Piano, velocity: int, recorded: int):
    assert nearest_sample(dry, 60, velocity).velocity == recorded


def test_a_key_more_than_two_semitones_off_is_refused(dry: Piano):
    assert nearest_sample(dry, 58, 100).key == 60
    with pytest.raises(TrainingError, match="no sample for key 57 at velocity 100"):
        nearest_sample(dry, 57, 100)


def test_both_ends_of_a_sample_are_faded_for_3_ms(piano: Piano):
    note = play(one_note(pedal=[[0.0, 3.0]], velocity=40), replace(piano, release_noises={}, resonances={}))
    pedal = note[: RATE // 4]  # the pedal noise is a constant of 0.025
    np.testing.assert_allclose(pedal[140:-140], 0.025, rtol=1e-2)
    assert pedal[66] == pytest.approx(0.0125, rel=0.03)
    assert abs(pedal[0]) < 1e-4
    assert abs(pedal[-1]) < 1e-4


@pytest.mark.parametrize(("key", "seconds"), [(21, 0.2), (88, 0.1), (60, 0.2 - 0.1 * 39 / 67)])
def test_bass_notes_ring_longer(key: int, seconds: float):
    assert damping_seconds(key) == pytest.approx(seconds)


@pytest.mark.parametrize("key", [48, 60, 88])
def test_a_damped_note_decays_with_its_time_constant_from_key_up(key: int):
    note = np.ones(5 * RATE, np.float32)
    damped = damp(note, 1.5, key)
    start, constant = round(1.5 * RATE), damping_seconds(key)
    assert (damped[: start + 1] == 1).all()
    after = np.arange(len(damped) - start) / RATE
    np.testing.assert_allclose(damped[start:], np.exp(-after / constant), rtol=2e-4)
    assert len(damped) == start + round(12 * constant * RATE)
    assert (note == 1).all()


def test_keys_from_89_up_have_no_damper():
    note = np.ones(RATE, np.float32)
    assert damp(note, 0.1, 89) is note
    assert damp(note, 0.1, 88)[-1] < 1e-3


def test_a_note_that_has_ended_before_key_up_is_not_damped():
    note = np.ones(RATE, np.float32)
    assert damp(note, 1.0, 60) is note
    assert damp(note, 2.0, 60) is note


def test_a_note_begins_at_its_onset_and_is_damped_from_key_up(dry: Piano):
    out = play(one_note(held=1.0), dry)
    onset, release = RATE // 2, round(1.5 * RATE)
    assert len(out) == 4 * RATE
    assert (out[:onset] == 0).all()
    np.testing.assert_allclose(out[onset:release], strike(dry, 60, 100)[:RATE], atol=1e-6)
    later = out[release + 4410 : release + 8820]
    expected = strike(dry, 60, 100)[RATE + 4410 : RATE + 8820] * np.exp(
        -np.arange(4410, 8820) / RATE / damping_seconds(60)
    )
    np.testing.assert_allclose(later, expected, atol=1e-5)


def test_the_pedal_holds_a_note_until_it_comes_up(dry: Piano):
    held = play(one_note(held=0.2, pedal=[[0.6, 2.5]]), dry)
    np.testing.assert_array_equal(held, play(one_note(held=2.0), dry))


def test_a_key_struck_again_damps_its_first_stroke(dry: Piano):
    first, second = (
        one_note(held=3.0),
        replace(one_note(held=1.0), onset=np.array([1.5]), release=np.array([2.5])),
    )
    both = Score(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("onset", "release", "key", "velocity", "track")
        },
        pedal=np.zeros((0, 2)),
        beats=np.zeros(0),
    )
    expected = play(one_note(held=1.0), dry) + play(second, dry)
    np.testing.assert_allclose(play(both, dry), expected, atol=1e-6)


def test_notes_add_up(dry: Piano):
    low, high = one_note(45), one_note(63)
    both = replace(
        low,
        **{
            name: np.concatenate([getattr(low, name), getattr(high, name)])
            for name in ("onset", "release", "key", "velocity", "track")
        },
    )
    np.testing.assert_allclose(play(both, dry), play(low, dry) + play(high, dry), atol=1e-6)


@pytest.mark.parametrize("key", [20, 109])
def test_keys_that_a_piano_lacks_are_left_out(dry: Piano, key: int):
    assert not play(one_note(key), dry).any()


@pytest.mark.parametrize(("held", "velocity"), [(0.5, 20), (2.0, 44)])
def test_the_release_noise_falls_2_db_a_second_of_key_time(
    piano: Piano, dry: Piano, held: float, velocity: int
):
    with_noise = play(one_note(60, velocity, held), replace(piano, pedal_noises=()))
    noise = with_noise - play(one_note(60, velocity, held), dry)
    start = round((0.5 + held) * RATE)
    assert not noise[:start].any()
    expected = 0.5 * 10 ** ((-20 - 2 * held) / 20)
    np.testing.assert_allclose(noise[start + 200 : start + RATE // 2 - 200], expected, rtol=2e-2)


@pytest.mark.parametrize(("key", "held"), [(60, 0.5), (60, 1.5), (63, 1.0)])
def test_the_resonance_falls_6_to_9_db_a_second_of_key_time(piano: Piano, dry: Piano, key: int, held: float):
    ringing = replace(piano, pedal_noises=(), release_noises={})
    resonance = play(one_note(key, 45, held), ringing) - play(one_note(key, 45, held), dry)
    start = round((0.5 + held) * RATE)
    fall = 6 + 3 * (key - 21) / 67
    expected = 0.5 / np.sqrt(2) * 10 ** ((-10 - fall * held) / 20)
    assert rms(resonance[start + 2000 : start + RATE // 2]) == pytest.approx(expected, rel=5e-3)
    assert not resonance[:start].any()


def test_the_resonance_is_shifted_to_the_key(piano: Piano, dry: Piano):
    ringing = replace(piano, pedal_noises=(), release_noises={})
    resonance = play(one_note(61, 45, 0.5), ringing) - play(one_note(61, 45, 0.5), dry)
    expected = 440 * 2 ** ((61 - 69) / 12)
    assert 1200 * np.log2(frequency(resonance[RATE : 2 * RATE]) / expected) == pytest.approx(0, abs=1)


def test_soft_notes_leave_no_resonance(piano: Piano, dry: Piano):
    ringing = replace(piano, pedal_noises=(), release_noises={})
    np.testing.assert_array_equal(play(one_note(velocity=44), ringing), play(one_note(velocity=44), dry))


def test_undamped_keys_and_keys_without_a_noise_make_none(piano: Piano, dry: Piano):
    for key in (45, 96):
        silent = replace(piano, pedal_noises=())
        np.testing.assert_array_equal(play(one_note(key), silent), play(one_note(key), dry))


def test_the_pedal_is_heard_going_down_and_up_20_db_down(piano: Piano, dry: Piano):
    pedal = [[1.0, 2.5]]
    noise = play(one_note(pedal=pedal), replace(dry, pedal_noises=piano.pedal_noises)) - play(
        one_note(pedal=pedal), dry
    )
    for time in (1.0, 2.5):
        start = round(time * RATE)
        np.testing.assert_allclose(noise[start + 200 : start + RATE // 4 - 200], 0.025, rtol=2e-2)
    assert not noise[: RATE - 1].any()
    assert not noise[round(1.26 * RATE) : round(2.5 * RATE)].any()


def test_a_render_is_cut_at_its_end(dry: Piano):
    whole, cut = play(one_note(), dry, 4.0), play(one_note(), dry, 1.2)
    np.testing.assert_array_equal(cut, whole[: round(1.2 * RATE)])


def test_a_broken_sample_is_refused(dry: Piano, tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    broken = replace(dry, notes=(replace(dry.notes[0], path=tmp_path / "a.wav"),))
    with pytest.raises(TrainingError, match=r"a\.wav cannot be read"):
        strike(broken, 45, 30)


def test_without_a_manifest_there_is_no_piano(tmp_path: Path):
    assert load_pianos(tmp_path) == {}


def test_a_manifest_that_lacks_a_column_is_refused(tmp_path: Path):
    (tmp_path / "manifest.csv").write_text("file,piano\na.wav,tiny\n")
    with pytest.raises(TrainingError, match="lacks the column licence"):
        load_pianos(tmp_path)


def test_a_manifest_with_a_word_for_a_number_is_refused(tmp_path: Path):
    (tmp_path / "manifest.csv").write_text(",".join(COLUMNS) + "\na.wav,CC0,tiny,note,sixty,1,127,64,0,0\n")
    with pytest.raises(TrainingError, match=r"midi_note='sixty' of a\.wav is no number"):
        load_pianos(tmp_path)
