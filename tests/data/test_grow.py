import csv
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from audiomend.data import grow as grow_module
from audiomend.data.grow import (
    Growth,
    Piece,
    Studio,
    choose_notes,
    choose_piece,
    grow,
    list_pieces,
    open_studio,
    render_instruments,
    render_name,
    render_piano,
)
from audiomend.data.level import RATE, active_rms
from audiomend.data.orchestra import Synth
from audiomend.data.piano import COLUMNS
from audiomend.data.pool import Item, Origin, Pool, read_index, write_shard
from audiomend.data.score import Score
from audiomend.data.split import WITHHELD_PIECES
from audiomend.errors import TrainingError

WITHHELD = next(iter(WITHHELD_PIECES))
HOURS = {"piano": 0.02, "instruments": 0.02}


def tone(frequency: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write_manifest(folder: Path, rows: list[dict[str, object]]) -> None:
    columns = sorted({key for row in rows for key in row})
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_midi(path: Path, seconds: float, shift: int = 0) -> None:
    file = mido.MidiFile(ticks_per_beat=100)
    track = mido.MidiTrack()
    for i in range(round(seconds)):
        track.append(mido.Message("note_on", note=58 + (i + shift) % 5, velocity=80, time=0))
        track.append(mido.Message("note_off", note=58 + (i + shift) % 5, velocity=0, time=200))
    file.tracks.append(track)
    file.save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings and a broken one, two speakers, one piano of one sample, three pieces, one withheld."""
    root = tmp_path_factory.mktemp("data")
    for name in ("music", "speech_wb16", "piano_samples", "piano_midi"):
        (root / "train" / name).mkdir(parents=True)
    music = root / "train" / "music"
    facts = {"source": "somebody", "licence": "CC0", "rate": RATE, "bandwidth_hz": 17000}
    soundfile.write(music / "a.wav", tone(300, 4), RATE)
    soundfile.write(music / "trow.wav", tone(400, 4), RATE)
    (music / "broken.wav").write_bytes(b"nothing")
    shared = {"file": "trow.wav", **facts, "licence": "CC BY-SA 3.0"}
    write_manifest(music, [{"file": "a.wav", **facts}, shared, {"file": "broken.wav", **facts}])
    speech = root / "train" / "speech_wb16"
    for speaker in ("p227", "p228"):
        soundfile.write(speech / f"{speaker}.wav", tone(200, 3, 16000), 16000)
    spoken = {**facts, "rate": 16000, "bandwidth_hz": 8000}
    write_manifest(speech, [{"file": f"{s}.wav", "speaker": s, **spoken} for s in ("p227", "p228")])
    samples = root / "train" / "piano_samples"
    soundfile.write(samples / "n.wav", tone(261.6, 3), RATE)
    note = {**dict.fromkeys(COLUMNS, ""), "file": "n.wav", "licence": "CC BY 3.0", "piano": "salamander"}
    write_manifest(samples, [{**note, "kind": "note", "midi_note": 60}])
    midi = root / "train" / "piano_midi"
    pieces = ("one", "two", WITHHELD)
    for i, name in enumerate(pieces):
        write_midi(midi / f"{name}.mid", 70 if i == 0 else 30, i)
    about = {"source": "a collection", "licence": "CC BY-SA 3.0 DE", "composer": "Anon", "title": "Piece"}
    write_manifest(midi, [{"file": f"{name}.mid", **about} for name in pieces])
    return root


@pytest.fixture(autouse=True)
def no_synth(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grow_module, "find_synth", lambda: "No synthesiser here.")


@pytest.fixture
def synth(monkeypatch: pytest.MonkeyPatch) -> Synth:
    """Plays noise of the score's length instead of running the program."""

    def play(_, parts, reverb, chorus) -> np.ndarray:
        seconds = max(part.seconds for _, _, part in parts)
        return (0.01 * np.random.default_rng(0).standard_normal(round((seconds + 1) * RATE))).astype(
            np.float32
        )

    found = Synth("fluidsynth", Path("font.sf2"))
    monkeypatch.setattr(grow_module, "find_synth", lambda: found)
    monkeypatch.setattr(grow_module, "play", play)
    return found


def ignore(_: str) -> None:
    pass


def studio(data: Path, **changes: bool) -> Studio:
    return open_studio(data, 3, changes.get("no_sharealike", False), Growth())


def stored(pool: Path) -> list[Item]:
    return [item for index in sorted(pool.glob("shard-*.json")) for item in read_index(index)]


@pytest.fixture(scope="module")
def grown(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Growth, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grow_module, "find_synth", lambda: "No synthesiser here.")
        folder, told = tmp_path_factory.mktemp("pool"), []
        return folder, grow(folder, data, HOURS, tell=told.append), told


def test_recordings_come_first_and_the_broken_one_is_listed(grown: tuple[Path, Growth, list[str]]):
    pool, growth, told = grown
    names = [item.name for item in stored(pool)]
    assert names[:4] == ["music/a.wav", "music/trow.wav", "speech_wb16/p227.wav", "speech_wb16/p228.wav"]
    assert all(name.startswith("piano/") for name in names[4:])
    assert [skip.name for skip in growth.skipped] == ["music/broken.wav"]
    lines = [line for line in told if line.startswith("skipped music/broken.wav: unreadable")]
    assert len(lines) == 1
    shards = [index for index, line in enumerate(told) if line.startswith("shard-")]
    assert told.index(lines[0]) == shards[0] + 1  # with the first shard, not at the end of the growth


def test_what_is_missing_is_told_and_returned(grown: tuple[Path, Growth, list[str]]):
    assert "No synthesiser here." in grown[1].notes
    assert "No synthesiser here." in grown[2]


def test_piano_grows_until_its_hours_are_reached(grown: tuple[Path, Growth, list[str]]):
    pool, growth, _ = grown
    lengths = [item.length / RATE for item in stored(pool) if item.material == "piano"]
    assert growth.seconds["piano"] == pytest.approx(sum(lengths))
    assert sum(lengths) >= 72 > sum(lengths[:-1])


def test_no_withheld_material_reaches_training(data: Path, tmp_path: Path, synth: Synth):
    grow(tmp_path, data, {"piano": 0.3, "instruments": 0.3}, tell=ignore)
    for item in stored(tmp_path):
        withheld = "/validation/" in item.name or item.name in ("music/trow.wav", "speech_wb16/p228.wav")
        assert item.split == ("validation" if withheld else "train")
    held = {
        material: len([i for i in stored(tmp_path) if i.name.startswith(f"{material}/")])
        for material in HOURS
    }
    assert min(held.values()) > 15


def test_validation_renders_come_before_training_ones(data: Path, tmp_path: Path, synth: Synth):
    grow(tmp_path, data, {"piano": 0.2, "instruments": 0.2}, tell=ignore)
    names = [item.name for item in stored(tmp_path)][4:]
    assert names[:3] == ["piano/validation/00000", "instruments/validation/00000", "piano/validation/00001"]
    splits = [name.split("/")[1] for name in names]
    assert splits == sorted(splits, reverse=True)
    assert splits.count("validation") == 20


def test_validation_plays_withheld_pieces_and_training_the_others(data: Path):
    for number in range(6):
        assert choose_piece(studio(data), "validation", number).path.stem == WITHHELD
        assert choose_piece(studio(data), "train", number).path.stem in ("one", "two")


def test_every_piece_comes_once_a_turn(data: Path):
    for turn in range(4):
        names = {choose_piece(studio(data), "train", 2 * turn + place).path.stem for place in range(2)}
        assert names == {"one", "two"}


def test_a_render_is_a_function_of_seed_split_and_number(data: Path):
    first, second = render_piano(studio(data), "train", 5), render_piano(studio(data), "train", 5)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert len({render_piano(studio(data), "train", number)[1].tobytes() for number in range(6)}) >= 4


def test_a_piano_render_states_its_origin(data: Path):
    origin, signal = render_piano(studio(data), "validation", 2)
    assert origin.name == render_name("piano", "validation", 2) == "piano/validation/00002"
    assert (origin.material, origin.split, origin.bandwidth_hz) == ("piano", "validation", 17000)
    assert origin.licence == "CC BY-SA 3.0 DE (notes), CC BY 3.0 (samples)"
    assert origin.source == "Anon, Piece; a collection; salamander piano"
    assert active_rms(signal) > 1e-3


def test_an_instrument_render_states_its_origin(data: Path, synth: Synth):
    origin, _ = render_instruments(studio(data), synth, "train", 1)
    assert (origin.name, origin.material, origin.split) == ("instruments/train/00001", "instruments", "train")
    assert origin.licence == "CC BY-SA 3.0 DE (notes), MIT (FluidR3 GM soundfont)"
    assert origin.bandwidth_hz == 20000
    assert "FluidR3 programs" in origin.source


def test_the_bandwidth_of_instruments_is_measured(data: Path, synth: Synth, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grow_module, "play", lambda *_: tone(5000, 30).astype(np.float32))
    assert render_instruments(studio(data), synth, "train", 1)[0].bandwidth_hz == pytest.approx(5370, abs=60)


def test_instruments_play_from_a_quarter_faster_to_a_third_slower(
    data: Path, synth: Synth, monkeypatch: pytest.MonkeyPatch
):
    tempos: list[float] = []

    def noted(score: Score, tempo: float) -> Score:
        tempos.append(tempo)
        return score

    monkeypatch.setattr(grow_module, "stretched", noted)
    monkeypatch.setattr(grow_module, "play", lambda *_: tone(5000, 30).astype(np.float32))
    monkeypatch.setattr(grow_module, "bandwidth", lambda *_: 5000.0)
    for number in range(300):
        render_instruments(studio(data), synth, "train", number)
    assert 0.77 <= min(tempos) < 0.78
    assert 1.32 < max(tempos) <= 1.33


def test_instruments_begin_where_the_stretched_notes_have_rung_in(
    data: Path, synth: Synth, monkeypatch: pytest.MonkeyPatch
):
    tempos: list[float] = []

    def noted(score: Score, tempo: float) -> Score:
        tempos.append(tempo)
        return score

    sound = tone(5000, 20).astype(np.float32)
    sound[-1] = 0.5  # no silent tail
    monkeypatch.setattr(grow_module, "stretched", noted)
    monkeypatch.setattr(grow_module, "play", lambda *_: sound)
    for number in range(3):
        signal = render_instruments(studio(data), synth, "train", number)[1]
        assert len(signal) == len(sound) - round(8 * tempos[-1] * RATE)


def test_a_silent_tail_is_cut(data: Path, synth: Synth, monkeypatch: pytest.MonkeyPatch):
    sound = np.concatenate([np.full(20 * RATE, 0.5), np.full(RATE, 0.51e-4), np.full(RATE, 0.49e-4)])
    monkeypatch.setattr(grow_module, "play", lambda *_: sound.astype(np.float32))
    monkeypatch.setattr(grow_module, "LEAD_SECONDS", 0.0)
    assert len(render_instruments(studio(data), synth, "train", 1)[1]) == 21 * RATE


def test_notes_are_up_to_60_s_of_the_piece_after_8_s_that_ring_in(data: Path):
    piece = choose_piece(studio(data), "train", 0)
    one = Piece(data / "train" / "piano_midi" / "one.mid", "", "", "train")
    two = Piece(data / "train" / "piano_midi" / "two.mid", "", "", "train")
    assert piece.path in (one.path, two.path)
    starts: list[float] = []
    for seed in range(20):
        score = choose_notes(one, np.random.default_rng(seed))  # 70 notes of a second, one a second
        assert 59 <= score.onset.max() < 68
        starts.append(70 - (score.onset.max() + 1 - 8))
        assert choose_notes(two, np.random.default_rng(seed)).onset[0] == 8
    assert max(starts) > 8


def test_a_piano_render_lasts_60_s_or_until_its_notes_end(data: Path):
    lengths = {round(len(render_piano(studio(data), "train", n)[1]) / RATE) for n in range(2)}
    assert lengths == {60, 31}


def test_a_pool_is_continued_without_repeats(data: Path, tmp_path: Path):
    grow(tmp_path, data, {"piano": 0.01}, tell=ignore)
    before = [item.name for item in stored(tmp_path)]
    again = grow(tmp_path, data, {"piano": 0.02}, tell=ignore)
    names = [item.name for item in stored(tmp_path)]
    assert names[: len(before)] == before
    assert len(names) == len(set(names)) > len(before)
    assert again.names == set(names)


def test_a_continued_pool_equals_one_that_grew_at_once(data: Path, tmp_path: Path, grown):
    grow(tmp_path, data, {"piano": 0.01}, tell=ignore)
    grow(tmp_path, data, HOURS, tell=ignore)
    whole, pieced = Pool(grown[0], split="validation"), Pool(tmp_path, split="validation")
    names = {item.name for item in whole.items()}
    assert {item.name for item in pieced.items()} == names
    for name in names:
        np.testing.assert_array_equal(whole.signal(name), pieced.signal(name))


def test_share_alike_material_can_be_left_out(data: Path, tmp_path: Path):
    grow(tmp_path, data, {"piano": 0.5}, no_sharealike=True, tell=ignore)
    items = stored(tmp_path)
    assert not any("SA" in item.licence for item in items)
    assert "music/trow.wav" not in {item.name for item in items}


def test_without_pieces_notes_are_made_at_random(data: Path, tmp_path: Path):
    assert [piece.split for piece in list_pieces(tmp_path, False)] == ["train", "validation"]
    pieces = list_pieces(data, no_sharealike=True)
    assert [(piece.path, piece.licence) for piece in pieces] == [(None, "CC0 1.0")] * 2
    score = choose_notes(pieces[0], np.random.default_rng(0))
    assert 60 < score.onset.max() < 68


def test_the_pool_stops_at_its_limit(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grow_module, "SHARD_SECONDS", 5.0)
    growth = grow(tmp_path, data, {"piano": 1.0}, max_bytes=1e6, tell=ignore)
    assert growth.notes[-1] == "The pool stopped at its limit of 0.001 GB."
    assert 1e6 < sum(path.stat().st_size for path in tmp_path.iterdir()) < 2e6


def test_a_shard_is_written_at_its_length(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grow_module, "SHARD_SECONDS", 7.5)
    grow(tmp_path, data, {}, tell=ignore)  # recordings of 4, 4, 3 and 3 s
    assert [len(read_index(index)) for index in sorted(tmp_path.glob("*.json"))] == [2, 2]


def test_a_shard_is_written_early_where_work_is_slow(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(grow_module, "FLUSH_SECONDS", -1.0)
    grow(tmp_path, data, {}, tell=ignore)
    assert [len(read_index(index)) for index in sorted(tmp_path.glob("*.json"))] == [1, 1, 1, 1]


def test_a_material_that_always_fails_is_given_up(data: Path, tmp_path: Path, synth: Synth, monkeypatch):
    monkeypatch.setattr(grow_module, "play", lambda *_: np.zeros(20 * RATE, np.float32))
    growth = grow(tmp_path, data, HOURS, tell=ignore)
    failed = [skip for skip in growth.skipped if skip.name.startswith("instruments/")]
    assert len(failed) == 10
    assert failed[0].reason == "shorter than 1 s or silent"
    assert growth.seconds["piano"] >= 72


def test_a_folder_without_any_audio_is_refused(tmp_path: Path):
    with pytest.raises(TrainingError, match="holds no training audio; it needs train/music"):
        grow(tmp_path / "pool", tmp_path / "absent", HOURS, tell=ignore)


def test_a_pool_whose_data_are_gone_is_left_as_it_is(tmp_path: Path):
    write_shard(tmp_path, [(Origin("a", "music", "", "CC0", 1.0, "train"), tone(300, 2).astype(np.float32))])
    growth = grow(tmp_path, tmp_path / "absent", HOURS, tell=ignore)
    assert growth.names == {"a"}
    assert growth.seconds == {"music": 2.0}


def test_the_command_makes_12_hours_of_piano_and_10_of_instruments(monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []
    monkeypatch.setattr(grow_module.os, "nice", lambda _: 19)
    monkeypatch.setattr(grow_module, "grow", lambda *arguments, tell: asked.extend(arguments))
    monkeypatch.setattr(sys, "argv", ["grow", "pool", "data"])
    grow_module.main()
    assert asked == [Path("pool"), Path("data"), {"piano": 12.0, "instruments": 10.0}, 0, False]


def test_the_command_grows_a_pool(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(grow_module.os, "nice", lambda _: 19)
    command = ["grow", str(tmp_path), str(data), "--piano-hours", "0", "--no-sharealike"]
    monkeypatch.setattr(sys, "argv", command)
    grow_module.main()
    assert {item.name for item in stored(tmp_path)} == {
        "music/a.wav",
        "speech_wb16/p227.wav",
        "speech_wb16/p228.wav",
    }
    assert "shard-00000: music 0.1 min, speech 0.1 min" in capsys.readouterr().out
