from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.data.level import RATE
from audiomend.data.recordings import Entry, Skipped, list_recordings, read_recording

HEADER = "file,source,licence,rate,bandwidth_hz"


def manifest(data: Path, folder: str, rows: list[str], header: str = HEADER) -> None:
    (data / "train" / folder).mkdir(parents=True)
    (data / "train" / folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")


def entry(path: Path) -> Entry:
    return Entry(path, path.name, "music", "somebody", "CC0", 20000.0, "train")


def sine(frequency: float, rate: int, seconds: float = 2.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_all_three_folders_are_listed_with_their_material(tmp_path: Path):
    manifest(tmp_path, "music", ["a.ogg,A,CC0 1.0,44100,17000"])
    manifest(tmp_path, "singing", ["b.ogg,B,CC BY 3.0,44100,9905"])
    manifest(
        tmp_path,
        "speech_wb16",
        ["c.opus,C,BSD,p1,16000,7900"],
        "file,source,licence,speaker,rate,bandwidth_hz",
    )
    listed = list_recordings(tmp_path)
    assert [(e.name, e.material) for e in listed] == [
        ("music/a.ogg", "music"),
        ("singing/b.ogg", "singing"),
        ("speech_wb16/c.opus", "speech"),
    ]
    assert [(e.source, e.licence) for e in listed] == [("A", "CC0 1.0"), ("B", "CC BY 3.0"), ("C", "BSD")]
    assert listed[0].path == tmp_path / "train" / "music" / "a.ogg"


@pytest.mark.parametrize(
    ("rate", "stated", "expected"),
    [
        (16000, 8000, 8000),
        (16000, 9000, 8000),
        (16000, 7400, 7400),
        (44100, 17000, 17000),
        (96000, 40000, 22050),
    ],
)
def test_the_bandwidth_is_the_stated_one_up_to_nyquist(tmp_path: Path, rate: int, stated: int, expected: int):
    manifest(tmp_path, "music", [f"a.ogg,A,CC0,{rate},{stated}"])
    assert list_recordings(tmp_path)[0].bandwidth_hz == expected


def test_withheld_recordings_and_speakers_are_for_validation(tmp_path: Path):
    manifest(tmp_path, "music", ["k_855f.ogg,A,CC0,44100,17000", "k_855p.ogg,A,CC0,44100,17000"])
    header = "file,source,licence,speaker,rate,bandwidth_hz"
    manifest(
        tmp_path, "speech_wb16", ["a.opus,C,BSD,p228,16000,8000", "b.opus,C,BSD,p227,16000,8000"], header
    )
    assert [e.split for e in list_recordings(tmp_path)] == ["validation", "train", "validation", "train"]


def test_share_alike_recordings_can_be_left_out(tmp_path: Path):
    manifest(tmp_path, "music", ["a.ogg,A,CC BY-SA 3.0,44100,17000", "b.ogg,A,CC BY 3.0,44100,17000"])
    assert len(list_recordings(tmp_path)) == 2
    assert [e.name for e in list_recordings(tmp_path, no_sharealike=True)] == ["music/b.ogg"]


def test_without_folders_nothing_is_listed(tmp_path: Path):
    assert list_recordings(tmp_path) == []


def test_a_recording_is_the_mean_of_its_channels(tmp_path: Path):
    left, right = sine(300, RATE), sine(500, RATE)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    read = read_recording(entry(tmp_path / "a.wav"))
    np.testing.assert_allclose(read[221:-221], ((left + right) / 2)[221:-221], atol=1e-6)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_recording_comes_at_44100_hz(tmp_path: Path, rate: int):
    soundfile.write(tmp_path / "a.wav", sine(1000, rate), rate, subtype="FLOAT")
    read = read_recording(entry(tmp_path / "a.wav"))
    assert len(read) == 2 * RATE
    np.testing.assert_allclose(
        read[RATE // 2 : -RATE // 2], sine(1000, RATE)[RATE // 2 : -RATE // 2], atol=1e-4
    )


def test_resampling_keeps_what_a_16_khz_file_holds_up_to_7_khz_and_adds_nothing(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", sine(7000, 16000), 16000, subtype="FLOAT")
    read = read_recording(entry(tmp_path / "a.wav"))
    spectrum = np.abs(np.fft.rfft(read[RATE // 2 : RATE // 2 + RATE] * np.hanning(RATE))) * 4 / RATE
    assert spectrum[7000] == pytest.approx(0.5, rel=1e-3)
    assert spectrum[8500:].max() < 1e-6


def test_a_recording_is_faded_at_its_ends(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.full(2 * RATE, 0.5), RATE, subtype="FLOAT")
    read = read_recording(entry(tmp_path / "a.wav"))
    assert abs(read[0]) < 1e-4
    assert abs(read[-1]) < 1e-4
    assert (read[220:-220] == 0.5).all()


def defective(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    samples = {
        "short": noise[: RATE - 1],
        "silent": np.full(RATE, 0.9e-4),
        "nan": np.where(np.arange(RATE) == 5, np.nan, noise),
        "empty": noise[:0],
    }
    if kind == "broken":
        path.write_bytes(b"RIFF no sound")
    elif kind in samples:
        soundfile.write(path, samples[kind], RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("short", "shorter than 1 s"),
        ("silent", "silent"),
        ("nan", "holds values that are not finite"),
        ("empty", "shorter than 1 s"),
        ("broken", "unreadable"),
        ("absent", "unreadable"),
    ],
)
def test_a_defective_file_is_skipped_with_its_reason(tmp_path: Path, kind: str, reason: str):
    skipped = read_recording(entry(defective(tmp_path, kind)))
    assert isinstance(skipped, Skipped)
    assert skipped.name == f"{kind}.wav"
    assert skipped.reason.startswith(reason)


def test_a_second_of_quiet_sound_is_no_defect(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 1.1e-4), RATE, subtype="FLOAT")
    assert len(read_recording(entry(tmp_path / "a.wav"))) == RATE
