"""--samples, --preview-steps and generate: what is written beside OUT, and when nothing is."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
QUICK = ("--model", "wiener", "--steps", 2)
FINER = ("--model", "wiener", "--steps", 12)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def holed(write: Callable) -> Path:
    x = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    x[4000:4160] = 0
    return write("in.wav", x)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_samples_stand_beside_the_output_which_stays_as_it_is(
    cli: Callable, holed: Path, tmp_path: Path
) -> None:
    assert cli("inpaint", holed, tmp_path / "alone.wav", *FINER, "--seed", 5).code == 0
    out = tmp_path / "out.wav"
    result = cli("inpaint", holed, out, *FINER, "--seed", 5, "--samples", 3, "--json")
    assert result.code == 0, result.err
    assert sha256(out) == sha256(tmp_path / "alone.wav")
    told = result.json["samples"]
    assert [file["seed"] for file in told["files"]] == [5, 6, 7]
    paths = [Path(file["path"]) for file in told["files"]]
    assert [path.name for path in paths] == [f"out.sample-{n}.wav" for n in (1, 2, 3)]
    assert [file["sha256"] for file in told["files"]] == [sha256(path) for path in paths]
    before = soundfile.read(holed)[0]
    sounds = np.stack([soundfile.read(path)[0] for path in paths])
    outside = np.ones(RATE, bool)
    outside[4000:4160] = False
    assert (sounds[:, outside] == before[outside]).all()
    gap = sounds[:, ~outside]
    share = gap.var(axis=0, ddof=1).sum() / np.square(gap).mean(axis=0).sum()
    assert told["started_from"] == "noise alone"
    assert told["share"] == pytest.approx(share, rel=1e-3)
    assert 0 < share < 1


def test_without_damage_there_are_no_samples(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source = write("in.wav", 0.3 * np.sin(np.arange(RATE)))
    result = cli("inpaint", source, tmp_path / "out.wav", *QUICK, "--samples", 2, "--json")
    assert result.code == 0
    assert result.json["samples"] is None
    assert names(tmp_path) == ["in.wav", "out.wav"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--samples", 1), "--samples is 1; 2 or more show where they differ"),
        (("--samples", -1), "--samples is -1; "),
        (("--samples", 2, "--residue", "out.sample-2.wav"), "is to be a posterior sample"),
        (("--samples", 2, "--report", "out.sample-2.wav"), "are different files"),
        (("--samples", 3), "taken.sample-3.wav exists; --force replaces it"),
        (("--preview-steps", "in.wav"), "is a file; previews need a folder"),
        (("--preview-steps", "old"), "holds step-01.wav; --force replaces it"),
        (("--preview-steps", "no/where"), "cannot be written: the folder does not exist"),
        (("--preview-steps", "new", "--sampler", "daps"), "walks without a solver, so it has no previews"),
        (("--preview-steps", ".", "--residue", "step-7.wav"), "has the name of a preview"),
        (("--preview-steps", "new", "--method", "janssen"), "and the method janssen has none"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    options: tuple, said: str, cli: Callable, holed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "step-01.wav").write_bytes(b"mine")
    (tmp_path / "taken.sample-3.wav").write_bytes(b"mine")
    before = names(tmp_path)
    output = "taken.wav" if "taken" in said else "out.wav"
    result = cli("inpaint", holed.name, output, *QUICK, *options)
    assert result.code == 2 if "cannot be written" not in said else result.code == 1
    assert said in result.err
    assert names(tmp_path) == before
    assert (tmp_path / "old" / "step-01.wav").read_bytes() == b"mine"


def test_samples_of_a_pipe_are_refused(cli: Callable, holed: Path) -> None:
    result = cli("inpaint", holed, "-", *QUICK, "--samples", 2)
    assert result.code == 2
    assert "written beside OUT, so it cannot be -" in result.err


def test_force_replaces_samples_and_previews(cli: Callable, holed: Path, tmp_path: Path) -> None:
    options = (*QUICK, "--samples", 2, "--preview-steps", tmp_path / "steps")
    assert cli("inpaint", holed, tmp_path / "out.wav", *options).code == 0
    first = [sha256(tmp_path / "out.sample-1.wav"), sha256(tmp_path / "steps" / "step-01.wav")]
    assert cli("inpaint", holed, tmp_path / "out.wav", *options, "--force", "--seed", 9).code == 0
    assert [sha256(tmp_path / "out.sample-1.wav"), sha256(tmp_path / "steps" / "step-01.wav")] != first
    assert names(tmp_path) == ["in.wav", "out.sample-1.wav", "out.sample-2.wav", "out.wav", "steps"]


def test_previews_are_floats_as_long_as_the_file(cli: Callable, holed: Path, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    result = cli(
        "inpaint",
        holed,
        tmp_path / "out.wav",
        "--model",
        "wiener",
        "--steps",
        3,
        "--json",
        "--preview-steps",
        steps,
    )
    assert result.code == 0, result.err
    assert names(steps) == ["step-01.wav", "step-02.wav", "step-03.wav"]
    assert result.json["previews"] == [str(steps / name) for name in names(steps)]
    before, after = soundfile.read(holed)[0], soundfile.read(tmp_path / "out.wav")[0]
    for name in names(steps):
        info = soundfile.info(steps / name)
        assert (info.subtype, info.frames, info.samplerate) == ("FLOAT", RATE, RATE)
    last = soundfile.read(steps / "step-03.wav")[0]
    assert (last[:4000] == before[:4000]).all()
    np.testing.assert_allclose(last, after, atol=2**-15)
    assert (soundfile.read(steps / "step-01.wav")[0] != last).any()


def test_the_page_shows_and_plays_every_sample(cli: Callable, holed: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert cli("inpaint", holed, tmp_path / "out.wav", *QUICK, "--samples", 2, "--report", page).code == 0
    text = page.read_text()
    assert text.count("<audio") == 4
    for word in (
        "Sample 1",
        "Sample 2",
        "What differs between 2 posterior samples",
        "2, seeds 0 to 1, started from noise alone",
    ):
        assert word in text
    assert "the damaged signal (the output; the posterior samples say themselves)" in text
    assert re.search(r"In the \d+ of \d+ frames in which the samples differ", text)
    assert "was not measured for gaps" in text  # of the model wiener


def test_generate_writes_sound_and_says_what(cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "dream.flac"
    options = ("--model", "wiener", "--steps", 2, "--seconds", 0.25)
    result = cli("generate", out, *options, "--seed", 3, "--json")
    assert result.code == 0, result.err
    told = result.json
    assert told["schema"] == "audiomend.generate/1"
    assert told["output"]["sha256"] == sha256(out)
    assert (told["output"]["frames"], told["settings"]["seed"]) == (11_025, 3)
    info = soundfile.info(out)
    assert (info.frames, info.channels, info.subtype) == (11_025, 1, "PCM_24")
    assert cli("generate", out, *options).code == 2
    assert cli("generate", tmp_path / "a.wav", *options[:4], "--seconds", 0).code == 2
    assert cli("generate", "-", *options, "--json").code == 2
    assert cli("generate", tmp_path / "a.wav", "--model", "none-such").code == 1
    published = cli("generate", tmp_path / "p.wav", *options, "--preset", "cqtdiff", "--json").json
    assert published["settings"]["preset"] == "cqtdiff"
    assert published["settings"]["steps"] == 1  # of Heun's two a step
    (tmp_path / "p.wav").unlink()
    piped = cli("generate", "-", *options, "--seed", 3)
    assert piped.out[:4] == b"RIFF"
    assert names(tmp_path) == ["dream.flac"]
