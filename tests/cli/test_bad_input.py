"""What cannot be used: the exit code, one sentence that names it, and nothing lost or left behind."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomend.models.card import CARD


def damaged_wave(frames: int = 4000) -> np.ndarray:
    return np.clip(0.6 * np.sin(2 * np.pi * 440 * np.arange(frames) / 8000), -0.5, 0.5)


def wav_of(rate: int, channels: int) -> bytes:
    """A WAV that declares any rate and channel count."""
    data = bytes(4 * channels)
    form = struct.pack("<HHIIHH", 1, channels, rate, min(rate * channels * 2, 2**32 - 1), channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_files(folder: Path, write: Callable[..., Path]) -> None:
    """Everything that the table below names."""
    nan = damaged_wave()
    nan[[100, 2000]] = np.nan, np.inf
    write("in.wav", damaged_wave())
    write("taken.wav", damaged_wave())
    write("nan.wav", nan, subtype="FLOAT")
    write("none.wav", np.zeros((1, 0)))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("This is no sound.")
    (folder / "labels.txt").write_text("0.1\t0.2\tclick\n0.3\t0.9\tbeyond\n")
    (folder / "slow.wav").write_bytes(wav_of(999, 1))
    (folder / "fast.wav").write_bytes(wav_of(768_001, 1))
    (folder / "many.wav").write_bytes(wav_of(8000, 65))
    (folder / "folder.wav").mkdir()
    (folder / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(folder / "fifo.wav")


FILES = [
    ("missing.wav", 1, "missing.wav cannot be read: there is no such file"),
    ("empty.wav", 1, "empty.wav is empty (0 bytes)"),
    ("none.wav", 1, "none.wav holds no sample"),
    ("nan.wav", 1, "nan.wav holds 2 samples that are NaN, infinite"),
    ("nan.wav", 1, "the first at 0.013 s (frame 100, channel 0)"),
    ("text.wav", 1, "text.wav is not a sound file that can be read"),
    ("fifo.wav", 1, "fifo.wav is a pipe or a device"),
    ("folder.wav", 1, "folder.wav is a folder"),
    ("loop.wav", 1, "loop.wav cannot be read"),
    ("slow.wav", 1, "slow.wav has a sample rate of 999 Hz; 1,000 to 768,000 Hz are allowed"),
    ("fast.wav", 1, "fast.wav has a sample rate of 768,001 Hz"),
    ("many.wav", 1, "many.wav has 65 channels; 1 to 64 are allowed"),
]
COMMANDS = [
    ("declip in.wav in.wav", 2, "in.wav is the input itself"),
    ("declip in.wav ./taken.wav", 2, "taken.wav exists; --force replaces it"),
    ("declip in.wav folder.wav", 2, "folder.wav is a folder"),
    ("declip in.wav fifo.wav", 2, "fifo.wav is a pipe or a device"),
    ("declip in.wav nowhere/out.wav", 1, "nowhere/out.wav cannot be written: the folder does not exist"),
    ("declip in.wav in.wav/out.wav", 1, "in.wav/out.wav cannot be written"),
    (f"declip in.wav {'n' * 300}.wav", 1, "cannot be written"),
    ("declip in.wav /proc/out.wav", 1, "/proc/out.wav cannot be written"),
    ("declip in.wav out.xyz", 2, "an output cannot end in '.xyz'"),
    ("declip in.wav out.flac --clip-mode float", 2, "out.flac cannot hold floats"),
    ("declip in.wav out.wav --residue out.wav", 2, "out.wav is the output itself"),
    ("declip in.wav out.wav --residue taken.wav", 2, "taken.wav exists; --force replaces it"),
    ("declip in.wav out.wav --residue -", 2, "the residue cannot go to a pipe"),
    ("declip in.wav out.wav --report taken.wav", 2, "taken.wav exists; --force replaces it"),
    ("declip in.wav out.wav --report out.wav", 2, "PAGE.html and the residue are different files"),
    ("declip in.wav out.wav --report x.wav --residue x.wav", 2, "the residue are different files"),
    ("declip in.wav out.wav --report nowhere/page.html", 1, "nowhere/page.html cannot be written"),
    ("declip in.wav - --report page.html", 2, "--report reads IN and OUT once more"),
    ("declip in.wav - --json", 2, "--json"),
    ("declip in.wav out.wav --clip-level 0", 2, "--clip-level is 0; it must be above 0"),
    ("declip in.wav out.wav --clip-level nan", 2, "--clip-level is nan; it must be above 0"),
    ("declip in.wav out.wav --strength 1.5", 2, "--strength is 1.5; it must lie between 0 and 1"),
    ("declip in.wav out.wav --strength nan", 2, "--strength is nan; it must lie between 0 and 1"),
    ("declip in.wav out.wav --seed -1", 2, "--seed is -1; it must be a whole number from 0 to"),
    ("declip in.wav out.wav --steps 0", 2, "--steps is 0; it must be 1 or more"),
    ("declip in.wav out.wav --threads 0", 2, "--threads is 0; it must be 1 or more"),
    ("declip in.wav out.wav --quality finest", 2, "'finest' is not one of 'fast', 'balanced', 'best'"),
    ("declip in.wav out.wav --model wienner", 1, "Did you mean wiener?"),
    ("declip in.wav out.wav --model folder.wav", 1, "folder.wav holds no card.json"),
    ("declip in.wav out.wav --model changed", 1, "it is damaged or was changed"),
    ("declip in.wav out.wav --region 0.2-9", 2, "'0.2-9' ends at 9 s, outside the file, which is 0.500 s"),
    ("declip in.wav out.wav --region 0.4-0.2", 2, "'0.4-0.2' ends before it starts"),
    ("declip in.wav out.wav --region soon", 2, "'soon' is neither a span START-STOP nor an Audacity label"),
    ("declip in.wav out.wav --region labels.txt", 2, "line 2 of labels.txt ends at 0.9 s, outside the file"),
    ("inpaint in.wav out.wav --gap 0.4-0.6", 2, "'0.4-0.6' ends at 0.6 s, outside the file"),
    ("inpaint in.wav out.wav --gap 0.2-0.2", 2, "'0.2-0.2' holds no sample"),
    (
        "extend in.wav out.wav --cutoff-hz 4000",
        2,
        "--cutoff-hz is 4000; at 8000 Hz it must lie from 20 Hz",
    ),
    ("extend in.wav out.wav --cutoff-hz 5", 2, "to below 4000 Hz"),
    ("degrade clip in.wav out.wav --sdr-db 0", 2, "--sdr-db is 0; "),
    ("degrade lowpass in.wav out.wav --cutoff-hz 4001", 2, "--cutoff-hz is 4001; "),
    ("degrade softclip in.wav out.wav --sdr-db 0", 2, "--sdr-db is 0; "),
    ("degrade click in.wav out.wav --per-second 0", 2, "--per-second is 0; it must be above 0"),
    ("degrade click in.wav out.wav --seed -1", 2, "--seed is -1; it must be 0 or more"),
    ("degrade dropout in.wav out.wav --gap 0.1-0.2 --depth-db 0", 2, "--depth-db is 0; it must be above 0"),
    ("degrade gap in.wav out.wav --gap 0.4-0.6", 2, "outside the file"),
    ("degrade gap in.wav out.wav", 2, "Missing option '--gap'"),
    ("declip in.wav", 2, "Missing argument 'OUT'"),
    ("declip in.wav out.wav --cutoff-hz 4000", 2, "No such option: --cutoff-hz"),
    ("declip in.wav out.wav --qualty best", 2, "--quality"),
    ("declipp in.wav out.wav", 2, "Did you mean 'declip', 'declick'?"),
    ("evaluate in.wav missing.wav", 1, "missing.wav cannot be read"),
    ("evaluate in.wav taken.wav --damaged taken.wav", 2, "taken.wav equals in.wav: no sample is damaged"),
    ("evaluate in.wav in.wav --cutoff-hz 4000", 2, "--cutoff-hz is 4000; it must lie between 0 and 4000 Hz"),
    ("declip in.wav out.wav --method ar", 2, "--model is nothing for the method ar"),
    ("declick in.wav out.wav --method diffusion", 2, "'diffusion' is not one of 'auto', 'ar'"),
    ("generate out.wav --seconds 0", 2, "--seconds is 0; it must be above 0"),
    ("train tiny --data nowhere --out run", 2, "--data is nowhere, which is not a folder"),
    ("models import x.pt --as cqtdiff --sigma-data 0", 2, "--sigma-data is 0; it must lie above 0"),
    ("models show pryor", 1, "There is no model pryor"),
    ("train pryor", 2, "Did you mean prior?"),
    ("train tiny --max-minutes 0", 2, "--max-minutes is 0; it must be above 0"),
    ("benchmark declip --data nowhere --out results", 2, "nowhere"),
    ("benchmark denoise --data .", 2, "'denoise' is not one of 'declip', 'inpaint', 'band', 'extend', "),
]


@pytest.fixture
def folder(tmp_path: Path, write: Callable, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of every kind."""
    make_files(tmp_path, write)
    shutil.copytree(model, tmp_path / "changed")
    with (tmp_path / "changed" / "weights.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\x01")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    regular = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in regular}


