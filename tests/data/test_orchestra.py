import math
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from audiomend.data.orchestra import (
    DRUM_PATTERNS,
    INSTRUMENTS,
    SOUNDFONT,
    Synth,
    drums,
    find_synth,
    folded,
    orchestrate,
    play,
    stretched,
    transposed,
)
from audiomend.data.score import Score, random_score

RATE = 44100


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def score(keys: list[int], beats: list[float] | None = None) -> Score:
    onset = np.arange(len(keys)) * 0.5
    return Score(
        onset=onset,
        release=onset + 0.4,
        key=np.array(keys, np.int64),
        velocity=np.full(len(keys), 80),
        track=np.arange(len(keys)) % 2,
        pedal=np.array([[0.0, 1.0]]),
        beats=np.array(beats or [], float),
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [(47, 59), (48, 48), (59, 59), (60, 48), (0, 48), (127, 55), (35, 59), (72, 48), (71, 59)],
)
def test_keys_fold_into_a_range_by_whole_octaves(key: int, expected: int):
    assert folded(np.array([key]), 48, 59).tolist() == [expected]


def test_every_program_belongs_to_one_family_with_a_range():
    programs = [program for family, _, _ in INSTRUMENTS for program in family]
    assert len(set(programs)) == len(programs)
    assert set(programs) <= set(range(128))
    assert all(0 <= low < high <= 127 for _, low, high in INSTRUMENTS)


def test_keys_inside_a_wide_range_stay():
    assert folded(np.arange(36, 97), 36, 96).tolist() == list(range(36, 97))


def test_transposition_moves_every_key_and_stays_in_midi():
    assert transposed(score([0, 60, 127]), 5).key.tolist() == [5, 65, 120]
    assert transposed(score([0, 60, 127]), -5).key.tolist() == [7, 55, 122]


def test_stretching_multiplies_all_times():
    slow = stretched(score([60, 62], [0, 1]), 2.0)
    assert slow.onset.tolist() == [0, 1]
    assert slow.release.tolist() == [0.8, 1.8]
    assert slow.pedal.tolist() == [[0, 2]]
    assert slow.beats.tolist() == [0, 2]


def range_of(program: int) -> tuple[int, int]:
    return next((low, high) for programs, low, high in INSTRUMENTS if program in programs)


@pytest.mark.parametrize("seed", range(30))
def test_an_orchestration_plays_every_note_once_in_range_and_in_time(seed: int):
    piece = random_score(10.0, rng(seed))
    parts = [part for part in orchestrate(piece, rng(seed)) if part[0] != 9]
    assert 1 <= len(parts) <= 4
    assert [channel for channel, _, _ in parts] == list(range(len(parts)))
    assert sorted(np.concatenate([part.onset for _, _, part in parts])) == sorted(piece.onset)
    for _, program, part in parts:
        low, high = range_of(program)
        assert low <= part.key.min() <= part.key.max() <= high
    shifts = {
        int(new - old) % 12
        for _, _, part in parts
        for on, off, new in zip(part.onset, part.release, part.key, strict=True)
        for old in piece.key[(piece.onset == on) & (piece.release == off)]
    }
    assert len(shifts) == 1
    assert shifts <= {*range(7), *range(6, 12)}


def test_orchestration_is_a_function_of_the_generator():
    piece = random_score(10.0, rng())
    first, second = orchestrate(piece, rng(7)), orchestrate(piece, rng(7))
    assert [part[:2] for part in first] == [part[:2] for part in second]
    assert all((a[2].key == b[2].key).all() for a, b in zip(first, second, strict=True))


def test_registers_are_divided_at_the_quantiles_of_the_keys():
    piece = score(list(range(40, 80)))
    for seed in range(40):
        parts = [part for _, _, part in orchestrate(piece, rng(seed))]
        if len(parts) == 2 and set(parts[0].track) == {0, 1}:
            assert [len(part.onset) for part in parts] == [20, 20]
            assert parts[0].onset.max() < parts[1].onset.min()
            return
    pytest.fail("no seed divided the registers in two")


def test_hands_can_be_divided_instead():
    piece = score(list(range(40, 80)))
    divided = [
        [set(part.track.tolist()) for _, _, part in orchestrate(piece, rng(seed))] for seed in range(60)
    ]
    assert [{0}, {1}] in divided


