"""Many files by one command: what is written, what is said, with which exit code it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.cli import console
from audiomend.restorers.manifest import NAME

RATE = 8000
QUICK = ("--model", "wiener", "--steps", 2)
TONE = 0.45 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Two clipped files, one of them within a folder, one unchanged and one that is no sound."""
    folder = tmp_path / "tape"
    (folder / "side").mkdir(parents=True)
    soundfile.write(folder / "a.wav", np.clip(TONE, -0.3, 0.3), RATE)
    soundfile.write(folder / "side" / "b.flac", np.clip(TONE, -0.3, 0.3), RATE)
    soundfile.write(folder / "whole.wav", TONE, RATE)
    (folder / "text.wav").write_text("text")
    return folder


def test_a_folder_is_mended_as_far_as_it_can_be(cli: Callable, tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("declip", tape, "-o", out, "--recursive", *QUICK, "--json")
    assert done.code == 3
    assert done.err.count("Warning: ") == 1
    assert "text.wav is not a sound file" in done.err
    assert done.err.endswith(f"{out}: 4 files, 2 mended, 1 failed, 1 unchanged.\n")
    assert done.json["schema"] == "audiomend.batch/1"
    assert (done.json["verb"], done.json["folder"]) == ("declip", str(out))
    states = {file["output"]: file["state"] for file in done.json["files"]}
    assert states == {
        "a.wav": "mended",
        "side/b.flac": "mended",
        "text.wav": "failed",
        "whole.wav": "unchanged",
    }
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
        "a.wav",
        NAME,
        "b.flac",
        "whole.wav",
    ]
    assert (soundfile.read(out / "whole.wav")[0] == soundfile.read(tape / "whole.wav")[0]).all()

    single = tmp_path / "single.wav"
    assert cli("declip", tape / "a.wav", single, *QUICK).code == 0
    assert single.read_bytes() == (out / "a.wav").read_bytes()

    again = cli("declip", tape, "-o", out, "--recursive", *QUICK, "--json")
    assert again.code == 3
    assert {file["output"]: file["done_before"] for file in again.json["files"]} == {
        "a.wav": True,
        "side/b.flac": True,
        "text.wav": False,
        "whole.wav": True,
    }
    other = cli("declip", tape, "-o", out, "--recursive", *QUICK, "--strength", 0.5, "--json")
    assert not any(file["done_before"] for file in other.json["files"])


