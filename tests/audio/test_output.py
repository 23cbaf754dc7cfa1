"""Outputs are checked before work begins, and appear only when whole."""

import contextlib
import io
import os
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio import atomic
from audiomend.audio.atomic import PartFile, RawFile
from audiomend.audio.file import Sound, open_sound
from audiomend.audio.formats import Format
from audiomend.audio.output import SoundWriter, check_output, check_residue, for_length
from audiomend.errors import AudioWriteError, UsageError


@pytest.fixture
def sound(write):
    with open_sound(write()) as opened:
        yield opened


def refused(sound: Sound, path: str | Path, *, error: type = UsageError, **options) -> str:
    with pytest.raises(error) as caught:
        check_output(path, sound, **{"force": False, **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checked_output_is_not_there_yet(sound, tmp_path):
    target = check_output(tmp_path / "out.wav", sound, force=False)
    assert (target.path, target.name) == (tmp_path / "out.wav", str(tmp_path / "out.wav"))
    assert target.format == sound.format
    assert os.listdir(tmp_path) == ["in.wav"]


def test_the_input_itself(sound):
    assert refused(sound, sound.path) == (
        f"{sound.path} is the input itself; give another OUT, or --force to replace it"
    )


def test_another_name_of_the_input(sound, tmp_path):
    os.link(sound.path, tmp_path / "hard.wav")
    os.symlink(sound.path, tmp_path / "soft.wav")
    assert "is the input itself" in refused(sound, tmp_path / "hard.wav")
    assert "is the input itself" in refused(sound, tmp_path / "soft.wav")
    assert "is the input itself" in refused(sound, tmp_path / "." / ".." / tmp_path.name / "in.wav")


def test_a_name_that_is_taken(sound, write):
    other = write("other.wav")
    assert refused(sound, other) == f"{other} exists; --force replaces it"
    assert check_output(other, sound, force=True).path == other
    assert check_output(sound.path, sound, force=True).path == sound.path


def test_folders_pipes_and_devices(sound, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    assert "is a folder; the name of a file is needed" in refused(sound, tmp_path / "folder.wav")
    assert "is a pipe or a device; use '-'" in refused(sound, tmp_path / "pipe.wav", force=True)


def test_unknown_ends_of_names(sound, tmp_path):
    assert "an output cannot end in '.m4a'; it can end in .wav" in refused(sound, tmp_path / "out.m4a")


def test_missing_folder(sound, tmp_path):
    path = tmp_path / "none" / "out.wav"
    message = refused(sound, path, error=AudioWriteError)
    assert message == f"{path} cannot be written: the folder does not exist"


def test_impossible_names(sound, tmp_path):
    assert "cannot be written" in refused(sound, tmp_path / "a\0b.wav", error=AudioWriteError)
    assert "cannot be written" in refused(sound, tmp_path / ("x" * 300 + ".wav"), error=AudioWriteError)


class FaultyOs:
    """The module os, with one function that fails."""

    def __init__(self, name: str, error: OSError) -> None:
        def fails(*_, **__):
            raise error

        setattr(self, name, fails)

    def __getattr__(self, name: str):
        return getattr(os, name)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (13, "permission denied"),
        (30, "the disk is read-only"),
        (28, "the disk is full"),
        (122, "the disk quota is used up"),
    ],
)
def test_folders_that_take_no_file(sound, tmp_path, monkeypatch, number, reason):
    monkeypatch.setattr(atomic, "os", FaultyOs("open", OSError(number, os.strerror(number))))
    path = tmp_path / "out.wav"
    assert refused(sound, path, error=AudioWriteError) == f"{path} cannot be written: {reason}"


@pytest.mark.parametrize(
    ("name", "channels", "rate", "subtype"),
    [("out.flac", 9, 44_100, "PCM_16"), ("out.opus", 1, 44_100, "PCM_16"), ("out.mp3", 7, 44_100, "PCM_16")],
)
def test_what_a_format_cannot_hold(write, tmp_path, name, channels, rate, subtype):
    with open_sound(write(samples=np.zeros((10, channels)), rate=rate, subtype=subtype)) as sound:
        message = refused(sound, tmp_path / name)
    assert f"{name} cannot hold {channels} channels at {rate:,} Hz as " in message
    assert message.endswith("an OUT that ends in .wav can")


def test_floats_are_asked_for_in_time(sound, tmp_path):
    message = refused(sound, tmp_path / "out.flac", clip_mode="float")
    assert message.endswith("out.flac cannot hold floats; --clip-mode float needs an OUT ending in .wav")
    assert check_output(tmp_path / "out.aiff", sound, force=False, clip_mode="float")


def test_the_residue_needs_a_name_of_its_own(sound, tmp_path):
    output = check_output(tmp_path / "out.wav", sound, force=True)

    def residue(path, *, force=True):
        with pytest.raises(UsageError) as caught:
            check_residue(path, sound, output, force=force)
        return str(caught.value)

    assert "is the output itself" in residue(tmp_path / "out.wav")
    assert "is the output itself" in residue(tmp_path / "." / "out.wav")
    assert "is the input itself" in residue(sound.path, force=False)
    assert "cannot go to a pipe" in residue("-")
    assert "cannot hold the residue, which is float" in residue(tmp_path / "out.flac")
    assert "cannot end in '.xyz'" in residue(tmp_path / "out.xyz")


def test_residue_beside_standard_output(sound, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=io.BytesIO()))
    output = check_output("-", sound, force=False)
    assert check_residue(tmp_path / "residue.wav", sound, output, force=False).format.subtype == "DOUBLE"


