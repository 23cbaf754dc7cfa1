"""Reading: what is odd but works, what is refused, and what hostile headers cannot do."""

import io
import os
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio import file as file_module
from audiomend.audio.file import open_sound, printable, survey
from audiomend.audio.libsndfile import read_frames
from audiomend.errors import AudioReadError

INTEGERS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("FLAC", "PCM_24"),
    ("CAF", "ALAC_20"),
]


def read(path: Path, frames: int | None = None) -> np.ndarray:
    """(frames, channels) native samples, read in blocks."""
    with open_sound(path) as sound:
        return np.concatenate([block.native for block in sound.blocks(frames)])


@pytest.mark.parametrize(("container", "subtype"), INTEGERS)
def test_integers_are_left_justified(write, container, subtype):
    path = write("in.snd", container=container, subtype=subtype)
    np.testing.assert_array_equal(read(path), soundfile.read(path, dtype="int32")[0])


@pytest.mark.parametrize(("subtype", "dtype"), [("FLOAT", "float32"), ("DOUBLE", "float64")])
def test_floats_are_as_they_are(write, subtype, dtype):
    values = np.array([-0.0, 0.0, 1e-40, -5e-324, 1.5, -7.25, 1 / 3], dtype)
    path = write(samples=values, subtype=subtype)
    assert read(path).tobytes() == values.tobytes()


@pytest.mark.parametrize("frames", [1, 7, 1000, 4999, 5000, 5001, None])
def test_blocks_of_any_size_give_every_frame_once(write, frames):
    with open_sound(write()) as sound:
        blocks = list(sound.blocks(frames))
    expected = soundfile.read(sound.path, dtype="int32")[0]
    np.testing.assert_array_equal(np.concatenate([block.native for block in blocks]), expected)
    assert [block.start for block in blocks] == list(range(0, 5000, frames or 5000))
    assert [block.stop for block in blocks[:-1]] == [block.start for block in blocks[1:]]
    assert blocks[-1].stop == 5000


def test_samples_are_channels_first_and_full_scale_is_1(write):
    with open_sound(write()) as sound:
        samples = next(sound.blocks(100)).samples
    np.testing.assert_array_equal(samples, soundfile.read(sound.path)[0][:100].T)
    assert samples.dtype == np.float64
    assert samples.flags.c_contiguous


def test_a_decoder_may_give_less_than_was_asked_for(write, monkeypatch):
    monkeypatch.setattr(file_module, "read_frames", lambda file, native: read_frames(file, native[:700]))
    with open_sound(write()) as sound:
        blocks = list(sound.blocks(1000))
    assert [block.start for block in blocks] == list(range(0, 5000, 700))


def test_nothing_is_read_behind_a_failure_of_the_decoder(write, monkeypatch):
    """It may find its feet again, but what it skipped is unknown."""
    monkeypatch.setattr(file_module, "read_frames", lambda *arguments: (read_frames(*arguments)[0], 161))
    with open_sound(write()) as sound:
        assert [block.stop for block in sound.blocks(1000)] == [1000]