def test_files_of_several_places(cli: Callable, tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("declip", tape / "a.wav", tape / "side", "-o", out, *QUICK)
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert sorted(path.name for path in out.iterdir()) == ["a.wav", NAME, "b.flac"]


def test_nothing_but_failures(cli: Callable, tape: Path, tmp_path: Path) -> None:
    assert cli("extend", tape / "text.wav", "-o", tmp_path / "out", *QUICK).code == 1
    done = cli("declip", tape / "lost.wav", tape / "text.wav", "-o", tmp_path / "out", *QUICK)
    assert (done.code, done.err.count("Warning: ")) == (1, 2)


@pytest.mark.parametrize("command", [("declip", *QUICK), ("restore", "--only", "declip")])
def test_a_name_that_is_not_there_is_a_failed_file(
    cli: Callable, tape: Path, tmp_path: Path, command: tuple[object, ...]
) -> None:
    verb, *options = command
    out, lost = tmp_path / "out", tape / "lost.wav"
    done = cli(verb, tape / "a.wav", lost, tape / "side", "-o", out, *options, "--json")
    assert done.code == 3
    assert done.err == f"Warning: {lost} does not exist.\n{out}: 3 files, 2 mended, 1 failed.\n"
    told = {file["output"]: (file["state"], file["message"]) for file in done.json["files"]}
    assert list(told) == ["a.wav", "lost.wav", "b.flac"]
    assert [state for state, _ in told.values()] == ["mended", "failed", "mended"]
    assert told["lost.wav"][1] == f"{lost} does not exist"
    assert not (out / "lost.wav").exists()
    single = cli(verb, lost, out / "lost.wav", *options)
    assert (single.code, single.err.count("\n")) == (1, 1)
    assert single.err.startswith("Error: ")


def test_each_file_is_told_of(
    cli: Callable, tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    out = tmp_path / "out"
    said = cli("declip", tape / "a.wav", tape / "whole.wav", "-o", out, *QUICK).err
    assert f"{out / 'a.wav'}: 2" in said
    assert "samples changed" in said
    assert f"{out}: 2 files, 1 mended, 1 unchanged." in said
    assert f"{tape / 'a.wav'} was done before." in cli("declip", tape / "a.wav", "-o", out, *QUICK).err


DAMAGES = {
    "clip": ("--sdr-db", 7),
    "softclip": (),
    "click": ("--seed", 3),
    "dropout": ("--gap", "0.2-0.3"),
    "lowpass": ("--cutoff-hz", 300),
    "gap": ("--gap", "0.2-0.3", "--band", "300-600"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_is_damaged_as_single_files_are(
    cli: Callable, tape: Path, tmp_path: Path, damage: str
) -> None:
    out, single = tmp_path / "out", tmp_path / "single.flac"
    done = cli("degrade", damage, tape, "-o", out, "--recursive", *DAMAGES[damage])
    assert (done.code, done.out) == (3, b"")
    assert f"Warning: {tape / 'text.wav'} is not a sound file" in done.err
    assert done.err.endswith(f"{out}: 4 files, 3 damaged, 1 failed.\n")
    assert cli("degrade", damage, tape / "side" / "b.flac", single, *DAMAGES[damage]).code == 0
    assert (out / "side" / "b.flac").read_bytes() == single.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["a.wav", NAME, "side", "whole.wav"]


def test_damaging_goes_on_where_it_was_stopped(cli: Callable, tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tape / "text.wav").unlink()
    command = (tape, "-o", out, "--recursive")
    assert cli("degrade", "clip", *command, "--jobs", 2).code == 0
    soundfile.write(tape / "late.wav", 0 * TONE, RATE)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*[vc]")}
    late = cli("degrade", "clip", *command)
    assert late.code == 3
    assert late.err == (
        f"Warning: {tape / 'late.wav'} is silent: there is nothing to clip.\n"
        f"{out}: 4 files, 3 done before, 1 failed.\n"
    )
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.*[vc]")} == before
    (tape / "late.wav").unlink()
    for damage, *options in (
        ("clip", "--sdr-db", 7),
        ("softclip", "--sdr-db", 7),
        ("softclip", "--sdr-db", 7, "--clip-mode", "clamp"),
    ):
        assert cli("degrade", damage, *command, *options).code == 0
        after = {path: path.stat().st_mtime_ns for path in out.rglob("*.*[vc]")}
        assert not after.items() & before.items()
        before = after


def test_what_damages_nothing_is_told_apart(
    cli: Callable, tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    soundfile.write(tape / "silence.wav", 0 * TONE, RATE)
    names = (tape / "a.wav", tape / "silence.wav")
    said = cli("degrade", "lowpass", *names, "-o", tmp_path / "out", "--cutoff-hz", 300).err
    assert f"{tmp_path / 'out' / 'a.wav'}: nothing is left above 300 Hz." in said
    assert f"{tmp_path / 'out'}: 2 files, 1 damaged, 1 unchanged." in said


BAD = [
    (
        "declip a.wav",
        "Missing argument 'OUT': give IN and OUT, or any number of files and folders with -o DIR",
    ),
    ("declip a.wav b.wav c.wav", "3 names are too many: give IN and OUT"),
    ("declip a.wav out.wav --recursive", "--recursive and --jobs are for many files, so they need -o DIR"),
    ("declip a.wav out.wav --jobs 2", "--recursive and --jobs are for many files, so they need -o DIR"),
    ("declip a.wav -o out --report page.html", "--report names one file, so it cannot go with -o"),
    ("declip a.wav -o out --residue r.wav", "--residue names one file, so it cannot go with -o"),
    ("declip a.wav -o out --preview-steps p", "--preview-steps names one file, so it cannot go with -o"),
    ("declip - -o out", "a pipe has no name, so it cannot go with -o"),
    ("declip a.wav -o .", "a.wav would be its own output"),
    ("declip a.wav -o a.wav", "a.wav cannot be made a folder"),
    ("declip a.wav -o out --jobs 0", "--jobs is 0; it must be 1 or more"),
    ("declip a.wav -o out --model pryor", "There is no model pryor"),
    ("declip a.wav -o out --preset dps2", "The preset dps2 is unknown"),
    ("degrade clip a.wav", "Missing argument 'OUT': give IN and OUT, or any number of files and folders"),
    ("degrade clip a.wav out.wav --jobs 2", "--recursive and --jobs are for many files, so they need -o DIR"),
    ("degrade gap a.wav -o . --gap 0.1-0.2", "a.wav would be its own output"),
    ("degrade clip a.wav other/a.wav -o out", "a.wav and other/a.wav would both become out/a.wav"),
    ("declip a.wav other/a.wav -o out", "a.wav and other/a.wav would both become out/a.wav"),
    ("degrade click a.wav -o out --seed -1", "--seed is -1; it must be 0 or more"),
    ("inspect a.wav whole.wav --plan p.json", "--plan is of one file, so it cannot go with several"),
    ("inspect . --report page.html", "--report is of one file, so it cannot go with several or a folder"),
    ("inspect empty", "no sound file was found in empty; --recursive looks into the folders within, too"),
]


@pytest.mark.parametrize(("command", "message"), BAD, ids=[command for command, _ in BAD])
def test_what_cannot_be(
    cli: Callable, tape: Path, monkeypatch: pytest.MonkeyPatch, command: str, message: str
) -> None:
    monkeypatch.chdir(tape)
    Path("empty").mkdir()
    done = cli(*command.split())
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not list(Path("out").glob("*.wav"))


def test_what_a_file_refuses_is_told_in_its_and_the_option_s_name(
    cli: Callable, tape: Path, tmp_path: Path
) -> None:
    done = cli("extend", tape / "whole.wav", "-o", tmp_path / "out", "--cutoff-hz", 5000, *QUICK)
    assert done.code == 1
    assert "whole.wav: --cutoff-hz is 5000; at 8000 Hz it must lie from 20 Hz" in done.err


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_batch_leaves_what_is_whole(tape: Path, tmp_path: Path, jobs: int) -> None:
    for k in range(12):
        soundfile.write(tape / f"{k:02}.wav", np.tile(np.clip(TONE, -0.3, 0.3), 5), RATE)
    (tape / "text.wav").unlink()
    out = tmp_path / "out"
    command = [sys.executable, "-m", "audiomend.cli.main", "declip", tape, "-o", out, "--jobs", jobs]
    process = subprocess.Popen([*map(str, command), *map(str, QUICK)], stderr=subprocess.PIPE)
    while len(list(out.glob("*.wav"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    begun = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, said) == (130, b"Interrupted.\n")
    assert time.monotonic() - begun < 5
    left = [path for path in out.iterdir() if not path.name.startswith(NAME)]
    assert len(left) < 14
    for path in left:
        assert len(soundfile.read(path)[0]) in (RATE, 5 * RATE)
