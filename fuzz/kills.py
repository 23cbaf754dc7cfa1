"""Batches of `audiomend declick` that are killed: what is left is whole, and the same command ends the work.

    python fuzz/kills.py --count 60

Short files with clicks go through a batch of two processes. After a number of finished files and a pause,
both drawn by chance, SIGKILL ends the command alone or all of its processes, as a power cut would. Then no
file of an output's name may differ from what an undisturbed batch made of it, and no process may stay. After
some kills of one folder the command runs to its end: its outputs must have those hashes and no part file be
left.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from audiomend.restorers.manifest import NAME

RATE, FILES, CLICKS = 16_000, 20, 10
KILLS_EACH = 4  # of one folder before its batch is ended
LONGEST_PAUSE_S = 0.2  # after the files that are waited for: about what one takes
ENDED_S = 30.0  # within which all processes must be gone after a kill


def tape(folder: Path) -> None:
    """The files of a batch, 1 s each."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for number in range(FILES):
        x = 0.2 * np.sin(2 * np.pi * (220 + 10 * number) / RATE * np.arange(RATE))
        x += 0.01 * draw.standard_normal(RATE)
        x[draw.integers(RATE, size=CLICKS)] += 0.6
        soundfile.write(folder / f"{number:02}.wav", x, RATE, "PCM_16")


def begun(source: Path, out: Path, jobs: int) -> "subprocess.Popen[bytes]":
    """The command in a session of its own; what it prints ends when the last of its processes does."""
    command = [sys.executable, "-m", "audiomend.cli.main", "declick", str(source), "-o", str(out)]
    return subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def digests(out: Path) -> dict[str, str]:
    """Hashes of the outputs that are there, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.wav")}


def killed(process: "subprocess.Popen[bytes]", out: Path, chance: random.Random) -> tuple[str, list[str]]:
    """Kill a batch at random: when and how, in words, and what was wrong with it."""
    files, pause_s = chance.randrange(FILES - len(digests(out)) + 1), chance.uniform(0, LONGEST_PAUSE_S)
    alone, before = chance.random() < 0.5, len(list(out.glob("*.wav")))
    while process.poll() is None and not (
        (out / NAME).exists() and len(list(out.glob("*.wav"))) >= before + files
    ):
        time.sleep(0.005)
    time.sleep(pause_s)
    if process.poll() is not None:
        process.communicate()
        return "the batch had ended", []
    process.kill() if alone else os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=ENDED_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "", [f"processes were there {ENDED_S:g} s after the command was killed"]
    if alone:
        return "the command alone", []  # its processes take their part files with them
    amid = "in the middle of a file" if list(out.glob(".*.part")) else "between files"
    return f"all processes, {amid}", []


def differing(out: Path, expected: dict[str, str]) -> list[str]:
    """The outputs that are not what they should be."""
    return [f"{name} is damaged" for name, digest in digests(out).items() if expected[name] != digest]


def ended(source: Path, out: Path, jobs: int, expected: dict[str, str]) -> list[str]:
    """Run a batch to its end: what is wrong then."""
    process = begun(source, out, jobs)
    said, _ = process.communicate()
    wrong = [] if process.returncode == 0 else [f"exit code {process.returncode}: {said.decode()}"]
    if digests(out) != expected:
        wrong.append("its outputs are not those of an undisturbed batch")
    return wrong + [f"{path.name} was left" for path in out.glob(".*.part")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="kills (200)")
    parser.add_argument("--seed", type=int, default=0, help="of their times (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes of a batch (2)")
    given = parser.parse_args()
    chance, outcomes, failures = random.Random(given.seed), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        source, whole = Path(folder, "tape"), Path(folder, "whole")
        tape(source)
        begun(source, whole, given.jobs).communicate()
        expected, batches = digests(whole), 0
        for number in range(given.count):
            out = Path(folder, f"out{number // KILLS_EACH}")
            outcome, wrong = killed(begun(source, out, given.jobs), out, chance)
            outcomes[outcome] += not wrong
            wrong += differing(out, expected)
            if number % KILLS_EACH == KILLS_EACH - 1 or number == given.count - 1:
                wrong += ended(source, out, given.jobs, expected)
                batches += 1
            failures += [f"kill {number}: {what}" for what in wrong]
    print(f"{given.count:,} kills of seed {given.seed}, {batches} batches: {len(failures)} failures")
    for outcome, count in (+outcomes).most_common():
        print(f"{count:>10,} {outcome}")
    for failure in failures[:20]:
        print(failure)
    if failures or len(expected) != FILES:
        sys.exit(1)


if __name__ == "__main__":
    main()
