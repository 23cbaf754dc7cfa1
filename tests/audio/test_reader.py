"""Frames by position are the frames of the blocks."""

import numpy as np
import pytest

from audiomend.audio.file import open_sound, survey
from audiomend.audio.reader import by_position
from audiomend.errors import AudioReadError

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "DOUBLE"),
    ("WAV", "IMA_ADPCM"),
    ("FLAC", "PCM_24"),
    ("CAF", "ALAC_16"),
    ("PAF", "PCM_24"),
    ("AU", "PCM_16"),
    ("PVF", "PCM_32"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_positions_are_exact(write, container, subtype):
    rng = np.random.default_rng(0)
    channels = 2
    path = write("in.snd", rng.uniform(-0.5, 0.5, (30_000, channels)), container=container, subtype=subtype)
    with open_sound(path) as sound:
        frames = survey(sound).frames
        whole = np.concatenate([block.samples for block in sound.blocks()], axis=1)
        with by_position(sound, frames) as reader:
            assert (reader.rate, reader.channels, reader.frames) == (sound.rate, channels, frames)
            for start in [0, frames - 700, *rng.integers(0, frames - 700, 10)]:
                np.testing.assert_array_equal(reader.read(start, start + 700), whole[:, start : start + 700])
            assert reader.read(5, 5).shape == (channels, 0)


def test_an_au_that_tells_a_wrong_offset_is_one_sound(write):
    """libsndfile reads on behind its header, and seeks by what the header tells."""
    path = write("in.au", container="AU")
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(4) + content[8:])
    with open_sound(path) as sound:
        frames = survey(sound).frames
        whole = np.concatenate([block.samples for block in sound.blocks()], axis=1)
        with by_position(sound, frames) as reader:
            np.testing.assert_array_equal(reader.read(100, 300), whole[:, 100:300])


def test_a_truncated_flac_is_read_up_to_its_end(write):
    path = write("in.flac", np.random.default_rng(0).uniform(-1, 1, 20_000), container="FLAC")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_sound(path) as sound:
        frames = survey(sound).frames
        whole = np.concatenate([block.samples for block in sound.blocks()], axis=1)
        with by_position(sound, frames) as reader:
            np.testing.assert_array_equal(reader.read(frames - 100, frames), whole[:, -100:])


@pytest.mark.parametrize("cut", [10, 9000, -2])  # the last: one frame is missing
def test_frames_that_are_gone(write, cut):
    path = write()
    size = path.stat().st_size
    with open_sound(path) as sound, by_position(sound, frames := survey(sound).frames) as reader:
        with path.open("r+b") as file:
            file.truncate(cut if cut > 0 else size + cut)
        with pytest.raises(AudioReadError, match="cannot be read again at frame"):
            reader.read(frames - 1000, frames)
