"""Mended samples among the known ones: bit for bit, nearest code, one gain, residue."""

import io
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiomend.audio import file as file_module
from audiomend.audio.blocks import Spill, assemble
from audiomend.audio.file import open_sound, survey
from audiomend.audio.output import check_output
from audiomend.errors import AudiomendError, AudioReadError

EXACT = [
    ("WAV", "PCM_U8", ".wav"),
    ("WAV", "PCM_16", ".wav"),
    ("WAV", "PCM_24", ".wav"),
    ("WAV", "PCM_32", ".wav"),
    ("WAV", "FLOAT", ".wav"),
    ("WAV", "DOUBLE", ".wav"),
    ("WAV", "ULAW", ".wav"),
    ("WAV", "ALAW", ".wav"),
    ("WAVEX", "PCM_24", ".wav"),
    ("RF64", "PCM_16", ".rf64"),
    ("RF64", "FLOAT", ".wav"),
    ("W64", "PCM_24", ".w64"),
    ("FLAC", "PCM_S8", ".flac"),
    ("FLAC", "PCM_16", ".flac"),
    ("FLAC", "PCM_24", ".flac"),
    ("AIFF", "PCM_S8", ".aiff"),
    ("AIFF", "PCM_24", ".aif"),
    ("AIFF", "DOUBLE", ".aifc"),
    ("CAF", "PCM_16", ".caf"),
    ("CAF", "FLOAT", ".caf"),
    ("AU", "PCM_32", ".au"),
    ("AU", "ALAW", ".snd"),
    ("VOC", "PCM_16", ".voc"),
]
LOSSY = [
    ("OGG", "VORBIS", ".ogg"),
    ("OGG", "OPUS", ".opus"),
    ("MP3", "MPEG_LAYER_III", ".mp3"),
    ("WAV", "IMA_ADPCM", ".wav"),
]


def native(path: Path) -> np.ndarray:
    """(frames, channels) native samples."""
    with open_sound(path) as sound:
        return np.concatenate([block.native for block in sound.blocks()])


def samples(path: Path) -> np.ndarray:
    """(frames, channels) float64."""
    return soundfile.read(path, always_2d=True)[0]


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    monkeypatch.setattr(file_module, "BLOCK_VALUES", 2000)


# --- The spill


def spilled(channels: int, *stretches, dtype=np.float32) -> Spill:
    spill = Spill(channels, dtype)
    for start, values, changed in stretches:
        spill.add(start, values, changed)
    return spill


def test_a_spill_gives_back_what_has_changed():
    values = np.array([[0.25, 0.5, -0.75], [1.0, 2.0, 3.0]])
    changed = np.array([[True, False, True], [False, False, True]])
    with spilled(2, (10, values, changed)) as spill:
        nan = np.nan
        expected = [[nan, 0.25, nan, -0.75, nan], [nan, nan, nan, 3.0, nan]]
        np.testing.assert_array_equal(spill.read(9, 14), expected)
        assert spill.peak == 3.0


def test_a_frame_mask_holds_for_all_channels():
    with spilled(2, (0, np.ones((2, 4)), np.array([False, True, False, False]))) as spill:
        np.testing.assert_array_equal(spill.read(0, 3), [[np.nan, 1, np.nan]] * 2)


def test_nothing_changed_is_nothing_stored():
    with spilled(1, (0, np.full((1, 5), np.nan), np.zeros(5, bool))) as spill:
        assert spill.peak == 0.0
        assert np.isnan(spill.read(0, 5)).all()


def test_the_peak_is_that_of_changed_samples():
    with spilled(1, (0, np.array([[-0.5, 9.0, 0.25]]), np.array([True, False, True]))) as spill:
        assert spill.peak == 0.5


def test_stretches_come_in_order():
    with spilled(1, (5, np.ones((1, 3)), np.ones(3, bool))) as spill:
        with pytest.raises(ValueError, match="stretch at 7 overlaps the one that ends at 8"):
            spill.add(7, np.ones((1, 3)), np.ones(3, bool))
        spill.add(8, np.ones((1, 3)), np.ones(3, bool))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_taken(value):
    with Spill(1) as spill, pytest.raises(AudiomendError, match="not finite near frame 1,000"):
        spill.add(1000, np.array([[0.5, value]]), np.ones(2, bool))


