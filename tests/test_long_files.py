"""Memory does not follow the length of a file."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

RATE = 16_000
WITHIN = 1.05


def write(path: Path, minutes: int, rate: int, channels: int, kind: str) -> None:
    """Noise with an offset and ten clicks a second."""
    draw = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, channels, kind) as file:
        for _ in range(60 * minutes):
            x = 0.01 * draw.standard_normal((rate, channels)) + 0.01
            x[draw.integers(rate, size=10)] += 0.6
            file.write(x)


def peak_mib(command: Sequence[str]) -> float:
    """Largest resident memory of an `audiomend` command in a process of its own."""
    whole = [sys.executable, "-m", "audiomend.cli.main", *command]
    with subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.skipif(sys.platform == "win32", reason="wait4")
def test_restoring_takes_the_memory_of_a_shorter_file(tmp_path: Path) -> None:
    """All samples change, since the offset is taken away: 4 more minutes are 31 MB of float64."""
    peaks: list[float] = []
    for minutes in (1, 5):
        source, output = tmp_path / f"{minutes}.wav", tmp_path / f"{minutes}.mended.wav"
        write(source, minutes, RATE, 1, "PCM_16")
        peaks.append(peak_mib(["restore", str(source), str(output), "--only", "offset", "--only", "declick"]))
        assert soundfile.info(output).frames == minutes * 60 * RATE
    assert peaks[1] < WITHIN * peaks[0]


def test_what_mends_loads_no_compiler_and_no_library_of_filters() -> None:
    """They are 110 MiB."""
    code = """
import sys
from audiomend.models.prior import load
from audiomend.restorers import restoration
load()
print(*sys.modules.keys() & {"sympy", "torch._dynamo", "scipy.signal", "scipy.stats"})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.nightly  # some 20 minutes, 2 GB of disk
@pytest.mark.timeout(14_400)
def test_an_hour_is_restored_in_600_mib(benchmark_file: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """48 kHz, stereo, 24 bits, 1 % of it damaged."""
    long_files = benchmark_file("long_files")
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    long_files.write(source, 60)
    assert long_files.mended("restore", source, output)["peak_mib"] < 600
    assert soundfile.info(output).frames == soundfile.info(source).frames


@pytest.mark.nightly  # up to an hour each
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize(
    "command",
    [
        "restore",
        "declip --method diffusion",
        "declip --method a-spade",
        "declip --method s-spade",
        "declip --method ss-ew",
        "declip --method ss-pew",
        "declip --method ar",
        "inpaint --method a-spain",
        "inpaint --method similarity",
        "extend --method diffusion --cutoff-hz 8000",
        "extend --method replication --cutoff-hz 8000",
        "declick",
    ],
)
def test_twenty_minutes_take_the_memory_of_ten(
    command: str, benchmark_file: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    long_files, source = benchmark_file("long_files"), tmp_path / "in.wav"
    peaks: list[float] = []
    for minutes in (10, 20):
        long_files.write(source, minutes)
        peaks.append(long_files.mended(command, source, tmp_path / "out.wav")["peak_mib"])
    assert peaks[1] < WITHIN * peaks[0]