def test_standard_output_is_no_terminal(sound, monkeypatch):
    terminal = io.BytesIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=terminal))
    assert refused(sound, "-") == "standard output is a terminal; give the name of a file or a pipe"


def test_standard_output_is_wav(write, monkeypatch):
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=io.BytesIO()))
    with open_sound(write("in.flac", container="FLAC", subtype="PCM_24")) as sound:
        target = check_output("-", sound, force=False)
    assert (target.format.container, target.format.subtype) == ("WAV", "PCM_24")


def test_a_misnamed_input_does_not_misname_the_output(write, tmp_path):
    with open_sound(write("in.wav", container="FLAC")) as sound:
        assert check_output(tmp_path / "out.wav", sound, force=False).format.container == "WAV"


# --- Sizes


@pytest.mark.parametrize(
    ("container", "subtype", "frames", "expected"),
    [
        ("WAV", "PCM_16", 2**30 - 2**11, "WAV"),
        ("WAV", "PCM_16", 2**30 - 1, "RF64"),
        ("WAVEX", "PCM_24", 2**32 // 6, "RF64"),
        ("WAV", "DOUBLE", 2**28 - 2**10, "WAV"),
        ("WAV", "DOUBLE", 2**28, "RF64"),
        ("WAV", "ULAW", 2**31, "RF64"),
        ("W64", "PCM_16", 2**31, "W64"),
        ("CAF", "PCM_16", 2**31, "CAF"),
        ("FLAC", "PCM_16", 2**31, "FLAC"),
        ("RF64", "PCM_16", 2**31, "RF64"),
        ("AIFF", "PCM_16", 2**30 - 2**11, "AIFF"),
    ],
)
def test_more_than_4_gib_of_wav_is_rf64(sound, container, subtype, frames, expected):
    chosen = for_length(Format(container, subtype), "out", sound, frames)  # two channels
    assert (chosen.container, chosen.subtype) == (expected, subtype)


@pytest.mark.parametrize("chosen", [Format("AIFF", "PCM_16"), Format("WAV", "IMA_ADPCM")])
def test_what_cannot_be_so_long(sound, chosen):
    with pytest.raises(UsageError, match=r"an OUT that ends in \.w64 or \.caf can be larger"):
        for_length(chosen, "out", sound, 2**33)


def test_kept_chunks_count(write):
    path = write()
    with path.open("ab") as file:
        file.write(struct.pack("<4sI", b"bext", 5000) + bytes(5000))
    with open_sound(path) as sound:
        frames = (2**32 - 1 - 4096) // 4
        assert for_length(sound.format, "out", sound, frames).container == "RF64"
        assert for_length(sound.format, "out", sound, frames - 1255).container == "WAV"


# --- A name only when whole


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_name_comes_with_commit(tmp_path):
    path = tmp_path / "out"
    with PartFile(path, force=False) as part:
        part.file.write(b"whole")
        assert not path.exists()
        part.commit()
        assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["out"]


def test_without_commit_nothing_is_left(tmp_path):
    with PartFile(tmp_path / "out", force=False) as part:
        part.file.write(b"half")
    assert names(tmp_path) == []


def test_an_interrupt_leaves_what_was_there(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    with contextlib.suppress(KeyboardInterrupt), PartFile(tmp_path / "out", force=True) as part:
        part.file.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("links_work", [True, False])
def test_a_file_that_appeared_meanwhile_is_not_touched(tmp_path, monkeypatch, links_work):
    if not links_work:
        monkeypatch.setattr(atomic, "os", FaultyOs("link", OSError(95, "not supported")))
    path = tmp_path / "out"
    with PartFile(path, force=False) as part:
        part.file.write(b"new")
        path.write_bytes(b"other")
        with pytest.raises(UsageError, match="out exists; --force replaces it"):
            part.commit()
    assert path.read_bytes() == b"other"
    assert names(tmp_path) == ["out"]


def test_a_file_system_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "os", FaultyOs("link", OSError(95, "not supported")))
    with PartFile(tmp_path / "out", force=False) as part:
        part.file.write(b"new")
        part.commit()
    assert (tmp_path / "out").read_bytes() == b"new"
    assert names(tmp_path) == ["out"]


def test_force_replaces(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    with PartFile(tmp_path / "out", force=True) as part:
        part.file.write(b"new")
        part.commit()
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with PartFile(tmp_path / "link", force=True) as part:
        part.file.write(b"new")
        part.commit()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_commit_leaves_nothing(tmp_path, monkeypatch, step):
    monkeypatch.setattr(atomic, "os", FaultyOs(step, OSError(5, "Input/output error")))
    path = tmp_path / "out"
    with (
        pytest.raises(AudioWriteError, match="the disk reports an error"),
        PartFile(path, force=True) as part,
    ):
        part.commit()
    assert names(tmp_path) == []


def test_part_files_can_go_before_the_end_of_their_blocks(tmp_path):
    with PartFile(tmp_path / "done", force=False) as part:
        part.commit()
    with PartFile(tmp_path / "one", force=False), PartFile(tmp_path / "two", force=False) as part:
        atomic.remove_parts()
        assert names(tmp_path) == ["done"]
        with pytest.raises(AudioWriteError):
            part.commit()
    assert names(tmp_path) == ["done"]


def test_part_files_in_use_stay_and_abandoned_ones_go(tmp_path):
    path = tmp_path / "out"
    with PartFile(path, force=False) as part:
        (in_use,) = names(tmp_path)
        (tmp_path / (in_use[:-13] + "00000000.part")).touch()
        (tmp_path / ".audiomend-0123456789abcdef-00000000.part").touch()  # of another output
        with PartFile(path, force=False):
            present = names(tmp_path)
        part.commit()
    assert in_use in present
    assert len(present) == 3
    assert names(tmp_path) == [".audiomend-0123456789abcdef-00000000.part", "out"]


def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    mask = os.umask(0o027)
    try:
        with PartFile(tmp_path / "out", force=False) as part:
            part.commit()
    finally:
        os.umask(mask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_short_writes_are_continued(tmp_path, monkeypatch):
    def short(descriptor, data):
        return os.write(descriptor, data[:3])

    faulty = FaultyOs("unused", OSError())
    faulty.write = short
    monkeypatch.setattr(atomic, "os", faulty)
    with PartFile(tmp_path / "out", force=False) as part:
        assert part.file.write(b"0123456789") == 10
        part.commit()
    assert (tmp_path / "out").read_bytes() == b"0123456789"


def test_raw_files_read_what_they_wrote(tmp_path):
    descriptor = os.open(tmp_path / "raw", os.O_RDWR | os.O_CREAT)
    raw = RawFile(descriptor)
    raw.write(b"0123456789")
    assert raw.tell() == 10
    assert raw.seek(2) == 2
    buffer = bytearray(3)
    assert raw.readinto(memoryview(buffer)) == 3
    assert (bytes(buffer), raw.read(99), raw.tell()) == (b"234", b"56789", 10)
    os.close(descriptor)


# --- The writer


def test_same_samples_same_bytes(tmp_path, monkeypatch):
    """libsndfile would put the time into a chunk of peaks."""
    for container in ("WAV", "WAVEX", "RF64", "AIFF", "CAF", "W64"):
        contents = []
        for clock in ("first", "second"):
            with PartFile(tmp_path / clock, force=False) as part:
                with SoundWriter(part.file, clock, Format(container, "FLOAT"), 8000, 1, {}) as writer:
                    writer.write(np.linspace(-1, 1, 99, dtype=np.float32)[:, None])
                part.file.seek(0)
                contents.append(part.file.read(10_000))
        assert contents[0] == contents[1]
        assert b"PEAK" not in contents[0], container


def test_tags_are_written(tmp_path):
    with PartFile(tmp_path / "out.flac", force=False) as part:
        tags = {"title": "Prelude", "album": "Ten"}
        with SoundWriter(part.file, "out", Format("FLAC", "PCM_16"), 8000, 1, tags) as writer:
            writer.write(np.zeros((5, 1), np.int32))
        part.commit()
    with soundfile.SoundFile(tmp_path / "out.flac") as file:
        assert (file.title, file.album, file.frames) == ("Prelude", "Ten", 5)


def test_a_writer_that_cannot_open_says_so(tmp_path):
    with (
        PartFile(tmp_path / "out", force=False) as part,
        pytest.raises(AudioWriteError, match="out cannot be written"),
    ):
        SoundWriter(part.file, "out", Format("FLAC", "PCM_16"), 8000, 99, {})