def test_double_precision_is_kept():
    third = np.full((1, 1), 1 / 3)
    with spilled(1, (0, third, np.ones(1, bool)), dtype=np.float64) as spill:
        assert spill.read(0, 1) == 1 / 3
    with spilled(1, (0, third, np.ones(1, bool))) as spill:
        assert spill.read(0, 1) == np.float32(1 / 3)


@settings(deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=8),
    edges=st.lists(st.integers(0, 80), min_size=2, max_size=2),
    seed=st.integers(0, 1000),
)
def test_any_stretches_are_read_from_anywhere(lengths, edges, seed):
    rng = np.random.default_rng(seed)
    whole = np.full((2, 100), np.nan)
    position = 0
    with Spill(2, np.float64) as spill:
        for pause, length in lengths:
            position += pause
            values, changed = rng.standard_normal((2, length)), rng.random((2, length)) < 0.6
            spill.add(position, values, changed)
            whole[:, position : position + length] = np.where(changed, values, np.nan)
            position += length
        start, stop = sorted(edges)
        np.testing.assert_array_equal(spill.read(start, stop), whole[:, start:stop])


# --- What has not changed


@pytest.mark.parametrize(("container", "subtype", "suffix"), EXACT)
def test_untouched_files_stay_bit_for_bit(write, mend, tmp_path, container, subtype, suffix):
    source = write(f"in{suffix}", container=container, subtype=subtype)
    output = tmp_path / f"out{suffix}"
    found, done = mend(source, output)
    assert native(output).tobytes() == native(source).tobytes()
    assert (found.frames, done.gain, done.clamped, done.warnings) == (5000, 1.0, 0, ())
    before, after = soundfile.info(source), soundfile.info(output)
    for attribute in ("format", "subtype", "endian", "samplerate", "channels", "frames"):
        assert getattr(before, attribute) == getattr(after, attribute)


@pytest.mark.parametrize(("container", "subtype", "suffix"), EXACT)
def test_only_changed_samples_change(write, mend, tmp_path, container, subtype, suffix):
    source = write(f"in{suffix}", container=container, subtype=subtype)
    output = tmp_path / f"out{suffix}"
    mended = np.random.default_rng(1).uniform(-0.99, 0.99, (2, 700))
    changed = np.random.default_rng(2).random((2, 700)) < 0.5
    mend(source, output, 900, mended, changed=changed)
    before, after = native(source), native(output)
    mask = np.zeros(before.shape, bool)
    mask[900:1600] = changed.T
    assert after[~mask].tobytes() == before[~mask].tobytes()
    step = {"PCM_U8": 2**-7, "PCM_S8": 2**-7, "ULAW": 2**-4, "ALAW": 2**-4}.get(subtype, 2**-15)
    assert np.abs(samples(output)[900:1600][changed.T] - mended.T[changed.T]).max() <= step / 2


@pytest.mark.parametrize("block", [2000, 8, 2])
def test_changes_are_those_of_the_written_file(write, mend, tmp_path, monkeypatch, block):
    """Less than half a step of the format is no change; up to 10 ms between changes join them."""
    monkeypatch.setattr(file_module, "BLOCK_VALUES", block)
    source = write(rate=1000)
    mended = samples(source).T.copy()
    for channel, frame in ((0, 2), (0, 3), (1, 3), (1, 14), (0, 26)):  # a step of 16 bits is 2^-15
        mended[channel, frame] += 2.0**-15 * (1 if mended[channel, frame] < 0 else -1)
    mended[:, 40:60] += 0.4 * 2.0**-15
    _, assembly = mend(source, tmp_path / "out.wav", 0, mended)
    different = native(source) != native(tmp_path / "out.wav")
    assert assembly.changed == different.sum() == 5
    assert assembly.intervals == ((2, 15), (26, 27))
    assert not assembly.is_copy
    _, finer = mend(source, tmp_path / "float.wav", 0, mended, clip_mode="float")
    assert finer.changed == 5  # a 16-bit file whose peaks fit stays one


