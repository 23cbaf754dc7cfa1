"""Whatever fails, whenever: no damaged file under a final name, nothing left behind, the input untouched."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio import atomic
from audiomend.audio.blocks import Spill
from audiomend.errors import AudioWriteError

WORKER = Path(__file__).with_name("worker.py")
FIRST_WRITES = range(1, 31)


@pytest.fixture
def source(write) -> Path:
    """More than 30 writes of 8 kB."""
    return write("in.wav", np.random.default_rng(0).uniform(-0.9, 0.9, (70_000, 2)))


def work(mode: str, source: Path, folder: Path, *names: str) -> dict[str, list[int]]:
    """Run the worker; the exit codes by name, negative for signals."""
    command = [sys.executable, WORKER, mode, source, folder, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: [int(code) for code in codes] for name, *codes in lines}


def mended(source: Path, value: float) -> np.ndarray:
    expected = soundfile.read(source)[0]
    expected[:500] = value
    return expected


def is_whole(path: Path, source: Path, value: float = 0.5) -> bool:
    return np.array_equal(soundfile.read(path)[0], mended(source, value))


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


class FailingOs:
    """The module os; the n-th write fails."""

    def __init__(self, turn: int, error: Exception) -> None:
        self.left, self.error = turn, error

    def write(self, descriptor, data) -> int:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return os.write(descriptor, data)

    def __getattr__(self, name: str):
        return getattr(os, name)


FAULTS = [
    (28, "the disk is full"),
    (5, "the disk reports an error"),
    (13, "permission denied"),
    (4, "Interrupted system call"),
]


@pytest.mark.parametrize(("number", "reason"), FAULTS)
@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.ogg"])
def test_a_fault_at_each_of_the_first_writes(source, mend, tmp_path, monkeypatch, number, reason, name):
    before = source.read_bytes()
    for turn in FIRST_WRITES if name == "out.wav" else (1, 2, 3, 5, 10):
        faulty = FailingOs(turn, OSError(number, os.strerror(number)))
        monkeypatch.setattr(atomic, "os", faulty)
        with pytest.raises(AudioWriteError) as caught:
            mend(source, tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} cannot be written: {reason}"
        assert faulty.left <= 0
        assert os.listdir(tmp_path) == ["in.wav"]
    assert source.read_bytes() == before


@pytest.mark.parametrize("turn", [1, 30])
def test_a_fault_leaves_an_older_output(source, mend, tmp_path, monkeypatch, turn):
    (tmp_path / "out.wav").write_bytes(b"old")
    monkeypatch.setattr(atomic, "os", FailingOs(turn, OSError(28, "No space left on device")))
    with pytest.raises(AudioWriteError):
        mend(source, tmp_path / "out.wav", force=True)
    assert (tmp_path / "out.wav").read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def count_writes(mend, monkeypatch, *arguments, **options) -> int:
    counting = FailingOs(-1, OSError())
    monkeypatch.setattr(atomic, "os", counting)
    mend(*arguments, **options)
    return -1 - counting.left


def test_a_fault_of_the_last_writes(source, mend, tmp_path, monkeypatch):
    """libsndfile itself is silent about those: they come from closing."""
    for name in ("out.wav", "out.flac", "out.caf", "out.ogg"):
        writes = count_writes(mend, monkeypatch, source, tmp_path / name)
        (tmp_path / name).unlink()
        for turn in (writes - 1, writes):
            monkeypatch.setattr(atomic, "os", FailingOs(turn, OSError(28, "No space left on device")))
            with pytest.raises(AudioWriteError, match="the disk is full"):
                mend(source, tmp_path / name)
            assert os.listdir(tmp_path) == ["in.wav"]


def test_a_fault_of_the_chunks(source, mend, tmp_path, monkeypatch):
    source.write_bytes(source.read_bytes() + b"bext\4\0\0\0note")
    writes = count_writes(mend, monkeypatch, source, tmp_path / "out.wav")
    (tmp_path / "out.wav").unlink()
    for turn in range(writes - 2, writes + 1):  # header, payload, size
        monkeypatch.setattr(atomic, "os", FailingOs(turn, OSError(28, "No space left on device")))
        with pytest.raises(AudioWriteError, match=r"out\.wav cannot be written: the disk is full"):
            mend(source, tmp_path / "out.wav")
        assert os.listdir(tmp_path) == ["in.wav"]


def test_a_fault_of_the_residue_leaves_neither(source, mend, tmp_path, monkeypatch):
    for turn in (1, 2, 3, 10, 11, 90, 91):
        monkeypatch.setattr(atomic, "os", FailingOs(turn, OSError(28, "No space left on device")))
        with pytest.raises(AudioWriteError, match="the disk is full"):
            mend(source, tmp_path / "out.wav", residue=tmp_path / "residue.wav")
        assert os.listdir(tmp_path) == ["in.wav"]


def test_a_full_temporary_folder(monkeypatch):
    with Spill(1) as spill:
        monkeypatch.setattr(atomic, "os", FailingOs(1, OSError(28, "No space left on device")))
        with pytest.raises(
            AudioWriteError, match=r"a temporary file in .* cannot be written: the disk is full"
        ):
            spill.add(0, np.ones((1, 5)), np.ones(5, bool))


def test_no_temporary_folder(monkeypatch):
    def fails(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.tempfile, "TemporaryFile", fails)
    with pytest.raises(AudioWriteError, match=r"no temporary file can be made \(TMPDIR .* No space left"):
        Spill(1)


def test_an_interrupt_at_any_block(source, mend, tmp_path, monkeypatch):
    read = Spill.read
    for turn in range(1, 4):
        left = iter(range(turn))

        def interrupted(spill, start, stop, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return read(spill, start, stop)

        monkeypatch.setattr(Spill, "read", interrupted)
        monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 40_000)
        with pytest.raises(KeyboardInterrupt):
            mend(source, tmp_path / "out.wav")
        assert os.listdir(tmp_path) == ["in.wav"]


STEPS = [
    "open-1-after",
    "open-2-after",
    *(f"write-{turn}-{when}" for turn in (1, 2, 3, 8, 20, 34) for when in ("before", "after")),
    "close-1-before",
    "fsync-1-before",
    "fsync-1-after",
]
NEW = [*STEPS, "link-1-before", "link-1-after", "fsync-2-before"]
REPLACED = [*STEPS[1::3], "replace-1-before", "replace-1-after", "fsync-2-after"]


def test_kills_at_every_step(source, mend, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    old = mended(source, 0.1)
    for step in REPLACED:
        soundfile.write(folder / f"{step}.replaced.wav", old, 44_100)
    names = [f"{step}.new.wav" for step in NEW] + [f"{step}.replaced.wav" for step in REPLACED]
    codes = work("kill", source, folder, *names)
    assert codes == {name: [-9] for name in names}
    before = soundfile.read(folder / names[-4])[0].shape
    assert before == old.shape
    for name in names:
        path = folder / name
        is_done = name.startswith(("link-1-after", "replace-1-after", "fsync-2"))
        assert path.exists() == (is_done or ".replaced" in name), name
        if path.exists() and is_done:
            assert is_whole(path, source), name
        elif path.exists():
            assert np.abs(soundfile.read(path)[0] - old).max() <= 2**-15, name
    assert leftovers(folder)
    for name in names:
        mend(source, folder / name, 0, np.full((2, 500), 0.5), force=True)
        assert is_whole(folder / name, source)
    assert sorted(os.listdir(folder)) == sorted(names)


def test_interrupts_at_any_time(write, tmp_path):
    source = write("long.wav", np.random.default_rng(0).uniform(-0.9, 0.9, (400_000, 2)))
    folder = tmp_path / "out"
    folder.mkdir()
    names = [f"{turn}.wav" for turn in range(20)]
    for name, codes in work("interrupt", source, folder, *names).items():
        assert codes in ([0], [130]), name
        assert (folder / name).exists() or codes == [130]
    for path in folder.iterdir():
        assert is_whole(path, source)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".aiff"])
def test_a_limit_on_the_size_of_files(source, mend, tmp_path, suffix):
    mend(source, tmp_path / f"whole{suffix}", 0, np.full((2, 500), 0.5))
    size = (tmp_path / f"whole{suffix}").stat().st_size
    folder = tmp_path / "out"
    folder.mkdir()
    limits = [0, 20, 5000, size // 2, size - 3000, size - 1]
    names = [f"{limit}-limit{suffix}" for limit in limits]
    assert work("starve", source, folder, *names) == {name: [1] for name in names}
    assert os.listdir(folder) == []


def test_races_have_one_winner(source, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    names = [f"{turn}.wav" for turn in range(20)]
    for name, codes in work("race", source, folder, *names).items():
        assert sorted(codes) == [0, 2]
        assert is_whole(folder / name, source, (0.25, 0.75)[codes.index(0)])
    assert sorted(os.listdir(folder)) == sorted(names)
