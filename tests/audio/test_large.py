"""Files beyond 4 GiB: read, mended and written as RF64, to the frame and in little memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio import output

SCRIPT = Path(__file__).with_name("large_file.py")
MOST_MIB = 150


def copied(size: int, folder: Path) -> list[int]:
    """Frames of the copy, and MiB of memory that it took."""
    command = [sys.executable, str(SCRIPT), str(size), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    return [int(word) for word in done.stdout.split()]


def test_a_wav_that_outgrows_its_sizes_becomes_rf64(write, mend, tmp_path, monkeypatch):
    """As if 4 GiB were 20 kB: the samples stay, chunks go along, the gain would have to be 1."""
    monkeypatch.setattr(output, "LARGEST_RIFF", 20_000)
    source = write(subtype="PCM_24")
    source.write_bytes(source.read_bytes() + b"bext\4\0\0\0note")
    _, written = mend(source, tmp_path / "out.wav", 100, np.full((2, 50), 0.5))
    assert (written.format.container, written.format.subtype) == ("RF64", "PCM_24")
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert (file.format, file.frames) == ("RF64", 5000)
        after = file.read(dtype="int32")
    before = soundfile.read(source, dtype="int32")[0]
    before[100:150] = 2**30
    np.testing.assert_array_equal(after, before)
    assert (tmp_path / "out.wav").read_bytes().endswith(b"bext\4\0\0\0note")


def test_a_sparse_file_is_mended_to_the_frame(tmp_path):
    frames, peak = copied(10_000_000, tmp_path)
    assert frames == (10_000_000 - 104) // 16
    assert peak < MOST_MIB


@pytest.mark.nightly  # two minutes, 5 GB of disk
@pytest.mark.timeout(1800)
def test_five_gigabytes_are_mended_to_the_frame(tmp_path):
    frames, peak = copied(5_000_000_000, tmp_path)
    assert frames == (5_000_000_000 - 104) // 16
    assert (tmp_path / "out.wav").stat().st_size > 2**32
    assert peak < MOST_MIB
