"""Commands whose disk fails, that race each other, or that are given one file under two names."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio import atomic

RATE = 8000
QUICK = ("--method", "ar", "--clip-level", 0.3)
FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR)
TONE = 0.45 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A clipped tone whose output takes more than 30 writes of 8 kB."""
    soundfile.write(tmp_path / "in.wav", np.tile(np.clip(TONE, -0.3, 0.3), 4), RATE)
    return tmp_path / "in.wav"


class FailingOs:
    """The module os, whose n-th write fails."""

    def __init__(self, turn: int, number: int) -> None:
        self.left, self.number = turn, number

    def write(self, descriptor: int, content: bytes) -> int:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        return os.write(descriptor, content)

    def __getattr__(self, name: str):
        return getattr(os, name)


def test_each_of_the_first_30_writes_may_fail(
    source: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault at some of them; tests/audio/test_faults.py has each at each."""
    before = source.read_bytes()
    for turn in range(1, 31):
        faulty = FailingOs(turn, FAULTS[turn % len(FAULTS)])
        monkeypatch.setattr(atomic, "os", faulty)
        done = cli("degrade", "clip", source, tmp_path / "out.wav", "--sdr-db", 10)
        assert faulty.left <= 0
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert " cannot be written: " in done.err  # the output, or a temporary file
        assert os.listdir(tmp_path) == ["in.wav"]
    assert source.read_bytes() == before


@pytest.mark.parametrize("turn", [1, 2, 20])
def test_a_restoration_whose_disk_is_full(
    turn: int, source: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = source.read_bytes()
    monkeypatch.setattr(atomic, "os", FailingOs(turn, errno.ENOSPC))
    done = cli("restore", source, tmp_path / "out.wav", "--only", "offset")
    assert (done.code, done.err.count("\n")) == (1, 1), done.err
    assert "cannot be written: the disk is full" in done.err
    assert os.listdir(tmp_path) == ["in.wav"]
    assert source.read_bytes() == before


LINKS: dict[str, Callable[[Path, Path], object]] = {
    "symbolic": lambda link, source: link.symlink_to(source.name),
    "symbolic, twice": lambda link, source: (
        link.with_name("between.wav").symlink_to(source),
        link.symlink_to("between.wav"),
    ),
    "hard": lambda link, source: os.link(source, link),
    "through a folder": lambda link, source: None,
}


@pytest.mark.parametrize("verb", ["declip", "restore", "degrade clip"])
@pytest.mark.parametrize("kind", LINKS)
def test_another_name_of_the_input_is_no_output(
    kind: str, verb: str, source: Path, cli: Callable, tmp_path: Path
) -> None:
    before, out = source.read_bytes(), tmp_path / "out.wav"
    LINKS[kind](out, source)
    if kind == "through a folder":
        (tmp_path / "folder").symlink_to(".")
        out = tmp_path / "folder" / "in.wav"
    done = cli(*verb.split(), source, out)
    assert done.code == 2
    assert "is the input itself; give another OUT, or --force" in done.err
    assert source.read_bytes() == before


@pytest.mark.parametrize("option", ["--residue", "--report"])
def test_what_is_written_beside_is_never_the_input(
    option: str, source: Path, cli: Callable, tmp_path: Path
) -> None:
    before, link = source.read_bytes(), tmp_path / "link.wav"
    link.symlink_to(source)
    done = cli("declip", source, tmp_path / "out.wav", *QUICK, option, link)
    assert done.code == 2
    assert source.read_bytes() == before
    assert not (tmp_path / "out.wav").exists()


RACE = """
import sys
sys.stdin.read(1)
from audiomend.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def test_two_processes_with_one_output(source: Path, cli: Callable, tmp_path: Path) -> None:
    """One wins, and the file is its own; tests/audio/test_faults.py has twenty races of the writing alone."""
    finals = [tmp_path / "6 dB.wav", tmp_path / "12 dB.wav"]
    for final, level in zip(finals, (6, 12), strict=True):
        assert cli("degrade", "clip", source, final, "--sdr-db", level).code == 0
    out = tmp_path / "out.wav"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, "degrade", "clip", source, out, "--sdr-db", level],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for level in ("6", "12")
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"\n")
        racer.stdin.close()
    codes = [racer.wait() for racer in racers]
    assert sorted(codes) == [0, 2]
    assert out.read_bytes() == finals[codes.index(0)].read_bytes()
    assert out.read_bytes() != finals[codes.index(2)].read_bytes()
