"""What a long recording of which 1 % is damaged costs; prints time and memory.

    python benchmarks/long_files.py --minutes 10 20 60
    python benchmarks/long_files.py --commands "declip --method ss-pew" "inpaint --method janssen"
    python benchmarks/long_files.py --commands inspect --minutes 15 600 --rate 8000 --channels 1

24 bits, made of the demo's phrase; 48 kHz and stereo without --rate and --channels. Every 100 s hold 0.8 s
that are clipped, three gaps of 20 to 100 ms and five clicks. Each run has a process of its own, of one
thread, whose largest resident memory is told.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.audio.resample import resample
from audiomend.report.phrase import synthesise

RATE = 48_000
BLOCK_S = 100
CEILING = 0.9
LOUD_S = (32.2, 33.0)  # of a block
GAPS = ((11.3, 0.02), (51.6, 0.045), (81.2, 0.1))  # start and length in seconds
CLICKS = (5.1, 22.7, 43.3, 64.9, 93.4)


def blocks(minutes: float, rate: int, channels: int) -> Iterator[NDArray[np.float64]]:
    """The damaged recording, (time, channels) at a time."""
    phrases = [resample(synthesise(seed)[0][:channels], RATE, rate) for seed in range(5)]
    draw, loud = np.random.default_rng(0), slice(*(round(at_s * rate) for at_s in LOUD_S))
    for _ in range(round(60 * minutes / BLOCK_S)):
        x = np.concatenate([phrases[k] * draw.uniform(0.4, 0.6) for k in draw.integers(5, size=24)], axis=1)
        x = x[:, : BLOCK_S * rate] + 1e-5 * draw.standard_normal((channels, BLOCK_S * rate))
        x[:, loud] *= 3 * CEILING / np.abs(x[:, loud]).max()
        for start_s, length_s in GAPS:
            x[:, round(start_s * rate) : round((start_s + length_s) * rate)] = 0
        for at_s in CLICKS:
            x[:, round(at_s * rate) : round(at_s * rate) + 8] += draw.uniform(-0.5, 0.5, 8)
        yield np.clip(x, -CEILING, CEILING).T


def write(path: Path, minutes: float, rate: int = RATE, channels: int = 2) -> None:
    """The damaged recording as a file."""
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_24") as file:
        for block in blocks(minutes, rate, channels):
            file.write(block)


def mended(command: str, source: Path, output: Path) -> dict[str, Any]:
    """What an `audiomend` command tells with --json, and its time and memory; `inspect` has no output."""
    program = [sys.executable, "-m", "audiomend.cli.main", *shlex.split(command), str(source), "--json"]
    if not command.startswith("inspect"):
        program += [str(output), "--force", "--threads", "1"]
    own = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as told, subprocess.Popen(program, stdout=told, env=own) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        found = json.loads(told.read())
    cost = {
        "wall_s": time.monotonic() - begun,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    return {**found, **cost}


def stages(told: dict[str, Any]) -> str:
    """What `restore` did, and in how many seconds; empty for the other commands."""
    done = told.get("done", [])
    return ", ".join(f"{one['stage']} by {one['method'] or 'nothing'} {one['seconds']:.0f}" for one in done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 20.0])
    parser.add_argument("--commands", nargs="+", default=["restore"], help="of audiomend, with options")
    parser.add_argument("--rate", type=int, default=RATE, help="in Hz")
    parser.add_argument("--channels", type=int, choices=(1, 2), default=2)
    given = parser.parse_args()
    print("| command | minutes | wall, s | CPU, s | peak, MiB | changed | stages, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for minutes in given.minutes:
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder, "in.wav"), Path(folder, "out.wav")
            write(source, minutes, given.rate, given.channels)
            for command in given.commands:
                told = mended(command, source, output)
                cost = f"{told['wall_s']:.0f} | {told['cpu_s']:.0f} | {told['peak_mib']:.0f}"
                share = f"{told['changed']['share']:.3%}" if "changed" in told else ""
                print(f"| {command} | {minutes:g} | {cost} | {share} | {stages(told)} |", flush=True)


if __name__ == "__main__":
    main()