def test_drums_join_in_three_of_ten():
    piece = score([60, 64, 67], [0, 0.5, 1, 1.5])
    kits = [
        [program for channel, program, _ in orchestrate(piece, rng(seed)) if channel == 9]
        for seed in range(1000)
    ]
    assert np.mean([len(kit) for kit in kits]) == pytest.approx(0.3, abs=0.045)
    # of General MIDI level 2: standard, room, power, jazz, brush
    assert {program for kit in kits for program in kit} == {0, 8, 16, 32, 40}


def test_without_beats_there_are_no_drums():
    piece = score([60, 64, 67])
    assert not any(part[0] == 9 for seed in range(50) for part in orchestrate(piece, rng(seed)))


@pytest.mark.parametrize("seed", range(8))
def test_drums_follow_their_pattern_on_beats_and_half_beats(seed: int):
    beats = [0.0, 0.5, 1.1, 1.6, 2.0, 2.7, 3.0, 3.5, 4.0]
    part = drums(score([60], beats), rng(seed))
    steps = np.interp(np.arange(17) / 2, np.arange(9), beats)
    played = {
        (int(np.abs(steps - on).argmin()), key) for on, key in zip(part.onset, part.key.tolist(), strict=True)
    }
    assert min(np.abs(steps - on).min() for on in part.onset) == 0
    expected = [
        {(step, key) for step in range(17) for key, places in pattern.items() if step % 8 in places}
        for pattern in DRUM_PATTERNS
    ]
    assert played in expected
    assert ((part.velocity >= 45) & (part.velocity <= 125)).all()
    np.testing.assert_allclose(part.release - part.onset, 0.1)


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert (
        find_synth()
        == "The program fluidsynth is not installed, so there are no rendered instruments but the piano."
    )
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/fluidsynth")
    absent = tmp_path / "a.sf2"
    assert (
        find_synth(absent)
        == f"The soundfont {absent} is missing, so there are no rendered instruments but the piano."
    )
    absent.touch()
    assert find_synth(absent) == Synth("/bin/fluidsynth", absent)


def fake_synth(folder: Path, body: str) -> Synth:
    program = folder / "fluidsynth"
    program.write_text(f"#!{sys.executable}\nimport sys, numpy, soundfile\na = sys.argv\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Synth(str(program), folder / "font.sf2")


def test_a_render_is_the_mean_of_both_channels_beyond_full_scale(tmp_path: Path):
    body = "soundfile.write(a[a.index('-F') + 1], numpy.array([[2.0, 1.0]] * 9), 44100, subtype='FLOAT')"
    np.testing.assert_array_equal(
        play(fake_synth(tmp_path, body), [(0, 40, score([60]))], True, False), [1.5] * 9
    )


def test_the_program_is_told_rate_format_effects_font_and_notes(tmp_path: Path):
    log = tmp_path / "log"
    body = f"open({str(log)!r}, 'w').write(' '.join(a[1:]) + str(open(a[-1], 'rb').read(4)))\n"
    body += "soundfile.write(a[a.index('-F') + 1], numpy.zeros((9, 2)), 44100)"
    play(fake_synth(tmp_path, body), [(0, 40, score([60]))], True, False)
    told = log.read_text()
    for words in ("-ni", "-R 1", "-C 0", "-r 44100", "-O float", "font.sf2", "b'MThd'"):
        assert words in told


def test_a_program_that_fails_raises(tmp_path: Path):
    with pytest.raises(OSError, match=r"[Nn]o such"):
        play(Synth(str(tmp_path / "absent"), tmp_path / "font.sf2"), [(0, 40, score([60]))], False, False)


@pytest.mark.skipif(isinstance(find_synth(), str), reason="fluidsynth or its soundfont is not installed")
def test_the_real_program_plays_the_right_pitch():
    synth = find_synth(SOUNDFONT)
    assert isinstance(synth, Synth)
    held = score([69])
    x = play(synth, [(0, 73, stretched(held, 5.0))], False, False)  # a flute, 2 s of A4
    spectrum = np.abs(np.fft.rfft(x[RATE // 2 : RATE // 2 + RATE] * np.hanning(RATE)))
    assert 1200 * math.log2(spectrum[100:1000].argmax() + 100) == pytest.approx(1200 * math.log2(440), abs=15)
