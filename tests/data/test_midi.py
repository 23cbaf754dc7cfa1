from pathlib import Path

import mido
import numpy as np
import pytest

from audiomend.data.midi import read_midi, write_midi
from audiomend.data.score import Score
from audiomend.errors import TrainingError


def save(path: Path, tracks: list[list[mido.Message | mido.MetaMessage]], ticks_per_beat: int = 100) -> Path:
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    file.save(path)
    return path


def on(key: int, velocity: int, time: int, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=key, velocity=velocity, time=time, channel=channel)


def off(key: int, time: int) -> mido.Message:
    return mido.Message("note_off", note=key, velocity=64, time=time)


def pedal(value: int, time: int, channel: int = 0) -> mido.Message:
    return mido.Message("control_change", control=64, value=value, time=time, channel=channel)


def tempo(microseconds: int, time: int) -> mido.MetaMessage:
    return mido.MetaMessage("set_tempo", tempo=microseconds, time=time)


def test_times_follow_the_default_tempo_of_120(tmp_path: Path):
    read = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 100), off(60, 50)]]))
    assert read.onset.tolist() == [0.5]
    assert read.release.tolist() == [0.75]
    assert (read.key[0], read.velocity[0], read.track[0]) == (60, 80, 0)


def test_times_follow_tempo_changes_of_another_track(tmp_path: Path):
    changes = [tempo(1_000_000, 0), tempo(250_000, 200), tempo(2_000_000, 100)]
    notes = [on(60, 80, 50), off(60, 150), on(61, 81, 50), off(61, 100)]
    read = read_midi(save(tmp_path / "a.mid", [changes, notes]))
    np.testing.assert_allclose(read.onset, [0.5, 2.125])
    np.testing.assert_allclose(read.release, [2.0, 2.25 + 0.5 * 2])
    assert read.track.tolist() == [1, 1]
    np.testing.assert_allclose(read.beats, [0, 1, 2, 2.25])


@pytest.mark.parametrize(("end", "beats"), [(199, [0, 0.5]), (200, [0, 0.5, 1])])
def test_beats_end_with_the_last_event(tmp_path: Path, end: int, beats: list[float]):
    read = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 0), off(60, end)]]))
    assert read.beats.tolist() == beats


def test_velocity_zero_is_key_up(tmp_path: Path):
    read = read_midi(
        save(tmp_path / "a.mid", [[on(60, 80, 0), on(60, 0, 100), on(60, 70, 100), off(60, 100)]])
    )
    assert read.onset.tolist() == [0, 1.0]
    assert read.release.tolist() == [0.5, 1.5]
    assert read.velocity.tolist() == [80, 70]


def test_a_key_struck_again_ends_the_first_stroke(tmp_path: Path):
    read = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 0), on(60, 70, 100), off(60, 100)]]))
    assert read.release.tolist() == [0.5, 1.0]


def test_a_key_that_never_comes_up_ends_with_the_piece(tmp_path: Path):
    read = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 0), on(64, 80, 0), off(64, 300)]]))
    assert read.release.tolist() == [1.5, 1.5]


def test_notes_are_sorted_by_onset(tmp_path: Path):
    tracks = [[on(60, 80, 200), off(60, 10)], [on(40, 70, 100), off(40, 300)]]
    read = read_midi(save(tmp_path / "a.mid", tracks))
    assert read.key.tolist() == [40, 60]
    assert read.track.tolist() == [1, 0]


def test_the_pedal_is_down_from_64_on(tmp_path: Path):
    track = [pedal(63, 0), pedal(64, 100), pedal(127, 50), pedal(63, 50), pedal(90, 100), off(0, 100)]
    read = read_midi(save(tmp_path / "a.mid", [track]))
    assert read.pedal.tolist() == [[0.5, 1.0], [1.5, 2.0]]


def test_the_pedal_is_down_while_any_channel_holds_it(tmp_path: Path):
    tracks = [[pedal(127, 0), pedal(0, 200)], [pedal(127, 100, 1), pedal(0, 300, 1)]]
    assert read_midi(save(tmp_path / "a.mid", tracks)).pedal.tolist() == [[0.0, 2.0]]


def test_other_controllers_are_no_pedal(tmp_path: Path):
    soft = mido.Message("control_change", control=67, value=127, time=0)
    assert read_midi(save(tmp_path / "a.mid", [[soft, off(0, 100)]])).pedal.shape == (0, 2)


def test_what_is_written_is_read_again(tmp_path: Path):
    score = Score(
        onset=np.array([0.25, 0.5, 0.5]),
        release=np.array([1.0, 0.75, 2.0]),
        key=np.array([60, 64, 30]),
        velocity=np.array([1, 127, 64]),
        track=np.zeros(3, np.int64),
        pedal=np.array([[0.1, 1.5]]),
        beats=np.array([0.0]),
    )
    write_midi(tmp_path / "a.mid", [(3, 41, score)])
    read = read_midi(tmp_path / "a.mid")
    for field in ("onset", "release", "key", "velocity"):
        np.testing.assert_allclose(getattr(read, field), getattr(score, field), atol=0.3e-3)
    np.testing.assert_allclose(read.pedal, score.pedal, atol=0.3e-3)


def test_parts_carry_their_channel_and_program(tmp_path: Path):
    score = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 0), off(60, 100)]]))
    write_midi(tmp_path / "b.mid", [(3, 41, score), (9, 8, score)])
    tracks = mido.MidiFile(tmp_path / "b.mid").tracks
    assert [(t[0].type, t[0].channel, t[0].program) for t in tracks] == [
        ("program_change", 3, 41),
        ("program_change", 9, 8),
    ]
    assert [t[1].channel for t in tracks] == [3, 9]


def test_a_repeated_key_comes_up_before_it_goes_down(tmp_path: Path):
    twice = read_midi(save(tmp_path / "a.mid", [[on(60, 80, 0), off(60, 100), on(60, 70, 0), off(60, 100)]]))
    write_midi(tmp_path / "b.mid", [(0, 0, twice)])
    read = read_midi(tmp_path / "b.mid")
    np.testing.assert_allclose(read.release - read.onset, [0.5, 0.5], atol=1e-3)


@pytest.mark.parametrize("content", [b"", b"no midi at all", b"MThd\x00\x00\x00\x06\x00\x01"])
def test_a_file_that_is_no_midi_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(TrainingError, match=r"a\.mid is no readable MIDI file"):
        read_midi(tmp_path / "a.mid")


def test_an_endless_file_is_refused_before_anything_is_allocated(tmp_path: Path):
    endless = save(tmp_path / "a.mid", [[on(60, 80, 0), off(60, 100_001)]], ticks_per_beat=1)
    with pytest.raises(TrainingError, match="100001 beats long; 100000 are allowed"):
        read_midi(endless)


@pytest.mark.parametrize("division", [b"\xe7\x28", b"\x00\x00"])  # 25 frames a second of 40 ticks; no ticks
def test_a_file_without_ticks_a_beat_is_refused(tmp_path: Path, division: bytes):
    path = save(tmp_path / "a.mid", [[on(60, 80, 0), off(60, 100)]])
    content = bytearray(path.read_bytes())
    content[12:14] = division
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="ticks a beat; it needs 1 or more"):
        read_midi(path)


def test_a_file_without_events_is_an_empty_score(tmp_path: Path):
    read = read_midi(save(tmp_path / "a.mid", [[]]))
    assert len(read.onset) == 0
    assert read.seconds == 0
