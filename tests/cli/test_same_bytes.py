"""The same seed gives the same bytes, in any process, beside others, and for any size of block."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
WALKED = ("declip", "inpaint", "extend")
WORKER = """
import json, sys
from audiomend.cli.app import run
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


def hashes(folder: Path, verb: str) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob(f"{verb}-*.wav")}


def test_five_runs_in_one_and_in_two_workers(
    cli: Callable, write: Callable, model: Path, tmp_path: Path
) -> None:
    source = write("in.wav", 0.2 * np.random.default_rng(0).standard_normal((2, 6000)).clip(-2, 2))
    folders = [tmp_path / "one", tmp_path / "two"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(lines(source, folder, model, 2))], env=environment
        )
        for folder in folders
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    for line in lines(source, tmp_path / "here", model, 1):
        assert cli(*line).code == 0
    for line in lines(source, tmp_path / "other", model, 1, seed=6):
        assert cli(*line).code == 0
    for verb in VERBS:
        found = [hashes(folder, verb) for folder in (*folders, tmp_path / "here")]
        assert len(found[0] | found[1] | found[2]) == 1, verb
        assert (hashes(tmp_path / "other", verb) != found[0]) == (verb in WALKED), verb


@pytest.mark.parametrize("verb", ["declip", "inpaint", "extend"])
def test_the_blocks_of_the_survey_do_not_show(
    verb: str, cli: Callable, write: Callable, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write("in.wav", 0.2 * np.random.default_rng(0).standard_normal((2, 6000)).clip(-2, 2))
    written = []
    for block in (1 << 20, 1 << 10):
        monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", block)
        output = tmp_path / f"{block}.wav"
        assert cli(verb, source, output, *VERBS[verb], "--model", model, "--steps", 2).code == 0
        written.append(output.read_bytes())
    assert written[0] == written[1]
