"""The scripts of fuzz/: what comes of so many inputs or kills of seed 0. Each prints its count."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
COUNTS = {"audio_files": 20_000, "texts": 4_000}
OUTCOMES = {"audio_files": 2, "texts": 12}  # at least so many, or the inputs are too much alike


def run(script: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZ / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("script", COUNTS)
def test_no_input_ends_in_anything_but_what_it_may(script: str, tmp_path: Path) -> None:
    done = run(script, "--count", str(COUNTS[script]), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(f"{COUNTS[script]:,} inputs of seed 0: 0 failures\n")
    told = [int(count.replace(",", "")) for count in re.findall(r"^ +([\d,]+) ", done.stdout, re.MULTILINE)]
    assert sum(told) == COUNTS[script]
    assert len([count for count in told if count >= 10]) >= OUTCOMES[script]


@pytest.mark.nightly  # some 10 minutes
@pytest.mark.timeout(7200)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_batch_that_is_killed_leaves_nothing_damaged_and_ends_the_same() -> None:
    done = run("kills", "--count", "60")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("60 kills of seed 0, 15 batches: 0 failures\n")


BAD = """
import os, signal, sys, time
import harness

def check(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    while number == 5:
        pass
    if number == 7:
        raise ValueError("two\\nlines")
    if number == 8:
        bytearray(2 * harness.MOST_MEMORY)
    if number == 10:
        os._exit(4)
    return "even" if number % 2 == 0 else "odd"

harness.LONGEST_S = 0.2
most_mib = int(sys.argv.pop())
harness.main(check, harness.arguments(None, 12), most_mib)
"""


def test_crashes_hangs_and_what_is_raised_are_found() -> None:
    environment = {"PYTHONPATH": str(FUZZ)}
    command = [sys.executable, "-c", BAD, "--jobs", "2", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    first, *lines = done.stdout.splitlines()
    assert first == "12 inputs of seed 0: 5 failures"
    assert [line.split() for line in lines[:2]] == [["4", "even"], ["3", "odd"]]
    assert sorted(lines[2:-1]) == [
        "input 10: ended its process (exit code 4)",
        "input 3: ended its process (SIGSEGV)",
        "input 5: took more than 0.2 s",
        "input 7: ValueError: two lines",
        "input 8: MemoryError: ",
    ]
    assert done.returncode == 1