def test_blocks_can_be_read_again(write):
    with open_sound(write()) as sound:
        first, second = (np.concatenate([b.native for b in sound.blocks(999)]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_header_is_told(write):
    path = write("in.aiff", np.zeros((10, 3)), 12_345, container="AIFF", subtype="PCM_24")
    with soundfile.SoundFile(path, "r+") as file:
        file.title = "Prelude"
    with open_sound(path) as sound:
        assert (sound.rate, sound.channels, sound.declared, sound.name) == (12_345, 3, 10, str(path))
        assert (sound.format.container, sound.format.subtype) == ("AIFF", "PCM_24")


@pytest.mark.parametrize("container", ["FLAC", "AIFF", "OGG"])
def test_tags_are_read(tmp_path, container):
    path = tmp_path / "in.snd"
    with soundfile.SoundFile(path, "w", 44_100, 1, format=container) as file:
        file.title, file.artist = "Prelude", "Clara"
        file.write(np.zeros(100))
    with open_sound(path) as sound:
        assert sound.tags == {"title": "Prelude", "artist": "Clara"}


# --- Odd, but a sound


@pytest.mark.parametrize(
    ("samples", "rate", "subtype"),
    [
        (np.full((1, 1), 0.5), 44_100, "PCM_16"),
        (np.zeros((100, 2)), 44_100, "PCM_16"),
        (np.full((100, 1), 0.25), 44_100, "PCM_U8"),
        (np.full((100, 2), 0.25), 192_000, "PCM_24"),
        (np.full((100, 7), 0.25), 44_100, "PCM_16"),
        (np.full((100, 64), 0.25), 44_100, "PCM_16"),
        (np.full((100, 1), -0.0), 44_100, "FLOAT"),
        (np.full((100, 1), 1e-310), 44_100, "DOUBLE"),
        (np.full((100, 1), 30_000.0), 44_100, "FLOAT"),
        (np.full((100, 1), 0.5), 1_000, "PCM_16"),
        (np.full((100, 1), 0.5), 768_000, "PCM_16"),
    ],
)
def test_odd_sounds_are_read(write, samples, rate, subtype):
    with open_sound(write(samples=samples, rate=rate, subtype=subtype)) as sound:
        found = survey(sound)
    assert (sound.rate, sound.channels, found.frames) == (rate, samples.shape[1], len(samples))
    assert found.peak == abs(samples).max()
    assert found.warnings == ()


def test_the_peak_is_absolute(write):
    with open_sound(write(samples=np.array([0.1, -0.75, 0.5]))) as sound:
        assert survey(sound).peak == 0.75


class Collector:
    def __init__(self):
        self.blocks = []

    def add(self, samples):
        self.blocks.append(samples)


def test_a_survey_feeds_every_accumulator(write, monkeypatch):
    monkeypatch.setattr(file_module, "BLOCK_VALUES", 2000)
    collectors = [Collector(), Collector()]
    path = write()
    with open_sound(path) as sound:
        survey(sound, collectors)
    for collector in collectors:
        assert {block.shape[1] for block in collector.blocks} == {1000}
        np.testing.assert_array_equal(np.concatenate(collector.blocks, axis=1), soundfile.read(path)[0].T)


# --- Headers that lie, files that break off: what is there is used, with a warning


def patched(path: Path, offset: int, data: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def with_length(flac: Path, frames: int) -> Path:
    """Let STREAMINFO declare `frames`, in the last 36 of the 64 bits from byte 18 on."""
    (bits,) = struct.unpack(">Q", flac.read_bytes()[18:26])
    return patched(flac, 18, struct.pack(">Q", bits >> 36 << 36 | frames))


def test_a_truncated_flac_gives_its_whole_frames(write):
    path = write("in.flac", np.random.default_rng(0).uniform(-1, 1, (20_000, 2)), container="FLAC")
    expected = soundfile.read(path, dtype="int32")[0]
    cut(path, path.stat().st_size * 6 // 10)
    with open_sound(path) as sound:
        found = survey(sound)
        native = np.concatenate([block.native for block in sound.blocks(1000)])
    assert found.frames == len(native) == 8192  # two frames of 4096, the third is cut
    np.testing.assert_array_equal(native, expected[:8192])
    assert found.warnings == (
        f"the header of {path} declares 20,000 frames; the 8,192 frames that are there are used",
    )


@pytest.mark.parametrize("frames", [1, 999, 4096, 8192, 8193, 30_000])
def test_a_truncated_flac_gives_the_same_for_any_block_size(write, frames):
    path = write("in.flac", np.random.default_rng(0).uniform(-1, 1, 20_000), container="FLAC")
    cut(path, path.stat().st_size * 6 // 10)
    assert len(read(path, frames)) == 8192


def test_a_flac_with_a_hole_is_used_up_to_it(write):
    path = write("in.flac", np.random.default_rng(0).uniform(-1, 1, 20_000), container="FLAC")
    expected = soundfile.read(path, dtype="int32", always_2d=True)[0]
    patched(path, path.stat().st_size // 2, os.urandom(300))
    with open_sound(path) as sound:
        found = survey(sound)
        native = np.concatenate([block.native for block in sound.blocks()])
    assert 4096 <= found.frames <= 12_288
    np.testing.assert_array_equal(native[:4096], expected[:4096])
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("container", "subtype", "width"),
    [
        ("WAV", "PCM_16", 2),
        ("WAV", "FLOAT", 4),
        ("AIFF", "PCM_24", 3),
        ("RF64", "PCM_16", 2),
        ("AU", "PCM_16", 2),
    ],
)
def test_a_truncated_file_is_used_with_a_warning(write, container, subtype, width):
    path = write(
        "in.snd", np.random.default_rng(0).uniform(-1, 1, (5000, 2)), container=container, subtype=subtype
    )
    expected = read(path)
    cut(path, path.stat().st_size - 1000 * 2 * width)
    with open_sound(path) as sound:
        found = survey(sound)
    assert found.frames == 4000
    np.testing.assert_array_equal(read(path), expected[:4000])
    assert found.warnings == (
        f"the header of {path} declares more sound than there is; the 4,000 frames that are there are used",
    )


def test_a_wav_that_declares_too_much_is_used_with_a_warning(write):
    path = patched(write(), 40, struct.pack("<I", 40_000_000))
    with open_sound(path) as sound:
        found = survey(sound)
    assert found.frames == 5000
    assert "declares more sound" in found.warnings[0]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_the_sizes_that_pipes_declare_are_no_lie(write, size):
    path = patched(write(), 40, struct.pack("<I", size))
    with open_sound(path) as sound:
        found = survey(sound)
    assert found.frames == 5000
    assert found.warnings == ()


@pytest.mark.parametrize("riff_size", [0, 36])
def test_a_recording_cut_off_before_its_sizes_were_written(write, riff_size):
    path = write()
    expected = read(path)
    patched(patched(path, 4, struct.pack("<I", riff_size)), 40, bytes(4))
    np.testing.assert_array_equal(read(path), expected)


def test_an_unknown_length_is_no_lie(write):
    path = write("in.flac", np.random.default_rng(0).uniform(-1, 1, 5000), container="FLAC")
    with_length(path, 0)
    with open_sound(path) as sound:
        assert sound.declared is None
        found = survey(sound)
    assert (found.frames, found.warnings) == (5000, ())


# --- Refused


def refused(path: str | Path) -> str:
    with pytest.raises(AudioReadError) as caught, open_sound(path) as sound:
        survey(sound)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 1
    return message


@pytest.mark.parametrize(
    ("value", "count", "place"),
    [
        (np.nan, 3, "at 0.068 s (frame 3,000, channel 1)"),
        (np.inf, 3, "at 0.068 s (frame 3,000, channel 1)"),
        (-np.inf, 3, "at 0.068 s (frame 3,000, channel 1)"),
        (1.1e12, 3, "at 0.068 s (frame 3,000, channel 1)"),
    ],
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_number(write, monkeypatch, subtype, value, count, place):
    monkeypatch.setattr(file_module, "BLOCK_VALUES", 1000)
    samples = np.zeros((5000, 2))
    samples[3000, 1] = samples[3100, 0] = samples[4500, 1] = value
    path = write(samples=samples, subtype=subtype)
    assert refused(path) == (
        f"{path} holds {count} samples that are NaN, infinite or beyond 1e+12, "
        f"the first {place}; every sample must be a finite number"
    )


def test_accumulators_never_see_a_nan(write):
    samples = np.zeros((10, 1))
    samples[5] = np.nan
    collector = Collector()
    with pytest.raises(AudioReadError), open_sound(write(samples=samples, subtype="FLOAT")) as sound:
        survey(sound, [collector])
    assert collector.blocks == []


def test_empty_file(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert refused(path) == f"{path} is empty (0 bytes); a sound file is needed"


def test_header_without_frames(write):
    path = write(samples=np.zeros((0, 2)))
    assert refused(path) == f"{path} holds no sample; at least one is needed"


@pytest.mark.parametrize("name", ["text.wav", "text.flac", "text.xyz", "text.mp3"])
def test_text(tmp_path, name):
    path = tmp_path / name
    path.write_text("no sound at all\n" * 100)
    assert refused(path).startswith(f"{path} is not a sound file that can be read (")


@pytest.mark.parametrize("name", ["text.au", "text.snd", "text.vox", "text.gsm", "text.raw"])
def test_a_name_alone_makes_no_sound(tmp_path, name):
    path = tmp_path / name
    path.write_text("no sound at all\n" * 100)
    assert refused(path) == f"{path} has no header that tells rate and channels; a WAV or FLAC file has one"


@pytest.mark.parametrize("device", [0, 127])
def test_a_midi_sample_dump(tmp_path, capfd, device):
    path = tmp_path / "in.sds"
    path.write_bytes(bytes([0xF0, 0x7E, device, 0x01]) + bytes(200))
    assert refused(path) == f"{path} is a MIDI sample dump, which is not read; convert it first"
    assert capfd.readouterr() == ("", "")  # libsndfile prints what is odd in one


def test_signalling_nans_are_counted_and_not_warned_of(write):
    path = write(samples=np.zeros(10, np.float32), subtype="FLOAT")
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<I", 0x7FA00000))
    assert "1 samples that are NaN" in refused(path)


def test_missing_file(tmp_path):
    path = tmp_path / "none.wav"
    assert refused(path) == f"{path} cannot be read: there is no such file"
    assert refused(path / "below") == f"{path / 'below'} cannot be read: there is no such file"


def test_folder(tmp_path):
    assert refused(tmp_path) == f"{tmp_path} is a folder; a sound file is needed"


def test_fifo(tmp_path):
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    assert refused(path) == f"{path} is a pipe or a device; use '-' and feed it to standard input"


def test_device():
    assert refused("/dev/zero").startswith("/dev/zero is a pipe or a device")


def test_no_permission(write, monkeypatch):
    path = write()

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, who may read everything
    assert refused(path) == f"{path} cannot be read: permission denied"


def test_names_that_cannot_be(tmp_path):
    assert "cannot be read" in refused("a\0b.wav")
    assert refused("\n.wav") == "?.wav cannot be read: there is no such file"
    assert "cannot be read" in refused(tmp_path / ("x" * 300))


def test_control_characters_are_not_printed():
    assert printable("a\nb\x1b[31m\udc80é") == "a?b?[31m?é"


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_139_073_791])
def test_rate_out_of_range(write, rate):
    path = write(rate=rate)
    assert refused(path) == f"{path} has a sample rate of {rate:,} Hz; 1,000 to 768,000 Hz are allowed"


@pytest.mark.parametrize("channels", [65, 384])
def test_too_many_channels(write, channels):
    path = write(samples=np.zeros((10, channels)))
    assert refused(path) == f"{path} has {channels} channels; 1 to 64 are allowed"


def test_a_broken_disk_is_not_taken_for_the_end(write, monkeypatch):
    path = write()

    monkeypatch.setattr(file_module, "read_frames", lambda *_: (0, 2))
    assert refused(path) == f"{path} cannot be read: the disk reports an error"


def test_a_file_that_changes_meanwhile(write):
    path = write()
    with open_sound(path) as sound:
        survey(sound)
        write(samples=np.zeros((4000, 2)))
        with pytest.raises(AudioReadError, match="has changed while it was read"):
            list(sound.blocks())


# --- Standard input


def feed(monkeypatch, stream) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stream))


def test_standard_input_is_read_twice(write, monkeypatch):
    path = write()
    expected = read(path)
    feed(monkeypatch, io.BytesIO(path.read_bytes()))
    with open_sound("-") as sound:
        assert sound.name == "standard input"
        assert survey(sound).frames == 5000
        native = np.concatenate([block.native for block in sound.blocks(999)])
        spool = sound.path
    np.testing.assert_array_equal(native, expected)
    assert not spool.parent.exists()


def test_nothing_on_standard_input(monkeypatch):
    feed(monkeypatch, io.BytesIO())
    assert refused("-") == "standard input is empty (0 bytes); a sound file is needed"


def test_terminal_as_standard_input(monkeypatch):
    terminal = io.BytesIO()
    terminal.isatty = lambda: True
    feed(monkeypatch, terminal)
    assert refused("-") == "standard input is a terminal; feed a WAV file to it"


def test_no_room_for_standard_input(write, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    content = write().read_bytes()
    monkeypatch.setattr(file_module.shutil, "copyfileobj", full)
    feed(monkeypatch, io.BytesIO(content))
    assert refused("-") == (
        "no temporary copy of the input can be made (TMPDIR names the folder): No space left on device"
    )


# --- Hostile files


def test_memory_does_not_follow_the_declared_count(write, monkeypatch):
    """No array is larger than a block, whatever a header declares."""
    sizes = []
    empty = np.empty

    def recorded(shape, *arguments, **options):
        sizes.append(np.prod(shape))
        return empty(shape, *arguments, **options)

    monkeypatch.setattr(np, "empty", recorded)
    path = with_length(write("in.flac", container="FLAC"), 2**36 - 1)
    with open_sound(path) as sound:
        survey(sound)
    assert sound.declared > 10**9
    assert max(sizes) <= file_module.BLOCK_VALUES
