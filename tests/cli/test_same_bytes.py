"""The same seed gives the same bytes, in any process, beside others, and for any size of block."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from audiomend.models import store
from audiomend.models.prior import load

VERBS = {
    "declip": ("--clip-level", "0.3"),
    "inpaint": ("--gap", "0.3-0.34"),
    "extend": ("--cutoff-hz", "1500"),
    "degrade clip": ("--sdr-db", "6"),
    "degrade lowpass": ("--cutoff-hz", "1500"),
    "degrade gap": ("--gap", "0.3-0.34"),
    "declick": (),
    "restore": ("--only", "declick"),
    "degrade softclip": ("--sdr-db", "20"),
    "degrade dropout": ("--gap", "0.3-0.34"),
    "degrade click": (),
}
DEFAULTS = {
    "blend": ("declip",),
    "janssen and diffusion": ("inpaint",),
    "similarity": ("inpaint", "--gap", "0.2-0.35", "--method", "similarity"),
    "replication": ("extend", "--cutoff-hz", "1500"),
    "stages": ("restore",),
}
"""What is taken where no model is named; the default one has learned nothing here."""
WALKED = ("declip", "inpaint", "extend")
SEEDED = (*WALKED, "janssen and diffusion", "stages")
WORKER = """
import json, sys
from audiomend.cli.app import run
from audiomend.models import store
from audiomend.models.prior import load
store.DEFAULT = sys.argv[2]
for line in json.loads(sys.argv[1]):
    assert run(line) == 0, line
"""


def lines(source: Path, folder: Path, model: Path, turns: int, seed: int = 5) -> list[list[str]]:
    """Each verb so many times, into a folder."""
    folder.mkdir()
    found = []
    for verb, options in VERBS.items():
        how = ("--model", str(model), "--steps", "2", "--seed", str(seed)) if verb in WALKED else ()
        names = [folder / f"{verb}-{turn}.wav" for turn in range(turns)]
        found += [[*verb.split(), str(source), str(name), *options, *how] for name in names]
    return found


def lines_by_default(source: Path, folder: Path, threads: int, seed: int = 5) -> list[list[str]]:
    """Each of DEFAULTS once, into a folder."""
    how = ("--seed", str(seed), "--threads", str(threads))
    names = {name: str(folder / f"{name}-0.wav") for name in DEFAULTS}
    return [[verb, str(source), names[name], *rest, *how] for name, (verb, *rest) in DEFAULTS.items()]


def noise() -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((2, 6000)).clip(-2, 2)


def damaged() -> np.ndarray:
    """Half a second of tones, clipped, with a gap and clicks: something for the stages of restore."""
    t = np.arange(4000) / 8000
    x = sum(np.sin(2 * np.pi * hz * t + hz) for hz in (200, 331, 770, 1400)) * (0.3 + np.sin(2 * np.pi * t))
    x = (0.12 * x + 0.003 * np.random.default_rng(0).standard_normal(4000)).clip(-0.3, 0.3)
    x[2000:2080] = 0
    x[[500, 1250, 3250]] += 0.5
    return x


def hashes(folder: Path, verb: str) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob(f"{verb}-*.wav")}


@pytest.fixture
def as_default(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The small model stands for the shipped one, which may be loaded already."""
    load.cache_clear()
    monkeypatch.setattr(store, "DEFAULT", str(model))
    yield
    load.cache_clear()


@pytest.mark.usefixtures("as_default")
def test_five_runs_in_one_and_in_two_workers(
    cli: Callable, write: Callable, model: Path, tmp_path: Path
) -> None:
    """Those by default run once each, with one thread here and in a worker, and with two in the other."""
    source, holed = write("in.wav", noise()), write("holed.wav", damaged())
    folders = [tmp_path / "one", tmp_path / "two"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = []
    for threads, folder in enumerate(folders, 1):
        work = json.dumps(lines(source, folder, model, 2) + lines_by_default(holed, folder, threads))
        command = [sys.executable, "-c", WORKER, work, str(model)]
        workers.append(subprocess.Popen(command, env=environment))
    assert [worker.wait() for worker in workers] == [0, 0]
    here, other = tmp_path / "here", tmp_path / "other"
    for line in lines(source, here, model, 1) + lines_by_default(holed, here, threads=1):
        assert cli(*line).code == 0
    for line in lines(source, other, model, 1, seed=6) + lines_by_default(holed, other, threads=1, seed=6):
        assert cli(*line).code == 0
    for verb in (*VERBS, *DEFAULTS):
        found = [hashes(folder, verb) for folder in (*folders, here)]
        assert len(found[0] | found[1] | found[2]) == 1, verb
        assert (hashes(other, verb) != found[0]) == (verb in SEEDED), verb


@pytest.mark.parametrize("verb", ["declip", "inpaint", "extend"])
def test_the_blocks_of_the_survey_do_not_show(
    verb: str, cli: Callable, write: Callable, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write("in.wav", noise())
    written = []
    for block in (1 << 20, 1 << 10):
        monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", block)
        output = tmp_path / f"{block}.wav"
        assert cli(verb, source, output, *VERBS[verb], "--model", model, "--steps", 2).code == 0
        written.append(output.read_bytes())
    assert written[0] == written[1]