def test_a_gain_changes_no_sample(write, mend, tmp_path):
    source = write(rate=1000)
    mended = samples(source).T.copy()
    mended[0, 7], mended[1, 9] = 1.7, mended[1, 9] + 0.3 * 2.0**-15
    _, assembly = mend(source, tmp_path / "out.wav", 0, mended)
    assert assembly.gain < 1
    assert (assembly.changed, assembly.intervals, assembly.is_copy) == (1, ((7, 8),), False)


@pytest.mark.parametrize(
    ("subtype", "output", "is_copy"),
    [
        ("PCM_16", "out.wav", True),
        ("PCM_16", "out.flac", True),
        ("FLOAT", "out.flac", False),
        ("PCM_16", "out.ogg", False),
    ],
)
def test_whether_the_output_holds_the_samples_of_the_input(write, mend, tmp_path, subtype, output, is_copy):
    source = write(subtype=subtype)
    _, assembly = mend(source, tmp_path / output)
    assert (assembly.changed, assembly.intervals, assembly.is_copy) == (0, (), is_copy)
    if is_copy:
        np.testing.assert_array_equal(samples(source), samples(tmp_path / output))


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
def test_changed_samples_take_the_nearest_code(write, mend, tmp_path, subtype, bits):
    source = write(subtype=subtype)
    mended = np.random.default_rng(1).uniform(-1, 1, (2, 700))
    mend(source, tmp_path / "out.wav", 900, mended)
    expected = np.clip(np.rint(mended.T * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    np.testing.assert_array_equal(native(tmp_path / "out.wav")[900:1600] >> (32 - bits), expected)


def test_special_floats_are_kept(write, mend, tmp_path):
    values = np.array([-0.0, 0.0, 1e-40, -1e-45, 1.75, -3.5, 0.1], np.float32)
    source = write(samples=values, subtype="FLOAT")
    _, done = mend(source, tmp_path / "out.wav", 6, np.array([[0.5]]))
    values[6] = 0.5
    assert native(tmp_path / "out.wav").tobytes() == values.tobytes()
    assert done.gain == 1.0


def test_silence_in_is_silence_out(write, mend, tmp_path):
    source = write(samples=np.zeros((100, 2)))
    mend(source, tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()


def test_full_scale_square_needs_no_gain(write, mend, tmp_path):
    square = np.where(np.arange(400) // 50 % 2, 1.0, -1.0)
    _, done = mend(write(samples=square), tmp_path / "out.wav", 10, np.array([[1.0, -1.0]]))
    assert done.gain == 1.0
    assert native(tmp_path / "out.wav")[[10, 11, 200], 0].tolist() == [32767 << 16, -(2**31), -(2**31)]


@pytest.mark.parametrize("frames", [1, 2, 999, 1000, 1001])
@pytest.mark.parametrize("channels", [1, 2, 7])
def test_length_and_channels_are_kept(write, mend, tmp_path, frames, channels):
    source = write(samples=np.full((frames, channels), 0.25), rate=192_000, subtype="PCM_24")
    mend(source, tmp_path / "out.wav", frames - 1, np.full((channels, 1), 0.5))
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.frames, info.channels, info.samplerate, info.subtype) == (
        frames,
        channels,
        192_000,
        "PCM_24",
    )
    expected = np.full((frames, channels), 0.25)
    expected[-1] = 0.5
    np.testing.assert_array_equal(samples(tmp_path / "out.wav"), expected)


@pytest.mark.parametrize(("container", "subtype", "suffix"), LOSSY)
def test_lossy_formats_stay_and_say_so(write, mend, tmp_path, container, subtype, suffix):
    tone = np.sin(np.arange(8000) * 0.05)[:, None] * np.array([[0.3, 0.2]])
    source = write(f"in{suffix}", tone, 48_000, container=container, subtype=subtype)
    output = tmp_path / f"out{suffix}"
    found, done = mend(source, output)
    assert done.warnings == (
        f"{output} is {container} {subtype}, which is lossy: untouched samples change too",
    )
    info = soundfile.info(output)
    assert (info.format, info.subtype, info.frames) == (container, subtype, found.frames)
    assert np.abs(samples(output) - samples(source))[500:-500].max() < 0.1


def test_a_wider_format_keeps_every_code(write, mend, tmp_path):
    source = write("in.flac", container="FLAC", subtype="PCM_16")
    mend(source, tmp_path / "out.w64")
    np.testing.assert_array_equal(native(tmp_path / "out.w64"), native(source))


def test_alac_becomes_pcm(write, mend, tmp_path):
    source = write("in.caf", 0.9 * np.sin(np.arange(5000) * 0.03), container="CAF", subtype="ALAC_24")
    mend(source, tmp_path / "out.caf")
    assert soundfile.info(tmp_path / "out.caf").subtype == "PCM_24"
    np.testing.assert_array_equal(native(tmp_path / "out.caf"), native(source))


def test_a_narrower_format_rounds(write, mend, tmp_path):
    source = write(subtype="PCM_32")
    mend(source, tmp_path / "out.flac")
    expected = np.rint(samples(source) * 2**23)
    np.testing.assert_array_equal(native(tmp_path / "out.flac") >> 8, expected)


def test_big_endian_stays(write, mend, tmp_path):
    source = write(endian="BIG")
    mend(source, tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()
    assert source.read_bytes()[:4] == b"RIFX"


def test_chunks_are_carried(write, mend, tmp_path):
    source = write()
    chunks = b"".join(struct.pack("<4sI", name, 10) + b"0123456789" for name in (b"bext", b"cue "))
    source.write_bytes(source.read_bytes() + chunks)
    mend(source, tmp_path / "out.wav", 3, np.array([[0.5], [0.5]]))
    content = (tmp_path / "out.wav").read_bytes()
    assert content.endswith(chunks)
    assert content[4:8] == struct.pack("<I", len(content) - 8)
    assert soundfile.info(tmp_path / "out.wav").frames == 5000


def test_loudspeaker_positions_are_carried(write, mend, tmp_path):
    source = write(samples=np.zeros((10, 7)), container="WAVEX")
    content = bytearray(source.read_bytes())
    content[40:44] = struct.pack("<I", 0x70F)
    source.write_bytes(content)
    mend(source, tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == bytes(content)


@pytest.mark.parametrize(
    ("name", "title"), [("out.flac", "Prelude"), ("out.wav", "Prelude"), ("out.caf", "Prelude")]
)
def test_titles_are_carried(write, mend, tmp_path, name, title):
    source = tmp_path / "in.wav"
    with soundfile.SoundFile(source, "w", 8000, 1, "PCM_16") as file:
        file.title = title
        file.write(np.zeros(50))
    mend(source, tmp_path / name)
    with soundfile.SoundFile(tmp_path / name) as file:
        assert file.title == title


# --- Peaks beyond full scale


def test_rescale_brings_the_whole_file_down(write, mend, tmp_path):
    source = write()
    _, done = mend(source, tmp_path / "out.wav", 100, np.array([[2.0], [-0.5]]))
    assert done.gain == pytest.approx(32767 / 32768 / 2.0, rel=1e-12)
    assert done.clamped == 0
    expected = samples(source)
    expected[100] = 2.0, -0.5
    np.testing.assert_array_equal(native(tmp_path / "out.wav") >> 16, np.rint(expected * done.gain * 32768))
    assert native(tmp_path / "out.wav")[100, 0] >> 16 == 32767


def test_a_negative_peak_counts_as_well(write, mend, tmp_path):
    _, done = mend(write(), tmp_path / "out.wav", 100, np.array([[0.5], [-4.0]]))
    assert done.gain == pytest.approx(32767 / 32768 / 4, rel=1e-12)


def test_no_gain_without_need(write, mend, tmp_path):
    _, done = mend(write(), tmp_path / "out.wav", 100, np.array([[1.0], [-1.0]]))
    assert done.gain == 1.0


def test_float_keeps_level_and_known_samples(write, mend, tmp_path):
    source = write(subtype="PCM_24")
    _, done = mend(source, tmp_path / "out.wav", 100, np.array([[2.0], [-0.5]]), clip_mode="float")
    assert (done.gain, done.format.subtype, soundfile.info(tmp_path / "out.wav").subtype) == (
        1.0,
        "FLOAT",
        "FLOAT",
    )
    expected = samples(source)
    expected[100] = 2.0, -0.5
    np.testing.assert_array_equal(samples(tmp_path / "out.wav"), expected)


def test_float_of_32_bits_takes_64(write, mend, tmp_path):
    source = write(subtype="PCM_32")
    _, done = mend(source, tmp_path / "out.wav", 100, np.array([[2.0], [-0.5]]), clip_mode="float")
    assert done.format.subtype == "DOUBLE"
    np.testing.assert_array_equal(samples(tmp_path / "out.wav")[101:], samples(source)[101:])


@pytest.mark.parametrize("clip_mode", ["float", "clamp"])
def test_the_format_stays_without_need(write, mend, tmp_path, clip_mode):
    _, done = mend(write(), tmp_path / "out.wav", 100, np.array([[1.0], [-0.5]]), clip_mode=clip_mode)
    assert (done.format.subtype, done.clamped) == ("PCM_16", 0)


def test_clamp_counts(write, mend, tmp_path):
    source = write()
    mended = np.array([[2.0, 0.5, 1.1], [-0.5, -1.5, 1.0]])
    _, done = mend(source, tmp_path / "out.wav", 999, mended, clip_mode="clamp")
    assert (done.gain, done.clamped) == (1.0, 3)
    expected = native(source)
    expected[999:1002] = from_codes([[32767, -16384], [16384, -32768], [32767, 32767]])
    np.testing.assert_array_equal(native(tmp_path / "out.wav"), expected)


def from_codes(codes: list[list[int]]) -> np.ndarray:
    return np.array(codes, np.int64) << 16


def test_float_files_hold_their_peaks(write, mend, tmp_path):
    source = write(subtype="FLOAT")
    _, done = mend(source, tmp_path / "out.wav", 100, np.array([[5.0], [-7.0]]))
    assert (done.gain, done.clamped) == (1.0, 0)
    np.testing.assert_array_equal(samples(tmp_path / "out.wav")[100], [5.0, -7.0])


def test_overs_of_the_input_count_where_the_output_cannot_hold_them(write, mend, tmp_path):
    source = write(samples=np.array([0.5, -1.6, 0.25]), subtype="FLOAT")
    _, done = mend(source, tmp_path / "out.flac")
    assert done.gain == pytest.approx((1 - 2**-23) / np.float32(1.6), rel=1e-12)
    _, clamped = mend(source, tmp_path / "clamped.flac", clip_mode="clamp")
    assert (clamped.gain, clamped.clamped) == (1.0, 1)


def test_lossy_outputs_come_down_too(write, mend, tmp_path):
    _, done = mend(write(rate=48_000), tmp_path / "out.ogg", 100, np.array([[2.0], [-0.5]]))
    assert done.gain == 0.5


# --- Residue


@pytest.mark.parametrize(("container", "subtype", "suffix"), EXACT)
@pytest.mark.parametrize("peak", [0.5, 2.0])
def test_output_and_residue_add_up_to_the_input(write, mend, tmp_path, container, subtype, suffix, peak):
    source = write(f"in{suffix}", container=container, subtype=subtype)
    output, residue = tmp_path / f"out{suffix}", tmp_path / "residue.wav"
    mended = np.random.default_rng(1).uniform(-peak, peak, (2, 700))
    mend(source, output, 900, mended, residue=residue)
    total = samples(output) + samples(residue)
    if subtype == "DOUBLE":  # the difference of two doubles is rounded to a double
        np.testing.assert_allclose(total, samples(source), rtol=0, atol=2**-52)
    else:
        np.testing.assert_array_equal(total, samples(source))


@pytest.mark.parametrize(
    ("subtype", "expected"),
    [
        ("PCM_U8", "FLOAT"),
        ("PCM_16", "FLOAT"),
        ("PCM_24", "DOUBLE"),
        ("PCM_32", "DOUBLE"),
        ("FLOAT", "DOUBLE"),
    ],
)
def test_precision_of_the_residue(write, mend, tmp_path, subtype, expected):
    mend(write(subtype=subtype), tmp_path / "out.wav", residue=tmp_path / "residue.wav")
    assert soundfile.info(tmp_path / "residue.wav").subtype == expected


def test_precision_follows_the_output_too(write, mend, tmp_path):
    mended = np.array([[2 + 2**-20], [0.0]])
    mend(write(), tmp_path / "out.wav", 0, mended, residue=tmp_path / "residue.wav", clip_mode="float")
    assert soundfile.info(tmp_path / "residue.wav").subtype == "DOUBLE"


def test_residue_is_input_minus_output(write, mend, tmp_path):
    source = write(samples=np.array([0.25, 0.5, 0.75]))
    mend(source, tmp_path / "out.wav", 1, np.array([[0.125]]), residue=tmp_path / "residue.wav")
    np.testing.assert_array_equal(samples(tmp_path / "residue.wav")[:, 0], [0.0, 0.375, 0.0])


def test_a_residue_bears_no_chunks_or_titles(write, mend, tmp_path):
    source = write()
    source.write_bytes(source.read_bytes() + struct.pack("<4sI", b"bext", 4) + b"note")
    mend(source, tmp_path / "out.wav", residue=tmp_path / "residue.wav")
    assert b"bext" in (tmp_path / "out.wav").read_bytes()
    assert b"bext" not in (tmp_path / "residue.wav").read_bytes()


# --- Pipes, changes, sizes


def test_standard_output_gets_the_whole_file(write, mend, tmp_path, monkeypatch):
    source = write()
    mend(source, tmp_path / "out.wav", 100, np.array([[0.5], [0.5]]))
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=pipe))
    mend(source, Path("-"), 100, np.array([[0.5], [0.5]]))
    assert pipe.getvalue() == (tmp_path / "out.wav").read_bytes()


def test_a_reader_that_has_gone(write, mend, monkeypatch):
    class Gone(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=Gone()))
    with pytest.raises(
        AudiomendError, match="standard output cannot be written: the reader of the pipe has gone"
    ):
        mend(write(), Path("-"))


def test_the_input_may_be_replaced_by_force(write, mend):
    source = write()
    expected = native(source)
    expected[100] = 2**30
    mend(source, source, 100, np.array([[0.5], [0.5]]), force=True)
    np.testing.assert_array_equal(native(source), expected)


def test_frames_that_vanish_meanwhile(write, tmp_path):
    with open_sound(write()) as sound, Spill(2) as spill:
        target = check_output(tmp_path / "out.wav", sound, force=False)
        found = survey(sound)
        shorter = types.SimpleNamespace(**{**sound.__dict__, "blocks": lambda: list(sound.blocks())[:-1]})
        with pytest.raises(AudioReadError, match="ended after 4,000 frames; 5,000 were there before"):
            assemble(shorter, found, spill, target)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("frames", [1, 2, 100, 1023, 44_100])
def test_rate_and_length_for_every_pair(write, mend, tmp_path, rate, frames):
    source = write(samples=np.zeros((frames, 6)), rate=rate)
    mend(source, tmp_path / "out.wav")
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.frames, info.samplerate, info.channels) == (frames, rate, 6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    frames=st.integers(1, 1200),
    channels=st.integers(1, 9),
    start=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_any_file_any_stretch(tmp_path_factory, mend, subtype, frames, channels, start, seed):
    folder = tmp_path_factory.mktemp("any")
    rng = np.random.default_rng(seed)
    soundfile.write(folder / "in.wav", rng.uniform(-1, 1, (frames, channels)), 44_100, subtype)
    first = int(start * (frames - 1))
    changed = rng.random((channels, frames - first)) < 0.3
    mended = rng.uniform(-0.99, 0.99, changed.shape)
    mend(folder / "in.wav", folder / "out.wav", first, mended, changed=changed)
    before, after = native(folder / "in.wav"), native(folder / "out.wav")
    known = np.ones(before.shape, bool)
    known[first:] = ~changed.T
    assert after[known].tobytes() == before[known].tobytes()
    error = np.abs(samples(folder / "out.wav")[first:][changed.T] - mended.T[changed.T])
    assert error.max(initial=0) <= {"PCM_U8": 2**-7}.get(subtype, 2**-15) / 2 + 1e-9