def check_refusal(cli: Callable, folder: Path, arguments: list[object], code: int, words: str) -> None:
    before = content(folder)
    result = cli(*arguments)
    assert result.code == code, result.err
    assert words in result.err
    assert result.err.count("\n") == 1
    assert result.err.startswith("Error: ")
    assert result.out == b""
    assert content(folder) == before


@pytest.mark.parametrize("verb", ["declip", "degrade clip"])
@pytest.mark.parametrize(("name", "code", "words"), FILES)
def test_a_file_that_cannot_be_used(
    verb: str, name: str, code: int, words: str, cli: Callable, folder: Path
) -> None:
    check_refusal(cli, folder, [*verb.split(), name, "out.wav"], code, words)


@pytest.mark.parametrize(("line", "code", "words"), COMMANDS)
def test_a_command_that_cannot_be_used(line: str, code: int, words: str, cli: Callable, folder: Path) -> None:
    arguments = line.split()
    if arguments[0] in ("declip", "inpaint", "extend") and "--model" not in arguments:
        arguments += ["--model", "wiener"]
    check_refusal(cli, folder, arguments, code, words)


@pytest.mark.parametrize(
    "line",
    [
        "declip in.wav out.wav",
        "declip in.wav out.wav --method diffusion",
        "declip in.wav -o mended",
        "inpaint in.wav out.wav --method janssen",
        "extend in.wav out.wav --cutoff-hz 2000",
        "restore in.wav out.wav",
        "restore in.wav -o mended",
        "generate out.wav",
    ],
)
def test_a_device_that_is_not_there(
    line: str, cli: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    words = "The device cuda is not on this machine; there is cpu"
    check_refusal(cli, folder, [*line.split(), "--device", "cuda"], 2, words)


@pytest.mark.parametrize("verb", ["inpaint", "extend", "degrade lowpass", "degrade gap --gap 0.1-0.2"])
def test_every_command_refuses_what_is_no_number(verb: str, cli: Callable, folder: Path) -> None:
    check_refusal(cli, folder, [*verb.split(), "nan.wav", "out.wav"], 1, "2 samples that are NaN, infinite")


@pytest.mark.parametrize("files", ["in.wav nan.wav", "nan.wav in.wav", "in.wav in.wav --damaged nan.wav"])
def test_no_figure_is_made_of_what_is_no_number(files: str, cli: Callable, folder: Path) -> None:
    check_refusal(cli, folder, ["evaluate", *files.split()], 1, "2 samples that are NaN, infinite")


def test_a_card_that_is_none(cli: Callable, folder: Path) -> None:
    (folder / "changed" / CARD).write_text("{")
    check_refusal(cli, folder, ["declip", "in.wav", "out.wav", "--model", "changed"], 1, "as a card")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written(cli: Callable, folder: Path) -> None:
    (folder / "in.wav").chmod(0)
    check = ["declip", "in.wav", "out.wav", "--model", "wiener"]
    try:
        result = cli(*check)
        assert (result.code, result.err) == (1, "Error: in.wav cannot be read: permission denied.\n")
    finally:
        (folder / "in.wav").chmod(0o600)
    folder.chmod(0o500)
    try:
        result = cli(*check)
        assert (result.code, result.err) == (1, "Error: out.wav cannot be written: permission denied.\n")
    finally:
        folder.chmod(0o700)
